"""A file beside a BEIR folder's own: documents that are a query itself, though their texts are not equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

OWN = "own_documents.tsv"
"""A folder without such documents has no such file."""


def write_own(folder: Path, own: Mapping[str, Sequence[str]]) -> None:
    """Write the ids of documents by the ids of queries; nothing if there are none."""
    rows = (f"{query}\t{document}\n" for query, documents in own.items() for document in documents)
    if text := "".join(rows):
        (folder / OWN).write_text(text, encoding="utf-8")


def read_own(folder: Path) -> dict[str, list[str]]:
    """Read them; none if there is no such file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged.
    """
    own: dict[str, list[str]] = {}
    lines = (folder / OWN).read_text(encoding="utf-8").split("\n")[:-1] if (folder / OWN).is_file() else []
    for query, document in (line.split("\t") for line in lines):
        own.setdefault(query, []).append(document)
    return own

"""Reads a bounded part of a BEIR folder: queries, documents, and which are relevant to which."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from router_plugin.errors import SettingsError

CHARACTERS = 10_000
"""Of a text that are kept."""

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class BeirPart:
    """A part of a BEIR folder.

    Attributes:
        queries: by id, those of splits first.
        splits: the split of each query that has one.
        documents: by id; those that are relevant to the queries, and others while there is room.
        relevant: of each judged query the ids of its relevant documents.
        left_out: queries and documents that are not in this part.
    """

    queries: dict[str, str]
    splits: dict[str, str]
    documents: dict[str, str]
    relevant: dict[str, list[str]]
    left_out: int


def read_folders(given: Sequence[str]) -> dict[str, Path]:
    """Folders by name, of texts like ``medical=work/medical``.

    Raises:
        SettingsError: a text is malformed, a name is there twice, or a folder has no texts.
    """
    found: dict[str, Path] = {}
    for text in given:
        name, _, folder = text.partition("=")
        if not name or not folder or name in found:
            raise SettingsError(f"`data` {text!r}: expected NAME=DIR, each name once")
        found[name] = Path(folder)
        if not (found[name] / "corpus.jsonl").is_file():
            raise SettingsError(f"`data` {text!r}: no corpus.jsonl found: expected a folder in BEIR layout")
    return found


def fingerprint(folder: Path) -> str:
    """Changes whenever a file of the folder does.

    Raises:
        SettingsError: the folder cannot be read.
    """
    try:
        found = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in _files(folder)]
    except OSError as error:
        raise SettingsError(f"{folder}: cannot be read: {error.strerror}") from error
    return hashlib.sha256(repr(found).encode()).hexdigest()


def read_beir(folder: Path, most: int) -> BeirPart:
    """Read at most ``most`` texts of a folder, half of them queries.

    Raises:
        SettingsError: a file is missing or malformed.
    """
    try:
        relevant, splits = _judgements(folder)
        texts = dict(_rows(folder / "queries.jsonl"))
        chosen = sorted(texts, key=lambda name: name not in splits)[: most // 2]
        wanted = {document for name in chosen for document in relevant.get(name, ())}
        documents, others, count = dict[str, str](), dict[str, str](), 0
        for count, (name, text) in enumerate(_rows(folder / "corpus.jsonl"), 1):  # noqa: B007
            kept = documents if name in wanted else others
            if len(kept) < most - len(chosen):
                kept[name] = text
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"{folder}: is not in BEIR layout: {error}") from error
    room = most - len(chosen) - len(documents)
    documents |= dict(list(others.items())[:room])
    left = len(texts) - len(chosen) + count - len(documents)
    judged = {name: relevant[name] for name in chosen if name in relevant}
    return BeirPart({name: texts[name] for name in chosen}, splits, documents, judged, left)


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    """The id and the text of each line of a file."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                title, text = row.get("title") or "", row["text"]
                yield str(row["_id"]), f"{title} {text}".strip()[:CHARACTERS]
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{path.name}, line {number}: expected _id and text") from error


def _files(folder: Path) -> list[Path]:
    return [folder / "corpus.jsonl", folder / "queries.jsonl", *sorted((folder / "qrels").glob("*.tsv"))]


def _judgements(folder: Path) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The relevant documents of each judged query, and its split."""
    relevant: dict[str, list[str]] = {}
    splits: dict[str, str] = {}
    for split in SPLITS:
        path = folder / "qrels" / f"{split}.tsv"
        if not path.is_file():
            continue
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                splits.setdefault(row["query-id"], split)
                if row["corpus-id"] and float(row["score"]) > 0:
                    relevant.setdefault(row["query-id"], []).append(row["corpus-id"])
    return relevant, splits

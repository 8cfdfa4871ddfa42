"""Writes synthetic question-answer pairs as JSON lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from registry.errors import OutputError
from registry.paths import PathLike, local_path
from registry.shared.outputs import make_folder, write_atomically
from training.synthesis.passages import SyntheticPair


def check_file(out: PathLike, overwrite: bool) -> None:
    """Make sure that a file may be written, before a long computation.

    Raises:
        OutputError: it exists, or its name does not end in ``.jsonl``, by which ``prepare`` recognises JSON lines.
    """
    out = local_path(out, OutputError)
    if out.suffix != ".jsonl":
        raise OutputError(f"{out}: expected a name that ends in .jsonl")
    if out.is_dir() or (out.exists() and not overwrite):
        raise OutputError(
            f"{out}: exists already: choose another file" + ("" if out.is_dir() else ", or set `overwrite`")
        )


def write_pairs(pairs: Iterable[SyntheticPair], out: PathLike) -> None:
    """Write pairs as JSON lines, atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    out = local_path(out, OutputError)
    make_folder(out.absolute().parent)
    write_atomically(out, "".join(json.dumps(pair._asdict(), ensure_ascii=False) + "\n" for pair in pairs))


def counts_by_kind(pairs: Sequence[SyntheticPair]) -> dict[str, int]:
    """How many pairs there are of each kind."""
    return dict(Counter(pair.kind for pair in pairs))

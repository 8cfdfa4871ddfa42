"""Writes synthetic question-answer pairs as JSON lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from registry.errors import OutputError
from registry.paths import PathLike, local_path
from registry.shared.outputs import make_folder, write_atomically
from training.judges.grades import GRADES
from training.synthesis.passages import SyntheticPair

EXAMPLES = 3


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
    write_atomically(out, "".join(json.dumps(as_row(pair), ensure_ascii=False) + "\n" for pair in pairs))


def as_row(pair: SyntheticPair) -> dict[str, str | int]:
    """The columns of a pair; without a grade if nobody judged it."""
    return {name: value for name, value in pair._asdict().items() if value is not None}


def counts_by_kind(pairs: Sequence[SyntheticPair]) -> dict[str, int]:
    """How many pairs there are of each kind."""
    return dict(Counter(pair.kind for pair in pairs))


def counts_by_grade(pairs: Sequence[SyntheticPair]) -> dict[str, int]:
    """How many pairs there are of each grade, lowest first, and ``unknown`` where the judge could not decide."""
    counts = Counter(pair.grade for pair in pairs)
    return {"unknown" if grade is None else str(grade): counts[grade] for grade in GRADES if counts[grade]}


def examples_by_grade(pairs: Sequence[SyntheticPair]) -> list[SyntheticPair]:
    """The first :data:`EXAMPLES` pairs of each grade, in the order of :func:`counts_by_grade`."""
    return [pair for grade in GRADES for pair in [each for each in pairs if each.grade == grade][:EXAMPLES]]

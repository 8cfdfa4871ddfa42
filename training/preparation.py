"""From question-answer pairs to prepared data: answers cut into chunks, pairs split, all written at once."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from registry.outputs import check_free, move_into_place, new_folder_beside
from training.chunking import CHUNK_CHARACTERS
from training.layout import lay_out
from training.pairs import Pairs
from training.parts import held_by_part
from training.prepared import MANIFEST, SPLITS, Qrels, write_prepared
from training.splits import joint_groups
from training.splitting import SplitOptions, split_rows


@dataclass(frozen=True)
class PrepareOptions(SplitOptions):
    """How pairs are cut and split.

    Attributes:
        chunk_characters: answers longer than this are cut on sentence ends. Those of pairs in no part stay in the
            corpus.
    """

    chunk_characters: int = CHUNK_CHARACTERS


def prepare(source: Pairs, out: Path, options: PrepareOptions | None = None, overwrite: bool = False) -> dict[str, Any]:
    """Write a folder of prepared data; returns its manifest.

    The parts are those of the column ``part`` where there is one. The folder appears whole or not at all.

    Raises:
        OutputError: the folder exists.
        SourceError: the pairs cannot be split.
    """
    options = held_by_part(source.pairs, options or PrepareOptions())
    check_target(out, overwrite)
    pairs = source.pairs
    split = split_rows(
        [pair.columns for pair in pairs],
        lambda: joint_groups([pair.question for pair in pairs], [pair.answer for pair in pairs]),
        options,
    )
    laid = lay_out(pairs, split, options.chunk_characters, merge=options.split != "random")
    return write_folder(
        out,
        laid.corpus,
        laid.queries,
        laid.qrels,
        kind="pairs",
        source=source.source,
        options=asdict(options),
        counts={
            "pairs": len(pairs),
            "skipped": len(source.skipped),
            "left_out": len(pairs) - sum(map(len, (split.train, split.dev, split.test))),
        },
    )


def check_target(out: Path, overwrite: bool = False) -> None:
    """Make sure that ``out`` may be written, before long work is done.

    Raises:
        OutputError: it exists.
    """
    check_free(out, overwrite, MANIFEST)


def write_folder(
    out: Path,
    corpus: Mapping[str, str],
    queries: Mapping[str, str],
    qrels: Mapping[str, Qrels],
    *,
    counts: Mapping[str, int],
    negatives: Mapping[str, Qrels] | None = None,
    **manifest: Any,
) -> dict[str, Any]:
    """Write prepared data, all of it at once; returns the manifest.

    Args:
        out: where to.
        corpus: documents by id.
        queries: likewise.
        qrels: of every split.
        counts: of the rows that these were made of.
        negatives: documents that were judged not relevant, of every split; by default none.
        manifest: what else the manifest says.
    """
    staging = new_folder_beside(out)
    counts = {**counts, "chunks": len(corpus), "queries": len(queries)}
    counts |= {f"{part}_queries": len(qrels[part]) for part in SPLITS}
    try:
        written = write_prepared(staging, corpus, queries, qrels, negatives, **manifest, counts=counts)
        move_into_place(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return written

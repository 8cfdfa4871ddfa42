"""From question-answer pairs to prepared data: answers cut into chunks, pairs split, all written at once."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from registry.outputs import check_free, move_into_place, new_folder_beside
from training.chunking import CHUNK_CHARACTERS, chunk
from training.pairs import Pair, Pairs
from training.prepared import MANIFEST, SPLITS, Qrels, write_prepared
from training.splits import Split, joint_groups
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

    The folder appears whole or not at all.

    Raises:
        OutputError: the folder exists.
        SourceError: the pairs cannot be split.
    """
    options = options or PrepareOptions()
    check_target(out, overwrite)
    pairs = source.pairs
    split = split_rows(
        [pair.columns for pair in pairs],
        lambda: joint_groups([pair.question for pair in pairs], [pair.answer for pair in pairs]),
        options,
    )
    corpus, queries, qrels = _layout(pairs, split, options)
    return write_folder(
        out,
        corpus,
        queries,
        qrels,
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
    **manifest: Any,
) -> dict[str, Any]:
    """Write prepared data, all of it at once; returns the manifest.

    Args:
        out: where to.
        corpus: documents by id.
        queries: likewise.
        qrels: of every split.
        counts: of the rows that these were made of.
        manifest: what else the manifest says.
    """
    staging = new_folder_beside(out)
    counts = {**counts, "chunks": len(corpus), "queries": len(queries)}
    counts |= {f"{part}_queries": len(qrels[part]) for part in SPLITS}
    try:
        written = write_prepared(staging, corpus, queries, qrels, **manifest, counts=counts)
        move_into_place(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return written


def _layout(
    pairs: Sequence[Pair], split: Split, options: PrepareOptions
) -> tuple[dict[str, str], dict[str, str], dict[str, Qrels]]:
    """Corpus, queries and qrels; but for a random split equal texts have one id, so that no right answer is wrong."""
    merge = options.split != "random"
    corpus: dict[str, str] = {}
    queries: dict[str, str] = {}
    query_ids: dict[str, str] = {}
    chunk_ids: dict[str, str] = {}
    relevant: dict[str, dict[str, None]] = {}
    query_of: list[str] = []
    for number, pair in enumerate(pairs):
        query = query_ids.get(pair.question) if merge else None
        if query is None:
            query = query_ids[pair.question] = f"q{number}"
            queries[query] = pair.question
        known = relevant.setdefault(query, {})
        for part, text in enumerate(chunk(pair.answer, options.chunk_characters)):
            name = chunk_ids.get(text) if merge else None
            if name is None:
                name = chunk_ids[text] = f"d{number}-{part}"
                corpus[name] = text
            known[name] = None
        query_of.append(query)
    parts = {"train": split.train, "dev": split.dev, "test": split.test}
    qrels = {name: {query_of[i]: list(relevant[query_of[i]]) for i in indices} for name, indices in parts.items()}
    return corpus, queries, qrels

"""From question-answer pairs to prepared data: answers cut into chunks, pairs split, all written at once."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from registry.outputs import check_free, move_into_place, new_folder_beside
from training.chunking import CHUNK_CHARACTERS, chunk
from training.errors import SourceError
from training.holding_out import HoldOut, held_out
from training.pairs import Pair, Pairs
from training.prepared import MANIFEST, SPLITS, Qrels, write_prepared
from training.splits import Split, grouped_split, held_out_split, only_test_split, random_split


@dataclass(frozen=True)
class PrepareOptions:
    """How pairs are cut and split.

    Attributes:
        split: ``grouped`` keeps near-duplicates on one side and counts equal texts once; ``random`` is the reference
            protocol, every pair for itself; ``test`` makes every pair a test pair, for data that only measure, and
            counts equal texts once.
        test_size: share of pairs in the test part.
        seed: of the split.
        chunk_characters: answers longer than this are cut on sentence ends.
        hold_out: these pairs are the test part, whatever ``test_size`` says. Under ``grouped`` the near-duplicates of
            held-out pairs are in no part; their answers stay in the corpus.

        hold_out_dev: these pairs are the dev part, by which models are chosen, in the same way.

    Raises:
        SourceError: ``hold_out`` or ``hold_out_dev`` with the split ``test``.
    """

    split: Literal["grouped", "random", "test"] = "grouped"
    test_size: float = 0.2
    seed: int = 42
    chunk_characters: int = CHUNK_CHARACTERS
    hold_out: tuple[HoldOut, ...] = ()
    hold_out_dev: tuple[HoldOut, ...] = ()

    def __post_init__(self) -> None:
        if self.split == "test" and (self.hold_out or self.hold_out_dev):
            raise SourceError("--hold-out cannot be used with --split test: every pair is a test pair already")


def prepare(source: Pairs, out: Path, options: PrepareOptions | None = None, overwrite: bool = False) -> dict[str, Any]:
    """Write a folder of prepared data; returns its manifest.

    The folder appears whole or not at all.

    Raises:
        OutputError: the folder exists.
        SourceError: the pairs cannot be split.
    """
    options = options or PrepareOptions()
    check_target(out, overwrite)
    split = _split(source.pairs, options)
    corpus, queries, qrels = _layout(source.pairs, split, options)
    staging = new_folder_beside(out)
    try:
        manifest = write_prepared(
            staging,
            corpus,
            queries,
            qrels,
            source=source.source,
            options=asdict(options),
            counts={
                "pairs": len(source.pairs),
                "skipped": len(source.skipped),
                "chunks": len(corpus),
                "queries": len(queries),
                "left_out": len(source.pairs) - sum(map(len, (split.train, split.dev, split.test))),
                **{f"{part}_queries": len(qrels[part]) for part in SPLITS},
            },
        )
        move_into_place(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return manifest


def check_target(out: Path, overwrite: bool = False) -> None:
    """Make sure that ``out`` may be written, before long work is done.

    Raises:
        OutputError: it exists.
    """
    check_free(out, overwrite, MANIFEST)


def _split(pairs: Sequence[Pair], options: PrepareOptions) -> Split:
    grouped = options.split == "grouped"
    if options.split == "test":
        return only_test_split(len(pairs))
    if options.hold_out or options.hold_out_dev:
        test, dev = held_out(pairs, options.hold_out), held_out(pairs, options.hold_out_dev, "--hold-out-dev")
        return held_out_split(pairs, grouped, options.seed, test=test, dev=dev, test_size=options.test_size)
    if grouped:
        return grouped_split(pairs, options.test_size, options.seed)
    return random_split(len(pairs), options.test_size, options.seed)


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

"""Writes question-answer pairs to a folder of prepared data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from registry.shared.outputs import check_free, staged_folder
from training.errors import SourceError
from training.prepared.format import MANIFEST, SPLITS, Qrels, write_prepared
from training.prepared.layout import lay_out
from training.prepared.options import PrepareOptions
from training.sources.pairs import Pairs
from training.splitting.near_duplicates import near_duplicates
from training.splitting.splits import held_by_part, joint_groups, split_rows


def prepare(source: Pairs, out: Path, options: PrepareOptions | None = None, overwrite: bool = False) -> dict[str, Any]:
    """Write a folder of prepared data; returns its manifest.

    Splits are taken from a column ``part`` if there is one. Unlabelled questions become training queries without a
    known answer; those that also occur in the pairs, and near-duplicates of held-out questions, are left out. The
    folder is written atomically.

    Raises:
        OutputError: the folder exists.
        SourceError: the pairs cannot be split, or unlabelled questions are given for data that are only measured on.
    """
    options = held_by_part(source.pairs, options or PrepareOptions())
    if source.unlabelled and options.split == "test":
        raise SourceError("`unlabelled` cannot be used with `split` test: the questions would be for training")
    check_target(out, overwrite)
    pairs = source.pairs
    split = split_rows(
        [pair.columns for pair in pairs],
        lambda: joint_groups([pair.question for pair in pairs], [pair.answer for pair in pairs]),
        options,
    )
    laid = lay_out(pairs, split, options.chunk_characters, merge=options.split != "random")
    added = _new_questions(source.unlabelled, laid.queries, [*laid.qrels["dev"], *laid.qrels["test"]])
    return write_folder(
        out,
        laid.corpus,
        laid.queries | added,
        {**laid.qrels, "train": laid.qrels["train"] | {name: [] for name in added}},
        kind="pairs",
        source=source.source,
        options=options.model_dump(),
        counts={
            "pairs": len(pairs),
            "skipped": len(source.skipped),
            **({"unlabelled": len(added)} if source.unlabelled else {}),
            "left_out": len(pairs) - sum(map(len, (split.train, split.dev, split.test))),
        },
    )


def _new_questions(unlabelled: Sequence[str], queries: Mapping[str, str], held_out: Sequence[str]) -> dict[str, str]:
    """The questions by id that are not among the queries, nor near-duplicates of held-out ones."""
    asked = set(queries.values())
    new = [question for question in dict.fromkeys(unlabelled) if question not in asked]
    if not new:
        return {}
    groups = near_duplicates([queries[name] for name in held_out] + new)
    known = set(groups[: len(held_out)].tolist())
    likes = groups[len(held_out) :]
    return {
        f"u{number}": text for number, (text, group) in enumerate(zip(new, likes, strict=True)) if group not in known
    }


def check_target(out: Path, overwrite: bool = False) -> None:
    """Make sure that the output may be written, before long work starts.

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
    """Write prepared data atomically, in place of earlier data; returns the manifest.

    Args:
        out: folder to write.
        corpus: documents by id.
        queries: queries by id.
        qrels: relevant documents, by split.
        counts: numbers of source rows, for the manifest.
        negatives: documents that were judged not relevant, by split; by default none.
        manifest: further entries of the manifest.

    Raises:
        OutputError: the folder cannot be written, or holds anything but prepared data.
    """
    counts = {**counts, "chunks": len(corpus), "queries": len(queries)}
    counts |= {f"{part}_queries": len(qrels[part]) for part in SPLITS}
    with staged_folder(out, overwrite=True, marker=MANIFEST) as folder:
        return write_prepared(folder, corpus, queries, qrels, negatives, **manifest, counts=counts)

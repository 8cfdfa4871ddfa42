"""Writes question-answer pairs to a folder of prepared data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from registry.paths import PathLike
from registry.shared.outputs import check_free, staged_folder
from registry.texts.forms import text_key
from training.errors import SourceError
from training.prepared.format import MANIFEST, SPLITS, Qrels, write_prepared
from training.prepared.layout import Layout, lay_out
from training.prepared.options import PrepareOptions
from training.sources.pairs import Pairs
from training.splitting.near_duplicates import Grouping, near_duplicates
from training.splitting.splits import held_by_part, joint_groups, split_rows


def prepare(
    source: Pairs,
    out: PathLike,
    options: PrepareOptions | None = None,
    overwrite: bool = False,
    grouping: Grouping = near_duplicates,
) -> dict[str, Any]:
    """Write a folder of prepared data; returns its manifest.

    Splits are taken from a column ``part`` if there is one. Unlabelled questions become training queries without a
    known answer; those that also occur in the pairs, and near-duplicates of held-out questions and answers, are left
    out. The folder is written atomically.

    Args:
        source: the pairs.
        out: folder to write.
        options: how they are split.
        overwrite: replace an earlier folder.
        grouping: finds near-duplicates.

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
        lambda: joint_groups([pair.question for pair in pairs], [pair.answer for pair in pairs], grouping),
        options,
    )
    laid = lay_out(pairs, split, options.chunk_characters, merge=options.split != "random")
    added = _new_questions(source.unlabelled, laid, grouping)
    return write_folder(
        out,
        laid.corpus,
        laid.queries | added,
        {**laid.qrels, "train": laid.qrels["train"] | {name: [] for name in added}},
        own=laid.own,
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


def _new_questions(unlabelled: Sequence[str], laid: Layout, grouping: Grouping) -> dict[str, str]:
    """The questions by id that are not among the queries, nor near-duplicates of held-out ones or of their answers."""
    asked = set(map(text_key, laid.queries.values()))
    different = {text_key(question): question for question in reversed(unlabelled)}
    new = [question for key, question in reversed(different.items()) if key not in asked]
    if not new:
        return {}
    qrels = [*laid.qrels["dev"].items(), *laid.qrels["test"].items()]
    held_out = [laid.queries[query] for query, _ in qrels]
    held_out += [laid.corpus[name] for name in dict.fromkeys(name for _, names in qrels for name in names)]
    groups = grouping(held_out + new)
    known = set(groups[: len(held_out)].tolist())
    likes = groups[len(held_out) :]
    return {
        f"u{number}": text for number, (text, group) in enumerate(zip(new, likes, strict=True)) if group not in known
    }


def check_target(out: PathLike, overwrite: bool = False) -> None:
    """Make sure that the output may be written, before long work starts.

    Raises:
        OutputError: it exists.
    """
    check_free(out, overwrite, MANIFEST)


def write_folder(
    out: PathLike,
    corpus: Mapping[str, str],
    queries: Mapping[str, str],
    qrels: Mapping[str, Qrels],
    *,
    counts: Mapping[str, int],
    negatives: Mapping[str, Qrels] | None = None,
    own: Qrels | None = None,
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
        own: documents that are a query itself, by query; by default none.
        manifest: further entries of the manifest.

    Raises:
        OutputError: the folder cannot be written, or holds anything but prepared data.
    """
    found = {query: names for query, names in (own or {}).items() if query in queries}
    counts = {**counts, **({"own_text": len(found)} if found else {})}
    counts |= {"chunks": len(corpus), "queries": len(queries)}
    counts |= {f"{part}_queries": len(qrels[part]) for part in SPLITS}
    with staged_folder(out, overwrite=True, marker=MANIFEST) as folder:
        unlike = _of_other_text(found, queries, corpus)
        return write_prepared(folder, corpus, queries, qrels, negatives, unlike, **manifest, counts=counts)


def _of_other_text(own: Qrels, queries: Mapping[str, str], corpus: Mapping[str, str]) -> Qrels:
    """The own documents whose text is not that of the query; the others are found by it."""
    unlike = {
        query: [name for name in names if text_key(corpus[name]) != text_key(queries[query])]
        for query, names in own.items()
    }
    return {query: names for query, names in unlike.items() if names}

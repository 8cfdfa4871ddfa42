"""Converts labelled texts to a retrieval set: half of a label's training texts become documents, the rest queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from registry.paths import PathLike
from training.errors import SourceError
from training.prepared.format import Qrels
from training.prepared.preparation import check_target, write_folder
from training.sources.labels import Labelled, Labels
from training.splitting.near_duplicates import Grouping, near_duplicates
from training.splitting.options import SplitOptions
from training.splitting.splits import Indices, Split, held_by_part, split_rows


def prepare_labels(
    source: Labels,
    out: PathLike,
    options: SplitOptions | None = None,
    overwrite: bool = False,
    grouping: Grouping = near_duplicates,
) -> dict[str, Any]:
    """Write a folder of prepared data in which texts with the same label are relevant to each other.

    In random order, every other training text of a label becomes a document. The remaining training texts, and all dev
    and test texts, become queries; documents with the same label are relevant to them. Splits are taken from a column
    ``part`` if there is one. The folder is written atomically.

    Args:
        source: the texts.
        out: folder to write.
        options: how they are split.
        overwrite: replace an earlier folder.
        grouping: finds near-duplicates.

    Returns:
        The manifest.

    Raises:
        OutputError: the folder exists.
        SourceError: the texts cannot be split, or have too few labels or texts per label.
    """
    options = held_by_part(source.texts, options or SplitOptions())
    if options.split == "test":
        raise SourceError(
            "`split` test cannot be used with labelled texts: test queries are compared with training texts"
        )
    check_target(out, overwrite)
    texts = source.texts
    split = split_rows([each.columns for each in texts], lambda: grouping([each.text for each in texts]), options)
    corpus, queries, qrels = _layout(source, split, options.seed)
    return write_folder(
        out,
        corpus,
        queries,
        qrels,
        kind="labels",
        source=source.source,
        options={**options.model_dump(), "where": asdict(source.where) if source.where else None},
        counts={
            "texts": len(texts),
            "labels": len({each.label for each in texts}),
            "skipped": len(source.skipped),
            "out_of_scope": source.out_of_scope,
            "repeated": source.repeated,
            **source.set_aside,
            "left_out": len(texts) - len(corpus) - len(queries),
        },
    )


def _layout(source: Labels, split: Split, seed: int) -> tuple[dict[str, str], dict[str, str], dict[str, Qrels]]:
    """Corpus, queries and qrels; queries whose label has no document are left out."""
    texts = source.texts
    documents = _documents(texts, split.train, seed)
    answers: dict[str, list[str]] = defaultdict(list)
    for row in documents:
        answers[texts[row].label].append(f"d{row}")
    asking = {"train": np.setdiff1d(split.train, documents), "dev": split.dev, "test": split.test}
    asked = {part: [row for row in rows.tolist() if texts[row].label in answers] for part, rows in asking.items()}
    if len(answers) < 2:
        raise SourceError(
            f"{source.source}: all training texts have the label {min(answers)!r}: expected at least two labels"
        )
    if empty := [part for part, rows in asked.items() if not rows]:
        raise SourceError(
            f"{source.source}: no {empty[0]} text shares its label with a training text that is a document: "
            "expected several texts per label"
        )
    qrels = {part: {f"q{row}": answers[texts[row].label] for row in rows} for part, rows in asked.items()}
    queries = {f"q{row}": texts[row].text for rows in asked.values() for row in rows}
    return {f"d{row}": texts[row].text for row in documents}, queries, qrels


def _documents(texts: Sequence[Labelled], training: Indices, seed: int) -> list[int]:
    """Positions of the documents: the first, third, fifth ... training text of each label, in random order."""
    dealt: dict[str, list[int]] = defaultdict(list)
    for row in np.random.default_rng(seed).permutation(training).tolist():
        dealt[texts[row].label].append(row)
    return sorted(row for rows in dealt.values() for row in rows[::2])

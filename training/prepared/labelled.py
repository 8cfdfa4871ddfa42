"""From labelled texts to prepared data: of each label some texts are documents, and the others ask for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from training.errors import SourceError
from training.prepared.format import Qrels
from training.prepared.preparation import check_target, write_folder
from training.sources.labels import Labelled, Labels
from training.splitting.near_duplicates import near_duplicates
from training.splitting.options import SplitOptions
from training.splitting.splits import Indices, Split, held_by_part, split_rows


def prepare_labels(
    source: Labels, out: Path, options: SplitOptions | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Write a folder of prepared data in which texts of one label are relevant to each other; returns its manifest.

    The texts of the training part are dealt out, label by label: every other one, in random order, is a document. The
    rest are queries, and so are all texts of the dev and test parts; documents of their label are relevant to them.
    The parts are those of the column ``part`` where there is one. The folder appears whole or not at all.

    Raises:
        OutputError: the folder exists.
        SourceError: the texts cannot be split, or there is nothing to learn from them.
    """
    options = held_by_part(source.texts, options or SplitOptions())
    if options.split == "test":
        raise SourceError(
            "`split` test cannot be used with labelled texts: test queries are compared with training texts"
        )
    check_target(out, overwrite)
    texts = source.texts
    split = split_rows(
        [each.columns for each in texts], lambda: near_duplicates([each.text for each in texts]), options
    )
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
    """Corpus, queries and qrels; a query whose label has no document is left out."""
    texts = source.texts
    documents = _deal(texts, split.train, seed)
    answers: dict[str, list[str]] = defaultdict(list)
    for row in documents:
        answers[texts[row].label].append(f"d{row}")
    asking = {"train": np.setdiff1d(split.train, documents), "dev": split.dev, "test": split.test}
    asked = {part: [row for row in rows.tolist() if texts[row].label in answers] for part, rows in asking.items()}
    if len(answers) < 2:
        raise SourceError(f"{source.source}: only {min(answers)!r} is a label of training texts: expected two at least")
    if empty := [part for part, rows in asked.items() if not rows]:
        raise SourceError(
            f"{source.source}: no {empty[0]} text has a training text of its label beside it: "
            "expected several texts of every label"
        )
    qrels = {part: {f"q{row}": answers[texts[row].label] for row in rows} for part, rows in asked.items()}
    queries = {f"q{row}": texts[row].text for rows in asked.values() for row in rows}
    return {f"d{row}": texts[row].text for row in documents}, queries, qrels


def _deal(texts: Sequence[Labelled], training: Indices, seed: int) -> list[int]:
    """The positions of the documents: of each label the first, third, fifth ... training text in random order."""
    dealt: dict[str, list[int]] = defaultdict(list)
    for row in np.random.default_rng(seed).permutation(training).tolist():
        dealt[texts[row].label].append(row)
    return sorted(row for rows in dealt.values() for row in rows[::2])

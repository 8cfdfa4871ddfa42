"""The model card: the README of a model folder, in the form that the Hugging Face Hub reads."""

from __future__ import annotations

from collections.abc import Sequence

from registry.names import TEST
from training.reporting.report import TrainingReport
from training.reporting.single_set_baselines import BASELINES, baseline_rows
from training.reporting.verdicts import (
    BOTH_SIDES,
    OVER_DIMS,
    OVER_SEEDS,
    Row,
    both_sides,
    headline_gains,
    over_dims,
    over_seeds,
    warnings,
)

CARD = "README.md"


def model_card(report: TrainingReport) -> str:
    """The model's README, in the form that the Hugging Face Hub reads."""
    warned = "".join(f"\n**{warning}**\n" for warning in warnings(report))
    base, adapted = report.base_metrics[TEST], report.adapted_metrics[TEST]
    rows = "\n".join(
        f"| {metric} | {base[metric]:.4f} | {adapted[metric]:.4f} | {adapted[metric] - base[metric]:+.4f} |"
        for metric in base
    )
    sure = "\n".join(f"- {line}" for line in headline_gains(report))
    options = "\n".join(f"| {name} | {value} |" for name, value in report.options.items())
    counts = report.dataset.counts
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
base_model: {report.base_model.name}
tags: [sentence-transformers, domain-router, {report.domain}]
---

# {report.base_model.name}, adapted to {report.domain}
{warned}
{_table(BOTH_SIDES, both_sides(report))}

`test` is the domain's own test split; no test set decided which model was kept. A difference is adapted minus base,
with its bootstrap interval and the p-value of a paired randomisation test.
{_seeds(report)}{_baselines(report)}
Trained by [domain-router](https://pypi.org/project/domain-router/) with the `{report.recipe}` recipe on
{counts["train_queries"]} queries over {counts["chunks"]} chunks.{_learnt(report)}{_judged(report)}
{report.dimension} dimensions, {report.max_length or "any number of"} tokens at most,
{report.pooling} pooling. Compare vectors by cosine, and only with vectors of this same model.

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
embeddings = model.encode_query(["a question"])
```

## Measured on {counts["test_queries"]} held-out queries

| metric | base | adapted | gain |
|---|---|---|---|
{rows}

{sure}
{_dims(report)}
The model was chosen on {counts["dev_queries"]} dev queries; the test queries decided nothing.

## How it was trained

| option | value |
|---|---|
{options}

Base model weights: SHA-256 `{report.base_model.weights_sha256}`. Data: fingerprint
`{report.dataset.fingerprint}`.
"""


def _learnt(report: TrainingReport) -> str:
    """The card's words on the sets that were joined and those that were mixed in; none where there were none."""
    words = ""
    for sets, what in ((report.joined, "Joined of"), (report.mixed, "Mixed in")):
        named = ", ".join(
            f"`{name}` ({found.counts['train_queries']} queries, fingerprint `{found.fingerprint}`)"
            for name, found in sets.items()
        )
        words += f" {what}: {named}." if named else ""
    return words


def _baselines(report: TrainingReport) -> str:
    """The card's words on the models of each set alone; none where none were named."""
    rows = baseline_rows(report)
    return f"\nCompared with the models of one set alone:\n\n{_table(BASELINES, rows)}\n" if rows else ""


def _judged(report: TrainingReport) -> str:
    """The card's words on who judged what was mined; none where the labels said it all."""
    return f" What was mined was judged by `{report.judge}`." if report.judge else ""


def _dims(report: TrainingReport) -> str:
    """The card's words on leading dimensions; none where no others than all were asked for."""
    rows = over_dims(report)
    return f"\nWith leading dimensions only, made unit vectors again:\n\n{_table(OVER_DIMS, rows)}\n" if rows else ""


def _seeds(report: TrainingReport) -> str:
    """The card's words on several seeds; none for one."""
    rows = over_seeds(report)
    if not rows:
        return ""
    return f"""
Over {len(report.seeds)} seeds, of which the model that is best on dev, {report.chosen}, was kept:

{_table(OVER_SEEDS, rows)}
"""


def _table(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

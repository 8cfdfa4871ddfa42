"""What a training run leaves beside the model: ``report.json``, the model card, and the registry's record of both."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from registry import ModelRecord
from registry.names import PAGE, TEST
from training.errors import TrainingError
from training.prepared.format import PreparedData
from training.reporting.single_set_baselines import BESIDE, beside
from training.reporting.verdicts import (
    BOTH_SIDES,
    OVER_DIMS,
    OVER_SEEDS,
    Row,
    both_sides,
    broken_guards,
    over_dims,
    over_seeds,
)

REPORT = "report.json"
CARD = "README.md"


def describe_comparison(report: dict[str, Any]) -> list[str]:
    """One line for each headline metric: the gain on the test split, its interval and its p-value."""
    return [
        f"{name}: {found['difference']:+.4f}, 95 % interval {found['low']:+.4f} to {found['high']:+.4f}, "
        f"p = {found['p_value']:.4f}"
        for name, found in report["comparison"].items()
    ]


def write_report(folder: Path, report: dict[str, Any], shown: str) -> None:
    """Write ``report.json``, and the page ``report.html``, in which what is no character is a reference."""
    (folder / PAGE).write_text(shown, encoding="utf-8", errors="xmlcharrefreplace")
    (folder / REPORT).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_finished(
    folder: Path, identity: Mapping[str, Any], also: Mapping[str, PreparedData], max_loss: Mapping[str, float]
) -> dict[str, Any] | None:
    """The report of a model folder, if a run of this identity that was judged so wrote it."""
    try:
        report: dict[str, Any] = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        sets = {name: found["fingerprint"] for name, found in report["also"].items()}
        limits = {TEST: report["max_loss"], **{name: found["max_loss"] for name, found in report["also"].items()}}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # not there, or another's
        return None
    same = all(report.get(name) == value for name, value in json.loads(json.dumps(identity)).items())
    judged = {name: limit for name, limit in limits.items() if limit is not None} == dict(max_loss)
    return report if same and judged and sets == {name: data.fingerprint for name, data in also.items()} else None


def record_of(report: dict[str, Any]) -> ModelRecord:
    """What the registry keeps of a report; one written before a field was added goes without."""
    fields = ModelRecord.model_fields.items()
    told = {name: report[name] for name, field in fields if field.is_required() or name in report}
    judge = report.get("judge")
    return ModelRecord(**{**told, "judge": judge["name"] if judge else None})


def read_record(folder: Path) -> ModelRecord:
    """What the registry keeps of a model folder's report.

    Raises:
        TrainingError: the folder holds no report, or one that says too little.
    """
    path = folder / REPORT
    if not path.is_file():
        raise TrainingError(f"{folder}: holds no {REPORT}: expected a folder that 'domain-router train' wrote")
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        return record_of(report)
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        raise TrainingError(f"{path}: is no report of a training run: {error}") from error


def model_card(report: dict[str, Any]) -> str:
    """The model's README, in the form that the Hugging Face Hub reads."""
    record = record_of(report)
    warnings = ["No iteration beat the base model on dev: these are its weights."] if not report["improved"] else []
    warned = "".join(f"\n**{warning}**\n" for warning in [*warnings, *broken_guards(record)])
    base, adapted = report["base_metrics"]["test"], report["adapted_metrics"]["test"]
    rows = "\n".join(
        f"| {metric} | {base[metric]:.4f} | {adapted[metric]:.4f} | {adapted[metric] - base[metric]:+.4f} |"
        for metric in base
    )
    sure = "\n".join(f"- {line}" for line in describe_comparison(report))
    options = "\n".join(f"| {name} | {value} |" for name, value in report["options"].items())
    counts = report["dataset"]["counts"]
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
base_model: {report["base_model"]["name"]}
tags: [sentence-transformers, domain-router, {report["domain"]}]
---

# {report["base_model"]["name"]}, adapted to {report["domain"]}
{warned}
{_table(BOTH_SIDES, both_sides(record))}

`test` is the domain's own test split; no test set decided which model was kept. A difference is adapted minus base,
with its bootstrap interval and the p-value of a paired randomisation test.
{_seeds(report)}{_beside(report)}
Trained by [domain-router](https://pypi.org/project/domain-router/) with the `{report["recipe"]}` recipe on
{counts["train_queries"]} queries over {counts["chunks"]} chunks.{_learnt(report)}{_judged(record)}
{report["dimension"]} dimensions, {report["max_length"] or "any number of"} tokens at most,
{report["pooling"]} pooling. Compare vectors by cosine, and only with vectors of this same model.

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

Base model weights: SHA-256 `{report["base_model"]["weights_sha256"]}`. Data: fingerprint
`{report["dataset"]["fingerprint"]}`.
"""


def _learnt(report: dict[str, Any]) -> str:
    """The card's words on the sets that were joined and those that were mixed in; none where there were none."""
    words = ""
    for told, what in (("joined", "Joined of"), ("mixed", "Mixed in")):
        named = ", ".join(
            f"`{name}` ({found['counts']['train_queries']} queries, fingerprint `{found['fingerprint']}`)"
            for name, found in report.get(told, {}).items()
        )
        words += f" {what}: {named}." if named else ""
    return words


def _beside(report: dict[str, Any]) -> str:
    """The card's words on the models of each set alone; none where none were named."""
    rows = beside(report)
    return f"\nBeside the models that were trained on one set alone:\n\n{_table(BESIDE, rows)}\n" if rows else ""


def _judged(record: ModelRecord) -> str:
    """The card's words on who judged what was mined; none where the labels said it all."""
    return f" What was mined was judged by `{record.judge}`." if record.judge else ""


def _dims(report: dict[str, Any]) -> str:
    """The card's words on leading dimensions; none where no others than all were asked for."""
    rows = over_dims(report)
    return f"\nWith leading dimensions only, made unit vectors again:\n\n{_table(OVER_DIMS, rows)}\n" if rows else ""


def _seeds(report: dict[str, Any]) -> str:
    """The card's words on several seeds; none for one."""
    rows = over_seeds(report)
    if not rows:
        return ""
    return f"""
Over {len(report["seeds"])} seeds, of which the model that is best on dev, {report["chosen"]}, was kept:

{_table(OVER_SEEDS, rows)}
"""


def _table(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

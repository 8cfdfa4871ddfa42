"""What a training run leaves beside the model: ``report.json``, the model card, and the registry's record of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from registry import ModelRecord
from training.errors import TrainingError

REPORT = "report.json"
CARD = "README.md"
HEADLINE = ("mrr@5", "recall@5", "ndcg@10")
"""The metrics that cards and tables lead with."""


def describe_model(model: SentenceTransformer) -> dict[str, Any]:
    """Dimension, maximum length in tokens, pooling, and whether the model normalises by itself."""
    pooling = [module.pooling_mode for module in model if isinstance(module, Pooling)]
    return {
        "dimension": model.get_embedding_dimension(),
        "max_length": model.max_seq_length,
        "pooling": "+".join(mode if isinstance(mode, str) else "+".join(mode) for mode in pooling) or "none",
        "normalized": any(isinstance(module, Normalize) for module in model),
    }


def describe_comparison(report: dict[str, Any]) -> list[str]:
    """One line for each headline metric: the gain on the test split, its interval and its p-value."""
    return [
        f"{name}: {found['difference']:+.4f}, 95 % interval {found['low']:+.4f} to {found['high']:+.4f}, "
        f"p = {found['p_value']:.4f}"
        for name, found in report["comparison"].items()
    ]


def write_report(folder: Path, report: dict[str, Any]) -> None:
    """Write ``report.json``."""
    (folder / REPORT).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


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
        return ModelRecord(**{name: report[name] for name in ModelRecord.model_fields})
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        raise TrainingError(f"{path}: is no report of a training run: {error}") from error


def model_card(report: dict[str, Any]) -> str:
    """The model's README, in the form that the Hugging Face Hub reads."""
    base, adapted = report["base_metrics"]["test"], report["adapted_metrics"]["test"]
    rows = "\n".join(
        f"| {metric} | {base[metric]:.4f} | {adapted[metric]:.4f} | {adapted[metric] - base[metric]:+.4f} |"
        for metric in base
    )
    sure = "\n".join(f"- {line}" for line in describe_comparison(report))
    options = "\n".join(f"| {name} | {value} |" for name, value in report["options"].items())
    counts = report["dataset"]["counts"]
    untouched = "" if report["improved"] else "\n**No iteration beat the base model on dev: these are its weights.**\n"
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
base_model: {report["base_model"]["name"]}
tags: [sentence-transformers, domain-router, {report["domain"]}]
---

# {report["base_model"]["name"]}, adapted to {report["domain"]}
{untouched}
Trained by [domain-router](https://pypi.org/project/domain-router/) with the `{report["recipe"]}` recipe on
{counts["train_queries"]} queries over {counts["chunks"]} chunks. {report["dimension"]} dimensions,
{report["max_length"]} tokens at most, {report["pooling"]} pooling. Compare vectors by cosine, and only with vectors of
this same model.

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

The model was chosen on {counts["dev_queries"]} dev queries; the test queries were used once, for this table.

## How it was trained

| option | value |
|---|---|
{options}

Base model weights: SHA-256 `{report["base_model"]["weights_sha256"]}`. Data: fingerprint
`{report["dataset"]["fingerprint"]}`.
"""

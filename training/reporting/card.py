"""The model card: the README of a model folder, as the Hugging Face Hub reads it."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from registry.pages.templates import one_line, render_card
from registry.records import TEST
from training.reporting.report import TrainingReport
from training.reporting.single_set_baselines import BASELINE_COLUMNS, baseline_rows
from training.reporting.verdicts import (
    DIMS_COLUMNS,
    EVALUATION_COLUMNS,
    METRIC_COLUMNS,
    SEED_COLUMNS,
    Row,
    dims_rows,
    evaluation_rows,
    headline_gains,
    hybrid_line,
    metric_rows,
    seed_rows,
    warnings,
)
from training.retrieval.metrics import HEADLINE

CARD = "README.md"
_NAMES = {"mrr@5": "MRR@5", "recall@5": "Recall@5", "ndcg@10": "NDCG@10"}
_TEMPLATE = Path(__file__).with_name("model_card_template.md")


def model_card(report: TrainingReport) -> str:
    """The text of the card."""
    title = one_line(f"{report.base_model.public_name}, adapted to {report.domain}")
    data = ModelCardData(
        base_model=report.base_model.hub_id,
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        tags=["sentence-transformers", "domain-router", report.domain],
        model_name=title,
        eval_results=eval_results(report),
    )
    return render_card(
        _TEMPLATE,
        data,
        title=title,
        report=report,
        counts=report.dataset.counts,
        warnings=warnings(report),
        evaluations=(EVALUATION_COLUMNS, evaluation_rows(report)),
        seeds=_table(SEED_COLUMNS, seed_rows(report)),
        baselines=_table(BASELINE_COLUMNS, baseline_rows(report)),
        dims=_table(DIMS_COLUMNS, dims_rows(report)),
        metrics=(METRIC_COLUMNS, metric_rows(report)),
        gains=headline_gains(report),
        hybrid=hybrid_line(report),
    )


def eval_results(report: TrainingReport) -> list[EvalResult]:
    """The headline metrics of every test set for the card's ``model-index``.

    That is a list of the metrics of one model, so those of the base model are in it under names of their own, like
    ``base_mrr@5``.
    """
    return [
        EvalResult(
            task_type="information-retrieval",
            task_name="Information Retrieval",
            dataset_type=name,
            dataset_name=f"{report.domain}, held out" if name == TEST else name,
            dataset_split=TEST,
            dataset_revision=found.fingerprint,
            metric_type=f"{prefix}{metric}",
            metric_name=f"{_NAMES[metric]}{words}",
            metric_value=metrics[metric],
        )
        for name, found in report.evaluations.items()
        for metrics, prefix, words in ((found.adapted, "", ""), (found.base, "base_", " of the base model"))
        for metric in HEADLINE
    ]


def _table(columns: Row, rows: list[Row]) -> tuple[Row, list[Row]] | None:
    """A table; None, which is left out, where it has no rows."""
    return (columns, rows) if rows else None

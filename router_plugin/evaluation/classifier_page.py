"""The evaluation of a domain classifier as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from registry.pages.charts import curve, reliability_diagram
from registry.pages.templates import render_html
from router_plugin.evaluation.classifier import Evaluation
from router_plugin.evaluation.confusions import confusion_rows

_TEMPLATE = Path(__file__).with_name("classifier.html")


def evaluation_page(evaluation: Evaluation, title: str) -> str:
    """The page.

    Args:
        evaluation: the figures.
        title: what was evaluated.
    """
    return render_html(
        _TEMPLATE,
        title=title,
        figures=list(_figures(evaluation)),
        reliability=reliability_diagram([each.place for each in evaluation.reliability]),
        roc=curve("ROC curve", evaluation.roc, "false", "true") if evaluation.roc else None,
        confusion=(evaluation.domains, confusion_rows(evaluation.domains, evaluation.confusion)),
        mistakes=[(each.query, each.domain, each.predicted, f"{each.probability:.3f}") for each in evaluation.mistakes],
    )


def _figures(evaluation: Evaluation) -> Iterator[Sequence[str]]:
    yield "queries", str(evaluation.queries)
    yield "accuracy", f"{evaluation.accuracy:.4f}"
    if evaluation.domain_accuracy is not None:
        yield "accuracy among the domains only", f"{evaluation.domain_accuracy:.4f}"
    yield "calibration error", f"{evaluation.calibration_error:.4f}"
    if evaluation.out_of_domain_auroc is not None:
        yield "AUROC of finding queries of no domain", f"{evaluation.out_of_domain_auroc:.4f}"
    yield "decided without an embedding", f"{evaluation.lexical_fraction:.1%}"
    for what, milliseconds in (("without", evaluation.lexical_ms), ("with", evaluation.embedded_ms)):
        if milliseconds is not None:
            yield f"median time of a query {what} one", f"{milliseconds:.2f} ms"

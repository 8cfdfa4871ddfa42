"""The evaluation of a domain classifier as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from registry.shared.html import page, table
from router_plugin.evaluation.classifier import Evaluation

SIDE = 320


def evaluation_page(evaluation: Evaluation, title: str) -> str:
    """The page.

    Args:
        evaluation: the figures.
        title: what was evaluated.
    """
    body = f"""{table(("", "value"), _headline(evaluation))}
<div class="figures">
<figure>{_reliability(evaluation)}
<figcaption>Reliability: how often queries of a confidence are right</figcaption></figure>
<figure>{_roc(evaluation)}
<figcaption>Telling queries of no domain: false against true positives</figcaption></figure>
</div>
<h2>Confusion</h2>
<p>Rows: the domain that a query is of. Columns: the one it was given to.</p>
<div class="scroll">{_confusion(evaluation)}</div>
<h2>The most confident mistakes</h2>
{table(("query", "is of", "given to", "probability"), _mistakes(evaluation), text=3)}"""
    return page(title, body)


def _headline(evaluation: Evaluation) -> Iterable[Sequence[str]]:
    yield "queries", str(evaluation.queries)
    yield "accuracy", f"{evaluation.accuracy:.4f}"
    if evaluation.domain_accuracy is not None:
        yield "accuracy among the domains alone", f"{evaluation.domain_accuracy:.4f}"
    yield "calibration error", f"{evaluation.calibration_error:.4f}"
    if evaluation.out_of_domain_auroc is not None:
        yield "AUROC of telling queries of no domain", f"{evaluation.out_of_domain_auroc:.4f}"
    yield "decided without an embedding", f"{evaluation.cheap_share:.1%}"
    for what, milliseconds in (("without", evaluation.cheap_ms), ("with", evaluation.embedded_ms)):
        if milliseconds is not None:
            yield f"median time of a query {what} one", f"{milliseconds:.2f} ms"


def _mistakes(evaluation: Evaluation) -> Iterable[Sequence[str]]:
    for mistake in evaluation.mistakes:
        yield mistake.query, mistake.domain, mistake.given, f"{mistake.probability:.3f}"


def _confusion(evaluation: Evaluation) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in evaluation.domains)
    rows = []
    for name, counts in zip(evaluation.domains, evaluation.confusion, strict=True):
        cells = []
        for other, count in zip(evaluation.domains, counts, strict=True):
            hue = "210 80%" if name == other else "10 80%"
            shade = count / max(sum(counts), 1)
            cells.append(f'<td style="background: hsl({hue} 55% / {shade:.2f})">{count or ""}</td>')
        rows.append(f'<tr><th class="text">{escape(name)}</th>{"".join(cells)}</tr>')
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _reliability(evaluation: Evaluation) -> str:
    most = max(each.queries for each in evaluation.reliability)
    marks = "".join(
        f'<circle cx="{SIDE * each.confidence:.1f}" cy="{SIDE * (1 - each.accuracy):.1f}" '
        f'r="{3 + 9 * (each.queries / most) ** 0.5:.1f}" fill="var(--after)" fill-opacity=".7">'
        f"<title>{each.queries} queries: confidence {each.confidence:.2f}, right {each.accuracy:.2f}</title></circle>"
        for each in evaluation.reliability
    )
    return _plot(marks, "confidence", "share that is right")


def _roc(evaluation: Evaluation) -> str:
    if not evaluation.roc:
        return "<p>The file has no queries of no domain, or none of a domain.</p>"
    points = " ".join(f"{SIDE * false:.1f},{SIDE * (1 - true):.1f}" for false, true in evaluation.roc)
    return _plot(f'<polyline points="{points}" fill="none" stroke="var(--after)" stroke-width="2"/>', "false", "true")


def _plot(marks: str, across: str, up: str) -> str:
    return f"""<svg width="{SIDE + 40}" height="{SIDE + 40}" viewBox="-30 -10 {SIDE + 40} {SIDE + 40}" role="img">
<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="var(--frame)"/>
<line x1="0" y1="{SIDE}" x2="{SIDE}" y2="0" stroke="var(--frame)" stroke-dasharray="4 4"/>{marks}
<text x="0" y="{SIDE + 15}">0</text><text x="{SIDE}" y="{SIDE + 15}" text-anchor="end">1</text>
<text x="{SIDE / 2}" y="{SIDE + 15}" text-anchor="middle">{across}</text>
<text x="-8" y="{SIDE / 2}" text-anchor="middle" transform="rotate(-90 -8 {SIDE / 2})">{up}</text></svg>"""

"""``report.html``: what a training run did to its model, as one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from registry.shared import html
from registry.shared.html import table
from training.reporting.charts import Link, Point, histograms, intervals, scatter
from training.reporting.evidence import BEYOND, Change, Evidence, Map
from training.reporting.report import Iteration, TrainingReport
from training.reporting.single_set_baselines import BASELINES, baseline_rows
from training.reporting.verdicts import (
    BOTH_SIDES,
    OVER_DIMS,
    OVER_SEEDS,
    both_sides,
    over_dims,
    over_seeds,
    warnings,
)
from training.retrieval.metrics import HEADLINE
from training.retrieval.ranking import DEPTH

PAGE = "report.html"
"""Name of the page in a model folder."""
LONGEST = 300
"""Characters shown of a text."""
_ENDS = (1, 2, 3, 5, 10, 20, 50, DEPTH, BEYOND)
"""The last rank of each bin."""
_BINS = ("1", "2", "3", "4-5", "6-10", "11-20", "21-50", "51-100", "> 100")
_FACTS = ("recipe", "encoded_with", "dimension", "max_length", "pooling", "device", "threads", "seconds")
_JUDGED = ("judged", "relevant", "unknown")
"""What a judge did for an iteration, in documents."""
_ROWS = 100
"""Iterations shown: the last ones of more."""


def report_page(report: TrainingReport, evidence: Evidence) -> str:
    """The page; its size is bounded whatever the data, for texts are cut and lists are samples.

    Args:
        report: as ``report.json`` holds it.
        evidence: what is shown of single texts.
    """
    sections = {
        "Both sides": _sides(report),
        "Metrics by iteration": _iterations(report),
        "Query by query": _queries(evidence),
        "Ranks": _ranks(evidence),
        "What was learnt from": _examples(evidence),
        "Map of the embeddings": _embeddings(evidence),
        "Options": table(("option", "value"), [(name, str(value)) for name, value in report.options.items()], 2),
        "Lineage": table(("", ""), _lineage(report), 2),
    }
    body = "\n".join(f"<section><h2>{title}</h2>\n{body}</section>" for title, body in sections.items())
    return html.page(f"{report.base_model.name}, adapted to {report.domain}", body)


def write_page(folder: Path, page: str) -> None:
    """Write the page into a model folder; unencodable characters become numeric references."""
    (folder / PAGE).write_text(page, encoding="utf-8", errors="xmlcharrefreplace")


def _sides(report: TrainingReport) -> str:
    warned = "".join(f'<p class="warning">{escape(words)}</p>' for words in warnings(report))
    tables = [_wide(BOTH_SIDES, both_sides(report))]
    if rows := baseline_rows(report):
        tables.append(f"<h3>Compared with the models of one set alone</h3>{_wide(BASELINES, rows)}")
    if rows := over_seeds(report):
        tables.append(f"<h3>Over {len(report.seeds)} seeds</h3>{_wide(OVER_SEEDS, rows)}")
    if rows := over_dims(report):
        tables.append(f"<h3>Leading dimensions</h3>{_wide(OVER_DIMS, rows)}")
    return f"""{warned}{"".join(tables)}
<p class="soft">{escape(report.chosen)} was kept, the best on dev. test is the domain's own test split; no test set
decided which model was kept. A difference is adapted minus base, with its bootstrap interval over queries and the
p-value of a paired randomisation test.</p>"""


def _iterations(report: TrainingReport) -> str:
    history = report.iterations[-_ROWS:]
    base = report.iterations[0].dev
    figures = "".join(
        f"<figure>{intervals([_point(entry, base, metric, report.chosen) for entry in history])}"
        f"<figcaption>{metric}</figcaption></figure>"
        for metric in HEADLINE
    )
    judged = _JUDGED if any(entry.judged for entry in history) else ()
    columns = ("state", "mined", "steps", "loss", "weight of trained", "seconds", *HEADLINE, *judged)
    return f"""<p>On the dev split, by which the best is chosen: that flatters it. Bars are the 95 % bootstrap interval
of the difference to the base model. The state that was kept is in colour.</p>
<div class="figures">{figures}</div>
<h3>Figures</h3>{_wide(columns, [_row(entry, judged) for entry in history])}"""


def _point(state: Iteration, base: dict[str, float], metric: str, chosen: str) -> Point:
    """The base model has no interval: it differs from itself by nothing."""
    sure = state.comparison.get(metric)
    low, high = (base[metric] + side for side in ((sure.low, sure.high) if sure else (0.0, 0.0)))
    return Point(state.name, state.dev[metric], low, high, state.name == chosen)


def _row(state: Iteration, judged: Sequence[str]) -> tuple[str, ...]:
    trained = ["", "", "", "", ""]
    if state.loss is not None:
        figures = (f"{each:.4g}" for each in (state.loss, state.interpolation_weight))
        trained = [str(state.mined), str(state.steps), *figures, str(state.seconds)]
    found = state.judged.model_dump() if state.judged else {}
    return (
        state.name,
        *trained,
        *(f"{state.dev[metric]:.4f}" for metric in HEADLINE),
        *(str(found.get(name, "")) for name in judged),
    )


def _queries(evidence: Evidence) -> str:
    before, after = evidence.before, evidence.after
    better, worse = int((after < before).sum()), int((after > before).sum())
    return f"""<p>The rank of the best relevant document, of every query of the test split: better for {better}, worse
for {worse}, the same for {len(before) - better - worse}.</p>
<div class="scroll">{_transitions(evidence)}</div>
<p class="soft">Rows: the rank with the base model. Columns: with the adapted model. Right of the diagonal is worse.</p>
<h3>Worst regressions</h3>{_changes(evidence.worse, "No query ranks its best relevant document lower than before.")}
<h3>Greatest gains</h3>{_changes(evidence.better, "No query ranks its best relevant document higher than before.")}"""


def _transitions(evidence: Evidence) -> str:
    counts = np.zeros((len(_BINS), len(_BINS)), dtype=int)
    np.add.at(counts, (_bin(evidence.before), _bin(evidence.after)), 1)
    head = "".join(f"<th>{escape(name)}</th>" for name in _BINS)
    rows = []
    for up, name in enumerate(_BINS):
        cells = []
        for across, count in enumerate(counts[up].tolist()):
            colour = "frame" if across == up else "good" if across < up else "bad"
            share = round(100 * min(0.75, (count / counts.max()) ** 0.5))
            shade = f' style="background: color-mix(in srgb, var(--{colour}) {share}%, transparent)"' if count else ""
            cells.append(f"<td{shade}>{count or ''}</td>")
        rows.append(f'<tr><th class="text">{escape(name)}</th>{"".join(cells)}</tr>')
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _changes(changes: Sequence[Change], none: str) -> str:
    if not changes:
        return f"<p>{none}</p>"
    columns = ("query", "relevant text", "ranks first now", "before", "after")
    rows = [
        (_cut(each.query), _cut(each.relevant), _first(each), *map(_rank, (each.before, each.after)))
        for each in changes
    ]
    return _wide(columns, rows, 3)


def _first(change: Change) -> str:
    return "a relevant text" if change.after == 1 else _cut(change.first)


def _ranks(evidence: Evidence) -> str:
    counts = [np.bincount(_bin(ranks), minlength=len(_BINS)).tolist() for ranks in (evidence.before, evidence.after)]
    bins = [escape(name) for name in _BINS]
    return f"""<figure>{histograms(bins, *counts)}
<figcaption>Queries of the test split by the rank of their best relevant document: {_key("before", "base")},
{_key("after", "adapted")}</figcaption></figure>"""


def _examples(evidence: Evidence) -> str:
    shown = list(evidence.examples.items())
    shown = shown[:1] + shown[1:][-1:]  # the first and the last
    tables = [
        f"<h3>{escape(name)}</h3>"
        + _wide(
            ("query", "right text", "wrong texts"),
            [(_cut(row["query"]), _cut(row["right"]), _wrong(row["wrong"])) for row in rows],
            3,
        )
        for name, rows in shown
        if rows
    ]
    return f"<p>Some of the examples of the first and of the last iteration.</p>{''.join(tables)}"


def _wrong(texts: Sequence[str]) -> str:
    """The first of the wrong texts, and how many more there are."""
    if not texts:
        return "every other text"
    return _cut(texts[0]) + (f" (and {len(texts) - 1} more)" if len(texts) > 1 else "")


def _embeddings(evidence: Evidence) -> str:
    if evidence.maps is None:
        return "<p>There are too few texts for a map.</p>"
    figures = "".join(
        f"<figure>{scatter(list(_links(evidence, laid)), laid.others)}<figcaption>{name}</figcaption></figure>"
        for name, laid in zip(("base", "adapted"), evidence.maps, strict=True)
    )
    return f"""<p>A sample of test queries (dots), each joined to its best relevant text (squares), among other texts.
The query now ranks it {_key("good", "better")}, {_key("bad", "worse")} or {_key("before", "the same")}. The maps are
t-SNE's: who is near to whom means something, distances and directions do not.</p>
<div class="figures">{figures}</div>"""


def _links(evidence: Evidence, laid: Map) -> Iterator[Link]:
    for row, question in enumerate(evidence.questions):
        before, after = (int(ranks[evidence.mapped[row]]) for ranks in (evidence.before, evidence.after))
        colour = "good" if after < before else "bad" if after > before else "before"
        (x, y), (to_x, to_y) = laid.queries[row], laid.documents[row]
        words = f"{_cut(question)}: rank {_rank(before)}, now {_rank(after)}"
        yield Link((x, y), (to_x, to_y), colour, words)


def _lineage(report: TrainingReport) -> list[tuple[str, str]]:
    base, data = report.base_model, report.dataset
    others = {f"mixed in: {name}": found.fingerprint for name, found in report.mixed.items()}
    others |= {f"measured on: {name}": found.fingerprint for name, found in report.extra_test_sets.items()}
    return [
        ("domain", report.domain),
        ("base model", " ".join(filter(None, (base.name, base.revision)))),
        ("SHA-256 of its weights", base.weights_sha256),
        ("data", f"fingerprint {data.fingerprint}"),
        *((name.replace("_", " "), str(count)) for name, count in data.counts.items()),
        *((name, f"fingerprint {fingerprint}") for name, fingerprint in others.items()),
        ("relevance judged by", report.judge or "the data alone"),
        *((name.replace("_", " "), str(getattr(report, name))) for name in _FACTS),
    ]


def _bin(ranks: Any) -> Any:
    return np.searchsorted(_ENDS, ranks)


def _rank(rank: int) -> str:
    return str(rank) if rank < BEYOND else f"> {DEPTH}"


def _cut(text: str) -> str:
    shown = " ".join(text[: 2 * LONGEST].split())
    return shown if len(shown) <= LONGEST and len(text) <= 2 * LONGEST else f"{shown[:LONGEST]}…"


def _key(colour: str, words: str) -> str:
    return f'<span style="color: var(--{colour})">■</span> {words}'


def _wide(columns: Sequence[str], rows: Sequence[Sequence[str]], text: int = 1) -> str:
    return f'<div class="scroll">{table(columns, rows, text)}</div>'

"""``report.html``: what a training run did to its model, as one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from registry.pages.charts import Interval, Pair, Shaded, intervals, pair_map, paired_bars
from registry.pages.templates import render_html
from training.reporting.evidence import BEYOND, Change, Evidence
from training.reporting.maps import Map, Maps
from training.reporting.report import Iteration, TrainingReport
from training.reporting.single_set_baselines import BASELINE_COLUMNS, baseline_rows
from training.reporting.verdicts import (
    DIMS_COLUMNS,
    EVALUATION_COLUMNS,
    SEED_COLUMNS,
    dims_rows,
    evaluation_rows,
    hybrid_line,
    seed_rows,
    warnings,
)
from training.retrieval.metrics import HEADLINE
from training.retrieval.ranking import DEPTH

PAGE = "report.html"
"""Name of the page in a model folder."""
LONGEST = 300
"""Characters shown of a text."""
_TEMPLATE = Path(__file__).with_name("report.html")
_ENDS = (1, 2, 3, 5, 10, 20, 50, DEPTH, BEYOND)
"""The last rank of each bin."""
_BINS = ("1", "2", "3", "4-5", "6-10", "11-20", "21-50", "51-100", "> 100")
_FACTS = ("recipe", "encoded_with", "dimension", "max_length", "pooling", "device", "threads", "seconds")
_JUDGED = ("judged", "relevant", "unknown")
"""Documents that a relevance judge graded in an iteration, by the result."""
_ROWS = 100
"""Iterations shown: the last ones of more."""


def report_page(report: TrainingReport, evidence: Evidence) -> str:
    """The page; its size is bounded whatever the data, for texts are cut and lists are samples.

    Args:
        report: of the run.
        evidence: single texts to show.
    """
    before, after = evidence.before, evidence.after
    better, worse = int((after < before).sum()), int((after > before).sum())
    return render_html(
        _TEMPLATE,
        title=f"{report.base_model.name}, adapted to {report.domain}",
        report=report,
        warnings=warnings(report),
        hybrid=hybrid_line(report),
        evaluations=(EVALUATION_COLUMNS, evaluation_rows(report)),
        more_tables={
            "Compared with single-set models": (BASELINE_COLUMNS, baseline_rows(report)),
            f"Over {len(report.seeds)} seeds": (SEED_COLUMNS, seed_rows(report)),
            "Leading dimensions": (DIMS_COLUMNS, dims_rows(report)),
        },
        curves=_curves(report),
        iterations=_iterations(report),
        counts={"better": better, "worse": worse, "same": len(before) - better - worse},
        transitions=(_BINS, _transitions(evidence)),
        changes={"Worst regressions": _changes(evidence.worse), "Largest gains": _changes(evidence.better)},
        ranks=_ranks(evidence),
        examples=_examples(evidence),
        maps=_maps(evidence, evidence.maps) if evidence.maps else {},
        options=report.options.items(),
        lineage=_lineage(report),
    )


def write_page(folder: Path, page: str) -> None:
    """Write the page into a model folder; unencodable characters become numeric references."""
    (folder / PAGE).write_text(page, encoding="utf-8", errors="xmlcharrefreplace")


def _curves(report: TrainingReport) -> dict[str, Markup]:
    """Each headline metric of the states on dev, by its name."""
    return {
        metric: intervals(f"{metric} on dev by state", [_interval(state, report, metric) for state in _shown(report)])
        for metric in HEADLINE
    }


def _shown(report: TrainingReport) -> list[Iteration]:
    return report.iterations[-_ROWS:]


def _interval(state: Iteration, report: TrainingReport, metric: str) -> Interval:
    """The interval of the base model is empty: its difference from itself is 0."""
    comparison, base = state.comparison.get(metric), report.iterations[0].dev[metric]
    low, high = (comparison.low, comparison.high) if comparison else (0.0, 0.0)
    value, label = state.dev[metric], state.name.rpartition("iteration-")[2]
    title = f"{state.name}: {value:.4f}, {base + low:.4f} to {base + high:.4f}"
    return Interval(label, title, value, base + low, base + high, state.name == report.chosen)


def _iterations(report: TrainingReport) -> tuple[Sequence[str], list[Sequence[str]]]:
    """A table with a row for each state."""
    states = _shown(report)
    judged = _JUDGED if any(state.judged for state in states) else ()
    columns = ("state", "mined", "steps", "loss", "interpolation weight", "seconds", *HEADLINE, *judged)
    return columns, [_iteration(state, judged) for state in states]


def _iteration(state: Iteration, judged: Sequence[str]) -> Sequence[str]:
    trained = [""] * 5
    if state.loss is not None:
        figures = (f"{each:.4g}" for each in (state.loss, state.interpolation_weight))
        trained = [str(state.mined), str(state.steps), *figures, str(state.seconds)]
    found = state.judged.model_dump() if state.judged else {}
    metrics = (f"{state.dev[metric]:.4f}" for metric in HEADLINE)
    return (state.name, *trained, *metrics, *(str(found.get(name, "")) for name in judged))


def _transitions(evidence: Evidence) -> Iterator[tuple[str, list[Shaded]]]:
    """For each bin of ranks before, how many queries are in each bin after."""
    counts = np.zeros((len(_BINS), len(_BINS)), dtype=int)
    np.add.at(counts, (_bin(evidence.before), _bin(evidence.after)), 1)
    largest = counts.max()
    for up, name in enumerate(_BINS):
        yield (
            name,
            [
                Shaded(
                    str(count or ""),
                    "frame" if across == up else "good" if across < up else "bad",
                    100 * min(0.75, (count / largest) ** 0.5),
                )
                for across, count in enumerate(counts[up].tolist())
            ],
        )


def _changes(changes: Sequence[Change]) -> list[Sequence[str]]:
    return [
        (
            _cut(each.query),
            _cut(each.relevant),
            "a relevant text" if each.after == 1 else _cut(each.first),
            *map(_rank, (each.before, each.after)),
        )
        for each in changes
    ]


def _ranks(evidence: Evidence) -> Markup:
    counts = [np.bincount(_bin(ranks), minlength=len(_BINS)).tolist() for ranks in (evidence.before, evidence.after)]
    return paired_bars("Test queries by the rank of their best relevant document", _BINS, *counts)


def _examples(evidence: Evidence) -> dict[str, list[Sequence[str]]]:
    """Training examples of the first and of the last iteration that has any."""
    shown = [(name, rows) for name, rows in evidence.examples.items() if rows]
    return {
        name: [(_cut(row.query), _cut(row.positive), _negatives(row.negatives)) for row in rows]
        for name, rows in dict([*shown[:1], *shown[-1:]]).items()
    }


def _negatives(texts: Sequence[str]) -> str:
    """The first of the negatives, and how many more there are."""
    if not texts:
        return "every other text"
    return _cut(texts[0]) + (f" (and {len(texts) - 1} more)" if len(texts) > 1 else "")


def _maps(evidence: Evidence, maps: Maps) -> dict[str, Markup]:
    """The map of each of the two models by its name."""
    return {
        name: pair_map(f"map of {name} embeddings", list(_pairs(evidence, maps, places)), places.others.tolist())
        for name, places in (("base", maps.before), ("adapted", maps.after))
    }


def _pairs(evidence: Evidence, maps: Maps, places: Map) -> Iterator[Pair]:
    for row, (query, text) in enumerate(zip(maps.queries.tolist(), maps.texts, strict=True)):
        before, after = int(evidence.before[query]), int(evidence.after[query])
        colour = "good" if after < before else "bad" if after > before else "before"
        title = f"{_cut(text)}: rank {_rank(before)}, now {_rank(after)}"
        yield Pair(places.queries[row].tolist(), places.documents[row].tolist(), colour, title)


def _lineage(report: TrainingReport) -> list[tuple[str, str]]:
    base, data = report.base_model, report.dataset
    others = {f"mixed in: {name}": found.fingerprint for name, found in report.mixed.items()}
    others |= {f"guarded by: {name}": found.fingerprint for name, found in report.guards.items()}
    others |= {f"measured on: {name}": found.fingerprint for name, found in report.extra_test_sets.items()}
    return [
        ("domain", report.domain),
        ("base model", " ".join(filter(None, (base.name, base.revision)))),
        ("SHA-256 of its weights", base.weights_sha256),
        ("data", f"fingerprint {data.fingerprint}"),
        *((name.replace("_", " "), str(count)) for name, count in data.counts.items()),
        *((name, f"fingerprint {fingerprint}") for name, fingerprint in others.items()),
        ("relevance judged by", report.judge or "the labels only"),
        *((name.replace("_", " "), str(getattr(report, name))) for name in _FACTS),
    ]


def _bin(ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.searchsorted(_ENDS, ranks)


def _rank(rank: int) -> str:
    return str(rank) if rank < BEYOND else f"> {DEPTH}"


def _cut(text: str) -> str:
    shown = " ".join(text[: 2 * LONGEST].split())
    return shown if len(shown) <= LONGEST and len(text) <= 2 * LONGEST else f"{shown[:LONGEST]}…"

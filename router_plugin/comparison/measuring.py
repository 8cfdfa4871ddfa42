"""Measures one serving configuration on a task: quality, out-of-scope detection, time, memory, cost of a new domain."""

from __future__ import annotations

import resource
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from router_plugin.comparison.tasks import Question, Task
from router_plugin.router import DomainRouter
from router_plugin.serving.scores import Scored
from router_plugin.settings import Settings
from router_plugin.tuning.tuner import Tuner

UNADAPTED, MULTI, ORACLE = "unadapted", "multi", "oracle"
TWO_STAGE, ENSEMBLE, ADAPTIVE = "two_stage", "ensemble", "adaptive"
DEPTH = 5
WARMING, TIMED = 5, 200
BLOCK = 256

Ranks = Sequence[Sequence[tuple[str, float]]]


@dataclass(frozen=True)
class Configuration:
    """How a router is set up to serve many domains.

    Attributes:
        name: ``unadapted``, one encoder without adaptation; ``multi``, one encoder adapted to all domains;
            the strategies ``two_stage``, ``ensemble`` and ``adaptive``; or ``oracle``, two-stage routing with a
            classifier that is always right.
        settings: of the router.
        registry: URL of the registry.
        base_model: encoder of the general domain.
    """

    name: str
    settings: Settings
    registry: str | None = None
    base_model: str | None = None

    @property
    def single(self) -> bool:
        """Whether one encoder serves all domains."""
        return self.settings.strategy == "single"

    @property
    def knows_domains(self) -> bool:
        """Whether the router is given the right domain of every question."""
        return self.name == ORACLE


@dataclass(frozen=True)
class Quality:
    """Quality over questions that have a right route, without thresholds.

    Attributes:
        questions: their number.
        accuracy: fraction whose nearest route is right.
        mrr: mean reciprocal rank of the first right route among the nearest 5.
    """

    questions: int
    accuracy: float
    mrr: float


@dataclass(frozen=True)
class Figures:
    """Figures of one configuration.

    Attributes:
        configuration: its name, see :class:`Configuration`.
        quality: over all questions that have a right route.
        by_domain: the same by the domain of the question.
        routed: fraction of all questions that got a right route, or correctly got none, with thresholds.
        out_of_scope_recall: fraction of the questions without a right route that got none; None if there are none.
        out_of_scope_auroc: of detecting them by the probability that no route is right; None without such questions, or
            without others.
        domain_accuracy: fraction of the questions that were sent to their domain; None for one encoder.
        median_ms: milliseconds of one query that is not in the cache.
        p99_ms: the same.
        resident_mb: peak memory of a process that serves these queries.
        ready_s: seconds from the registry to the first query, without imports and without candidates kept on disk.
        adding_embeds: candidates that are embedded for one more domain, on average.
        adding_trains_on: training queries that the model of a new domain needs.
        nearest_right: of every question that has a right route, whether it is the nearest one.
        right: of every question, whether it got a right route, or correctly got none.
    """

    configuration: str
    quality: Quality
    by_domain: dict[str, Quality]
    routed: float
    out_of_scope_recall: float | None
    out_of_scope_auroc: float | None
    domain_accuracy: float | None
    median_ms: float
    p99_ms: float
    resident_mb: float
    ready_s: float
    adding_embeds: int
    adding_trains_on: str
    nearest_right: tuple[bool, ...]
    right: tuple[bool, ...]


def measure(task: Task, configuration: Configuration) -> Figures:
    """The figures of one configuration, measured in this process."""
    router, ready = _ready(task, configuration)
    texts, own = [each.text for each in task.questions], [each.domain for each in task.questions]
    known = own if configuration.knows_domains else None
    spent = _milliseconds(router, texts, known)
    resident = _peak_mb()
    _fit(router, task, configuration)
    blocks = [slice(start, start + BLOCK) for start in range(0, len(texts), BLOCK)]
    examined = [found for part in blocks for found in router.examine(texts[part], known[part] if known else None)]
    scored = [_without_own(found, each) for found, each in zip(examined, task.questions, strict=True)]
    ranks = [found.nearest(DEPTH) for found in scored]
    decisions = [router.decide(found) for found in scored]
    routed = [
        decision.route in each.relevant if each.relevant else decision.route is None
        for decision, each in zip(decisions, task.questions, strict=True)
    ]
    outside = [hit for hit, each in zip(routed, task.questions, strict=True) if not each.relevant]
    sent = [decision.domain == domain for decision, domain in zip(decisions, own, strict=True)]
    return Figures(
        configuration=configuration.name,
        quality=_quality(task.questions, ranks),
        by_domain=_by_domain(task.questions, ranks),
        routed=float(np.mean(routed)),
        out_of_scope_recall=float(np.mean(outside)) if outside else None,
        out_of_scope_auroc=_auroc(task.questions, scored),
        domain_accuracy=None if configuration.single else float(np.mean(sent)),
        median_ms=float(np.median(spent)),
        p99_ms=float(np.percentile(spent, 99)),
        resident_mb=resident,
        ready_s=ready,
        adding_embeds=_adding_embeds(task, configuration),
        adding_trains_on={UNADAPTED: "nothing", MULTI: "all domains"}.get(configuration.name, "its own"),
        nearest_right=tuple(
            bool(row) and row[0][0] in each.relevant
            for row, each in zip(ranks, task.questions, strict=True)
            if each.relevant
        ),
        right=tuple(routed),
    )


def _without_own(scored: Scored, question: Question) -> Scored:
    """The scores without routes that are the question itself."""
    if not question.own:
        return scored
    routes = scored.state.served.routes
    return scored.without([row for row in scored.positions.tolist() if routes[row].name in question.own])


def _ready(task: Task, configuration: Configuration) -> tuple[DomainRouter, float]:
    """A router that has loaded its models, and the seconds that this took."""
    single, settings = configuration.single, configuration.settings
    routes = [route.model_copy(update={"domain": None}) for route in task.routes] if single else task.routes
    started = time.perf_counter()
    router = DomainRouter(routes, configuration.registry, base_model=configuration.base_model, settings=settings)
    router.preload([settings.single_domain] if single else router.domains)
    return router, time.perf_counter() - started


def _fit(router: DomainRouter, task: Task, configuration: Configuration) -> None:
    """Tune the thresholds, if the task has questions for that."""
    if not task.fit:
        return
    labels = [question.relevant[0] if question.relevant else None for question in task.fit]
    domains = [each.domain for each in task.fit] if configuration.knows_domains else None
    Tuner(router).fit([each.text for each in task.fit], labels, domains)


def _quality(questions: Sequence[Question], ranks: Ranks) -> Quality:
    places = [
        next((place for place, (name, _) in enumerate(row) if name in each.relevant), None)
        for each, row in zip(questions, ranks, strict=True)
        if each.relevant
    ]
    if not places:
        return Quality(0, 0.0, 0.0)
    reciprocal = [0.0 if place is None else 1 / (1 + place) for place in places]
    return Quality(len(places), float(np.mean([place == 0 for place in places])), float(np.mean(reciprocal)))


def _by_domain(questions: Sequence[Question], ranks: Ranks) -> dict[str, Quality]:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, each in enumerate(questions):
        if each.relevant:
            rows[each.domain].append(row)
    return {
        name: _quality([questions[row] for row in members], [ranks[row] for row in members])
        for name, members in sorted(rows.items())
    }


def _auroc(questions: Sequence[Question], scored: Sequence[Scored]) -> float | None:
    inside = [bool(each.relevant) for each in questions]
    if all(inside) or not any(inside):
        return None
    return float(roc_auc_score(inside, [-found.outcome().none if len(found.positions) else -1.0 for found in scored]))


def _milliseconds(router: DomainRouter, texts: Sequence[str], domains: Sequence[str] | None) -> list[float]:
    """The time of some texts, each routed for the first time."""
    rows = np.random.default_rng(0).permutation(len(texts))[: WARMING + TIMED].tolist()
    spent = []
    for row in rows:
        started = time.perf_counter()
        router.route_many([texts[row]], None if domains is None else [domains[row]])
        spent.append(1000 * (time.perf_counter() - started))
    return spent[WARMING:] or spent


def _peak_mb() -> float:
    """Peak memory of this process; on Linux not from ``ru_maxrss``, which starts at the memory of the parent.

    psutil knows the current memory only, but for Windows.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        peak = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def _adding_embeds(task: Task, configuration: Configuration) -> int:
    """Candidates that are embedded when a domain of average size is added.

    One encoder embeds the new domain's candidates, or all of them if it was trained again. A domain's encoder embeds
    the candidates of the domain and those of no domain.
    """
    counts: dict[str | None, int] = defaultdict(int)
    for route in task.routes:
        for domain in route.domains or (None,):
            counts[domain] += len(route.utterances)
    everywhere = counts.pop(None, 0)
    mean = sum(counts.values()) / max(len(counts), 1)
    if configuration.name == MULTI:
        return round(sum(len(route.utterances) for route in task.routes) + mean)
    return round(mean if configuration.single else everywhere + mean)

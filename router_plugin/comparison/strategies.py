"""The known ways to serve many domains, compared on one task: quality, what is out of scope, time, memory, growth."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import resource
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from registry import GENERAL
from router_plugin.errors import ComparisonError, RoutesError, SettingsError
from router_plugin.router import DomainRouter
from router_plugin.routes import Route
from router_plugin.settings import Settings

WAYS = ("base", "multi", "two_stage", "ensemble", "oracle")
DEPTH = 5
WARMING, TIMED = 5, 200
BLOCK = 256
LIBRARIES = ("router_plugin.router", "router_plugin.encoders.torch_encoder")
"""Imported before a way is timed."""
KEPT = 3
"""Embeddings that the query cache keeps of a question at most: by three encoders."""


@dataclass(frozen=True)
class Question:
    """A query whose right routes are known; without any, it shall get none."""

    text: str
    domain: str
    relevant: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """What ways to serve are compared on.

    Attributes:
        routes: of all domains. A document is a route with one utterance.
        questions: to measure on, at least one.
        fit: questions that thresholds are fitted to first, by every way for itself.
    """

    routes: tuple[Route, ...]
    questions: tuple[Question, ...]
    fit: tuple[Question, ...] = ()


@dataclass(frozen=True)
class Quality:
    """Of questions that have a right route, whatever the thresholds.

    Attributes:
        questions: how many.
        accuracy: share whose nearest route is right.
        mrr: mean reciprocal rank of the first right one among the nearest 5.
    """

    questions: int
    accuracy: float
    mrr: float


@dataclass(frozen=True)
class Figures:
    """One way to serve.

    Attributes:
        way: ``base``, one encoder that was adapted to nothing; ``multi``, one adapted to all domains; ``two_stage``;
            ``ensemble``; or ``oracle``, two-stage routing by a classifier that is never wrong.
        quality: of all questions that have a right route.
        by_domain: the same by the domain of the question.
        routed: share of all questions that got a right route, or none where they have none, with thresholds.
        out_of_scope_recall: share of the questions without a right route that got none; None where there are none.
        out_of_scope_auroc: of telling them by the score of the nearest route; None where there are none, or no others.
        domain_accuracy: share of the questions that went to their domain; None for one encoder.
        median_ms: of one query that was not asked before.
        p99_ms: the same.
        resident_mb: the most memory of a process that serves these queries.
        ready_s: seconds from the registry to the first query, without imports and without candidates kept on disk.
        adding_embeds: candidates that one domain more embeds, on average.
        adding_trains_on: training questions that a new domain's model needs.
    """

    way: str
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


@dataclass(frozen=True)
class Comparison:
    """All ways on one task."""

    ways: list[Figures]

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON can hold them."""
        return asdict(self)


@dataclass(frozen=True)
class _Way:
    """How a way is set up: settings, and the registry."""

    name: str
    settings: Settings
    registry: str | None
    base_model: str | None

    @property
    def single(self) -> bool:
        return self.settings.strategy == "single"


def compare(
    task: Task,
    registry: str | None = None,
    *,
    multi_registry: str | None = None,
    multi_domain: str | None = None,
    base_model: str | None = None,
    settings: Settings | None = None,
    ways: Collection[str] = WAYS,
) -> Comparison:
    """Compare the ways on a task, each in a process of its own.

    Args:
        task: what is asked.
        registry: URL of the registry.
        multi_registry: URL of the one that has the model of all domains; by default the same.
        multi_domain: the name that this model is registered with; without one, ``multi`` is left out.
        base_model: encoder of the general domain.
        settings: of all ways; the strategy is each way's own, and the cache holds all questions.
        ways: those to compare.

    Raises:
        RoutesError: a question names a route that there is not.
        SettingsError: a way that there is not, or ``multi`` alone without ``multi_domain``.
        ComparisonError: the process of a way was killed.
        DomainRouterError: see :class:`router_plugin.DomainRouter`.
    """
    _check(task)
    if unknown := set(ways) - set(WAYS):
        raise SettingsError(f"way {min(unknown)!r}: expected some of {', '.join(WAYS)}")
    asked = len(task.questions) + len(task.fit)
    same = (settings or Settings()).replace(query_cache=KEPT * asked)  # each is asked twice
    every = [_Way("base", same.replace(strategy="single", single_domain=GENERAL), registry, base_model)]
    if multi_domain:
        alone = same.replace(strategy="single", single_domain=multi_domain)
        every.append(_Way("multi", alone, multi_registry or registry, base_model))
    every.append(_Way("two_stage", same.replace(strategy="two_stage"), registry, base_model))
    every.append(_Way("ensemble", same.replace(strategy="ensemble"), registry, base_model))
    every.append(_Way("oracle", same.replace(strategy="two_stage"), registry, base_model))
    chosen = [way for way in every if way.name in ways]
    if not chosen:
        raise SettingsError("there is no way to compare: multi needs the name of the model of all domains")
    return Comparison([_alone(task, way) for way in chosen])


def _check(task: Task) -> None:
    names = {route.name for route in task.routes}
    for question in (*task.questions, *task.fit):
        if unknown := set(question.relevant) - names:
            raise RoutesError(f"question {question.text!r:.60}: there is no route {min(unknown)!r}")


def _alone(task: Task, way: _Way) -> Figures:
    """In a fresh process, whose memory is the way's own."""
    try:
        with _fresh_process() as pool:
            return pool.submit(measure, task, way).result()
    except BrokenProcessPool as error:
        raise ComparisonError(
            f"way {way.name}: its process was ended from outside, most likely for want of memory: "
            "compare fewer candidates, or leave it out"
        ) from error


def _fresh_process() -> ProcessPoolExecutor:
    """On Linux, forked from a server that has imported the libraries once for all processes."""
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    context.set_forkserver_preload(list(LIBRARIES))
    return ProcessPoolExecutor(1, context, initializer=_begin, initargs=(LIBRARIES, dict(os.environ)))


def _begin(libraries: Sequence[str], environment: Mapping[str, str]) -> None:
    """Import the libraries, and end with the parent: a process whose parent is killed would work on.

    A server that was started before has the environment of that time, so the parent's is handed over.
    """
    os.environ.clear()
    os.environ.update(environment)
    for name in libraries:
        importlib.import_module(name)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def measure(task: Task, way: _Way) -> Figures:
    """The figures of one way, in this process."""
    routes = [route.model_copy(update={"domain": None}) for route in task.routes] if way.single else task.routes
    started = time.perf_counter()
    router = DomainRouter(routes, way.registry, base_model=way.base_model, settings=way.settings)
    domains = router.domains
    router.preload([way.settings.single_domain] if way.single else domains)
    ready = time.perf_counter() - started
    known = way.name == "oracle"
    texts, own = [each.text for each in task.questions], [each.domain for each in task.questions]
    spent = _milliseconds(router, texts, own if known else None)
    resident = _resident_mb()
    if task.fit:
        labels = [question.relevant[0] if question.relevant else None for question in task.fit]
        router.fit([each.text for each in task.fit], labels, [each.domain for each in task.fit] if known else None)
    blocks = [slice(start, start + BLOCK) for start in range(0, len(texts), BLOCK)]
    ranks = [row for part in blocks for row in router.rank(texts[part], DEPTH, own[part] if known else None)]
    decisions = [row for part in blocks for row in router.route_many(texts[part], own[part] if known else None)]
    routed = [
        decision.route in each.relevant if each.relevant else decision.route is None
        for decision, each in zip(decisions, task.questions, strict=True)
    ]
    outside = [hit for hit, each in zip(routed, task.questions, strict=True) if not each.relevant]
    return Figures(
        way=way.name,
        quality=_quality(task.questions, ranks),
        by_domain=_by_domain(task.questions, ranks),
        routed=float(np.mean(routed)),
        out_of_scope_recall=float(np.mean(outside)) if outside else None,
        out_of_scope_auroc=_auroc(task.questions, ranks),
        domain_accuracy=None
        if way.single
        else float(np.mean([d.domain == each for d, each in zip(decisions, own, strict=True)])),
        median_ms=float(np.median(spent)),
        p99_ms=float(np.percentile(spent, 99)),
        resident_mb=resident,
        ready_s=ready,
        adding_embeds=_adding_embeds(task, way),
        adding_trains_on={"base": "nothing", "multi": "all domains"}.get(way.name, "its own"),
    )


Ranks = Sequence[Sequence[tuple[str, float]]]


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


def _auroc(questions: Sequence[Question], ranks: Ranks) -> float | None:
    inside = [bool(each.relevant) for each in questions]
    if all(inside) or not any(inside):
        return None
    return float(roc_auc_score(inside, [row[0][1] if row else -1.0 for row in ranks]))


def _milliseconds(router: DomainRouter, texts: Sequence[str], domains: Sequence[str] | None) -> list[float]:
    """Of some texts, each asked for the first time."""
    rows = np.random.default_rng(0).permutation(len(texts))[: WARMING + TIMED].tolist()
    spent = []
    for row in rows:
        started = time.perf_counter()
        router.route_many([texts[row]], None if domains is None else [domains[row]])
        spent.append(1000 * (time.perf_counter() - started))
    return spent[WARMING:] or spent


def _resident_mb() -> float:
    """The most that this process has taken; Linux counts what its parent took in ``ru_maxrss`` too."""
    status = Path("/proc/self/status")
    if status.is_file():
        peak = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def _adding_embeds(task: Task, way: _Way) -> int:
    """Candidates that are embedded when a domain like the present ones joins.

    One encoder embeds the new domain's, or all where it was trained again. A domain's encoder embeds the domain's and
    those of no domain.
    """
    counts: dict[str | None, int] = defaultdict(int)
    for route in task.routes:
        for domain in route.domains or (None,):
            counts[domain] += len(route.utterances)
    everywhere = counts.pop(None, 0)
    mean = sum(counts.values()) / max(len(counts), 1)
    if way.name == "multi":
        return round(sum(len(route.utterances) for route in task.routes) + mean)
    return round(mean if way.single else everywhere + mean)

"""Measures the models of a run on the domain's own test split and on any other set, and what may be lost on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.gates.query_metrics import QueryMetrics as KeptMetrics
from registry.records import TEST, ComparedMetrics, ComparisonRecord, EvaluationRecord
from training.prepared.format import PreparedData
from training.reporting.report import Iteration, SeedResult
from training.retrieval.metrics import DECIDING, HEADLINE, mean_metrics
from training.retrieval.significance import compare_metrics
from training.retrieval.states import BASE_STATE, State, States
from training.retrieval.texts import Texts
from training.runs.run import Run

_ROUNDING = 1e-9

QueryMetrics = Mapping[str, NDArray[np.float64]]
"""Metric to its value for every query."""


@dataclass(frozen=True)
class Outcome:
    """The states that the training of one seed went through, measured on dev; the base model first."""

    seed: int
    history: list[Iteration]

    @cached_property
    def best(self) -> Iteration:
        """The state that is best on dev; in a tie the first, and so the base model if it takes part."""
        return max(self.history, key=lambda state: state.dev[DECIDING])


def best_outcome(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome whose best state is best on dev; in a tie the first."""
    return max(outcomes, key=lambda outcome: outcome.best.dev[DECIDING])


@dataclass(frozen=True)
class TestResults:
    """What was measured on test sets.

    Attributes:
        kept: the outcome that is best on dev.
        sets: metrics of the base and of the chosen model on every set by its name, the domain's own first.
        dims: the same on the domain's own with only the leading dimensions, by their number.
        seeds: the chosen state of every seed.
        by_query: of the chosen model the headline metrics of every query, by test set.
    """

    __test__ = False  # for pytest

    kept: Outcome
    sets: dict[str, EvaluationRecord]
    dims: dict[int, ComparedMetrics]
    seeds: list[SeedResult]
    by_query: dict[str, KeptMetrics]

    def fields(self) -> dict[str, Any]:
        """The same under the field names of :class:`~training.reporting.report.TrainingReport`."""
        own, best = self.sets[TEST], self.kept.best
        return {
            "iterations": self.kept.history,
            "chosen": best.name,
            "improved": best.name != BASE_STATE,
            "base_metrics": {"dev": self.kept.history[0].dev, TEST: own.base},
            "adapted_metrics": {"dev": best.dev, TEST: own.adapted},
            "comparison": own.comparison,
            "max_loss": own.max_loss,
            "lost_too_much": own.lost_too_much,
            "extra_test_sets": {name: found for name, found in self.sets.items() if name != TEST},
            "dims": self.dims,
            "seeds": self.seeds,
        }


class TestSetEvaluator:
    """Measures states on every test set; each measurement is a step of the run, named by the content of the set."""

    def __init__(
        self,
        run: Run,
        states: States,
        data: PreparedData,
        extra: Mapping[str, PreparedData],
        dims: Sequence[int] | None = None,
    ) -> None:
        self._run = run
        self._states = states
        self._sets = {TEST: data, **data.parts, **extra}
        self._dims = dims or ()
        self._texts = {name: Texts(other) for name, other in extra.items()}
        spans = Texts(data).spans(TEST) if data.parts else []
        self._parts = {name: asking for name, (asking, _) in zip(data.parts, spans, strict=True)}

    def measure(
        self, outcomes: Sequence[Outcome], max_loss: Mapping[str, float], mean: Outcome | None = None
    ) -> TestResults:
        """Measure the base model, the state of each seed that was chosen on dev, and their mean if it is kept.

        Nothing else uses a test set.

        Args:
            outcomes: of every seed.
            max_loss: limits by test set.
            mean: of the seeds' models; it is kept if it is better on dev than each of them.
        """
        kept = best_outcome([*outcomes, mean] if mean else outcomes)
        return TestResults(
            kept=kept,
            sets=self._evaluate(kept, max_loss),
            dims={dims: self._truncated(kept, dims) for dims in self._dims},
            seeds=[self._of_seed(outcome) for outcome in outcomes],
            by_query={name: self._kept(name, values) for name, values in self._query_metrics(kept.best.name).items()},
        )

    def _evaluate(self, kept: Outcome, max_loss: Mapping[str, float]) -> dict[str, EvaluationRecord]:
        """Both models on every set, by its name, and whether its limit is broken."""
        base, adapted = self._metrics(BASE_STATE), self._metrics(kept.best.name)
        before, after = self._query_metrics(BASE_STATE), self._query_metrics(kept.best.name)
        return {
            name: EvaluationRecord(
                base=base[name],
                adapted=adapted[name],
                comparison=self._compare(name, before[name], after[name], kept.seed),
                fingerprint=data.fingerprint,
                queries=len(data.qrels[TEST]),
                max_loss=max_loss.get(name),
                lost_too_much=_loss(base[name], adapted[name]) > max_loss.get(name, 1) + _ROUNDING,
            )
            for name, data in self._sets.items()
        }

    def _truncated(self, kept: Outcome, dims: int) -> ComparedMetrics:
        """Both models on the domain's own test set, with only this number of leading dimensions."""
        fingerprint, names = self._sets[TEST].fingerprint, (BASE_STATE, kept.best.name)
        base, adapted = (
            self._run.step(f"{TEST}-{fingerprint}-{name}-{dims}", partial(self._states[name].metrics, TEST, dims))
            for name in names
        )
        before, after = (self._states[name].query_metrics(TEST, dims) for name in names)
        return ComparedMetrics(base=base, adapted=adapted, comparison=self._compare(TEST, before, after, kept.seed))

    def _compare(self, name: str, before: QueryMetrics, after: QueryMetrics, seed: int) -> dict[str, ComparisonRecord]:
        found = compare_metrics(before, after, seed, self._rows(name))
        return {metric: ComparisonRecord(**values) for metric, values in found.items()}

    def _of_seed(self, outcome: Outcome) -> SeedResult:
        metrics = self._metrics(outcome.best.name)
        test = metrics.pop(TEST)
        return SeedResult(
            seed=outcome.seed, chosen=outcome.best.name, dev=outcome.best.dev, test=test, extra_test_sets=metrics
        )

    def _metrics(self, state: str) -> dict[str, dict[str, float]]:
        """Metrics of a state on every set, by the set's name."""
        return {
            name: self._run.step(f"{TEST}-{data.fingerprint}-{state}", partial(self._measure, name, state))
            for name, data in self._sets.items()
        }

    def _measure(self, name: str, state: str) -> dict[str, float]:
        return mean_metrics(self._by_query(name, state), self._rows(name))

    def _query_metrics(self, state: str) -> dict[str, QueryMetrics]:
        """The same for every query."""
        return {name: self._by_query(name, state) for name in self._sets}

    def _kept(self, name: str, values: QueryMetrics) -> KeptMetrics:
        return KeptMetrics(
            fingerprint=self._sets[name].ranking_digest(TEST),
            sets=tuple(len(values[HEADLINE[0]][rows]) for rows in self._rows(name)),
            metrics={metric: tuple(values[metric].tolist()) for metric in HEADLINE},
        )

    def _by_query(self, name: str, state: str) -> QueryMetrics:
        """Metrics of every query of a set; where sets are joined, a set's queries are some of the joined ones."""
        if name not in self._parts:
            return self._state(name, state).query_metrics(TEST)
        return {metric: values[self._parts[name]] for metric, values in self._by_query(TEST, state).items()}

    def _rows(self, name: str) -> list[slice]:
        """The queries of each set that is in a set: of a joined one, those of its parts."""
        return list(self._parts.values()) if name == TEST and self._parts else [slice(None)]

    def _state(self, name: str, state: str) -> State:
        if name == TEST:
            return self._states[state]
        return self._states[state].over(name, self._texts[name], self._sets[name].fingerprint)


def compare_on(before: State, after: State, seed: int = 0) -> ComparedMetrics:
    """Two states on the test split of their data, query by query.

    Args:
        before: the base model.
        after: the model that is compared with it.
        seed: of the comparison's resampling.
    """
    found = compare_metrics(before.query_metrics(TEST), after.query_metrics(TEST), seed, [slice(None)])
    comparison = {metric: ComparisonRecord(**values) for metric, values in found.items()}
    return ComparedMetrics(base=before.metrics(TEST), adapted=after.metrics(TEST), comparison=comparison)


def _loss(base: Mapping[str, float], adapted: Mapping[str, float]) -> float:
    return base[HEADLINE[0]] - adapted[HEADLINE[0]]

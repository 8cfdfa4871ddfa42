"""What a run's models are judged on: the domain's own test split and any other set, and what may be lost on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.names import TEST, check_test_set
from training.errors import TrainingError
from training.prepared.format import SPLITS, PreparedData
from training.retrieval.metrics import DECIDING, HEADLINE, mean_metrics
from training.retrieval.significance import compare_metrics
from training.retrieval.states import BASE_STATE, State, States, Texts
from training.runs.run import Run

_ROUNDING = 1e-9


def check_judging(data: PreparedData, also: Mapping[str, PreparedData], max_loss: Mapping[str, float]) -> None:
    """Make sure that all can be trained on and measured as asked, before long work is done.

    Raises:
        TrainingError: a split that is needed has no queries, or a limit is out of range or of no known set.
        InvalidNameError: a set's name is not allowed.
    """
    for name in also:
        check_test_set(name)
        if name in data.parts:
            raise TrainingError(f"--also-evaluate {name}: a set that is trained on has that name: choose another")
    for name, limit in max_loss.items():
        if name not in (TEST, *data.parts, *also):
            raise TrainingError(
                f"--max-loss {name}: no set of that name is measured: expected "
                f"{', '.join((TEST, *data.parts, *also))}; "
                f"add others with --also-evaluate {name}=DIR"
            )
        if not 0 <= limit <= 1:
            raise TrainingError(f"--max-loss {name}={limit:g} is out of range: expected from 0 to 1")
    for each in data.parts.values() or [data]:
        for split in SPLITS:
            check_queries("data to train on", each, split, "prepare them with --split grouped or random")
    for name, other in also.items():
        check_queries(f"--also-evaluate {name}", other, TEST, "prepare it with --split test")


def check_queries(what: str, data: PreparedData, split: str, remedy: str) -> None:
    """Make sure that a split is there.

    Raises:
        TrainingError: it has no queries.
    """
    if not data.qrels[split]:
        named = "training" if split == "train" else split
        raise TrainingError(f"{what}, prepared from {data.manifest.get('source')}: no {named} queries: {remedy}")


@dataclass(frozen=True)
class Outcome:
    """What one seed's training gave: what was measured of each state on dev, the base model first."""

    seed: int
    history: list[dict[str, Any]]

    @cached_property
    def best(self) -> dict[str, Any]:
        """The state that is best on dev; of equals the first, which is the untouched model if that is one of them."""
        return max(self.history, key=lambda entry: float(entry["dev"][DECIDING]))


def best_outcome(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome whose best state is best on dev; of equals the first."""
    return max(outcomes, key=lambda outcome: float(outcome.best["dev"][DECIDING]))


class TestSetEvaluator:
    """Measures states on every test set; each measurement is a step of the run, named by the set's content."""

    def __init__(
        self,
        run: Run,
        states: States,
        data: PreparedData,
        also: Mapping[str, PreparedData],
        dims: Sequence[int] | None = None,
    ) -> None:
        self._run = run
        self._states = states
        self._sets = {TEST: data, **data.parts, **also}
        self._dims = dims or ()
        self._texts = {name: Texts(other) for name, other in also.items()}
        spans = Texts(data).spans(TEST) if data.parts else []
        self._parts = {name: asking for name, (asking, _) in zip(data.parts, spans, strict=True)}

    def report(self, outcomes: Sequence[Outcome], max_loss: Mapping[str, float]) -> dict[str, Any]:
        """What the report says of the outcomes and of the model that is kept.

        Only here is a test set used: by the base model, and by the state of each seed that was chosen on dev.
        """
        kept = best_outcome(outcomes)
        chosen = kept.best["name"]
        sets = self._evaluate(chosen, kept.seed, max_loss)
        own = sets.pop(TEST)
        return {
            "iterations": kept.history,
            "chosen": chosen,
            "improved": chosen != BASE_STATE,
            "base_metrics": {"dev": kept.history[0]["dev"], "test": own["base"]},
            "adapted_metrics": {"dev": kept.best["dev"], "test": own["adapted"]},
            **{name: own[name] for name in ("comparison", "max_loss", "lost_too_much")},
            "dims": {str(dims): self._truncated(chosen, dims, kept.seed) for dims in self._dims},
            "also": sets,
            "seeds": [self._of_seed(outcome) for outcome in outcomes],
        }

    def _evaluate(self, chosen: str, seed: int, max_loss: Mapping[str, float]) -> dict[str, dict[str, Any]]:
        """Both sides of every set, by its name, with the verdict of its guard."""
        base, adapted = self._metrics(BASE_STATE), self._metrics(chosen)
        before, after = self._query_metrics(BASE_STATE), self._query_metrics(chosen)
        return {
            name: {
                "fingerprint": data.fingerprint,
                "queries": len(data.qrels[TEST]),
                "base": base[name],
                "adapted": adapted[name],
                "comparison": compare_metrics(before[name], after[name], seed, self._rows(name)),
                "max_loss": max_loss.get(name),
                "lost_too_much": _loss(base[name], adapted[name]) > max_loss.get(name, 1) + _ROUNDING,
            }
            for name, data in self._sets.items()
        }

    def _truncated(self, chosen: str, dims: int, seed: int) -> dict[str, dict[str, Any]]:
        """Both sides of the domain's own test set, with so many leading dimensions."""
        fingerprint = self._sets[TEST].fingerprint
        base, adapted = (
            self._run.step(f"{TEST}-{fingerprint}-{name}-{dims}", partial(self._states[name].metrics, TEST, dims))
            for name in (BASE_STATE, chosen)
        )
        before, after = (self._states[name].query_metrics(TEST, dims) for name in (BASE_STATE, chosen))
        return {"base": base, "adapted": adapted, "comparison": compare_metrics(before, after, seed, self._rows(TEST))}

    def _of_seed(self, outcome: Outcome) -> dict[str, Any]:
        also = self._metrics(outcome.best["name"])
        test = also.pop(TEST)
        return {
            "seed": outcome.seed,
            "chosen": outcome.best["name"],
            "dev": outcome.best["dev"],
            "test": test,
            "also": also,
        }

    def _metrics(self, state: str) -> dict[str, dict[str, float]]:
        """Metrics of a state on every set, by the set's name."""
        return {
            name: self._run.step(f"{TEST}-{data.fingerprint}-{state}", partial(self._measure, name, state))
            for name, data in self._sets.items()
        }

    def _measure(self, name: str, state: str) -> dict[str, float]:
        return mean_metrics(self._of_queries(name, state), self._rows(name))

    def _query_metrics(self, state: str) -> dict[str, dict[str, NDArray[np.float64]]]:
        """The same of every query; one state at a time, so that its model is loaded once."""
        return {name: self._of_queries(name, state) for name in self._sets}

    def _of_queries(self, name: str, state: str) -> dict[str, NDArray[np.float64]]:
        """Metrics of every query of a set; where sets are joined, a set's queries are some of the joined ones."""
        if name not in self._parts:
            return self._over(name, state).query_metrics(TEST)
        return {metric: values[self._parts[name]] for metric, values in self._of_queries(TEST, state).items()}

    def _rows(self, name: str) -> list[slice]:
        """The queries of a set that count together: of the joined set those of each."""
        return list(self._parts.values()) if name == TEST and self._parts else [slice(None)]

    def _over(self, name: str, state: str) -> State:
        if name == TEST:
            return self._states[state]
        return self._states[state].over(name, self._texts[name], self._sets[name].fingerprint)


def _loss(base: Mapping[str, float], adapted: Mapping[str, float]) -> float:
    return base[HEADLINE[0]] - adapted[HEADLINE[0]]

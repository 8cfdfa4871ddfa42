"""Fits what a router without labelled queries decides by, and measures refusal with it and with what `fit` learns.

    OMP_NUM_THREADS=1 python benchmarks/refusal.py --data ../shared/data

The default threshold and the default weights of outcomes (router_plugin/evaluation/outcomes.py) are fitted to routers
of 5 to 150 intents of CLINC150 or BANKING77 with 3 to 100 utterances each, and to the routes of examples/routes.yaml,
by three strategies. All domains have the base model here, so nothing is trained. Asked are validation queries,
out-of-scope queries of CLINC150 among them, examples/labelled_routes.jsonl, and queries that `fit` makes up itself.

Measured are the test parts of CLINC150 and of HWU64, which fitted nothing and whose out-of-scope queries are of
BANKING77. `0.3` is one threshold of 0.3 for all routes, `default` the defaults of the package, `fitted` what
`Tuner.fit` learns from validation queries, with and without the out-of-scope ones. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from strategy_tasks import Given, Trial, banking_alone, clinc, hwu64

from registry import Registry
from router_plugin import DomainRouter, Fitted, Route, ServedDomains, Settings, Tuner, UnmodelledDomain, load_routes
from router_plugin.comparison.tasks import Question, routing_task
from router_plugin.evaluation.outcomes import DEFAULT_WEIGHTS, OutcomeWeights
from router_plugin.settings import Strategy
from router_plugin.tuning.fitting import NONE, RIGHT, Example, examples, fit_outcomes, lacking
from router_plugin.tuning.tuner import everyday_nearest, labelled

FIT_ON = {"clinc150": clinc, "banking77": banking_alone}
MEASURED = {"clinc150": clinc, "hwu64": hwu64}
EXAMPLES = "examples"
FOLDER = Path(__file__).parents[1] / "examples"
STRATEGIES: tuple[Strategy, ...] = ("single", "two_stage", "adaptive")
ROUTES = (5, 20, 150)
UTTERANCES = (3, 10, 30, 100)
CACHE = 100_000
"""Embeddings of queries to keep, so that each is made once."""
QUERIES = 400
"""Queries of routes, and out-of-scope queries, that a router is asked while fitting, at most."""
FEW = 10
"""Utterances of a route in the second half of what is measured."""


class Router(NamedTuple):
    """A router of some routes, and queries that it is asked."""

    router: DomainRouter
    questions: list[Question]


def main() -> None:
    """Fit, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, default=Path("work/refusal"), help="working folder")
    arguments = parser.parse_args()
    given = Given(arguments.data, arguments.out / "data", None, "test")
    trials = {name: task(given) for name, task in {**FIT_ON, **MEASURED}.items()}
    served = {name: _served(trial, arguments.out) for name, trial in trials.items()}
    routers = {name: [*_routers(trials[name], served[name])] for name in FIT_ON} | {
        EXAMPLES: _of_examples(arguments.out)
    }
    weights, base, growth = _fitted(routers)
    results = {name: _measured(trials[name], served[name]) for name in MEASURED}
    _print(weights, base, growth, results)
    print(json.dumps({"weights": weights.model_dump(), "threshold": [base, growth], "test": results}))


def _served(trial: Trial, out: Path) -> ServedDomains:
    """All domains of a trial, served by the base model."""
    texts: dict[str, list[str]] = defaultdict(list)
    for route in trial.task.routes:
        texts[str(route.domain)] += route.utterances
    return _over([UnmodelledDomain(name=name, queries=tuple(queries)) for name, queries in texts.items()], out)


def _over(domains: Sequence[UnmodelledDomain], out: Path) -> ServedDomains:
    registry = Registry(out / "registry")
    registry.create()
    return ServedDomains(registry, extra_domains=domains, settings=Settings(query_cache=CACHE))


def _routers(trial: Trial, served: ServedDomains) -> Iterator[Router]:
    """Routers of different sizes, and some validation queries of theirs and of no route."""
    draw = np.random.default_rng(0)
    for count in ROUTES:
        some = [trial.task.routes[row] for row in draw.permutation(len(trial.task.routes))[:count].tolist()]
        names = {route.name for route in some}
        inside = [each for each in trial.task.fit if set(each.relevant) & names]
        outside = [each for each in trial.task.fit if not each.relevant]
        asked = [part[row] for part in (inside, outside) for row in draw.permutation(len(part))[:QUERIES].tolist()]
        for utterances in UTTERANCES:
            routes = [_with_few(route, utterances) for route in some]
            for strategy in STRATEGIES:
                yield Router(DomainRouter.over(served, routes, Settings(strategy=strategy, query_cache=CACHE)), asked)


def _of_examples(out: Path) -> list[Router]:
    """Routers of the package's example routes, and the queries that belong to them."""
    domains = []
    for name in ("medical", "finance"):
        lines = (FOLDER / "data" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        domains.append(UnmodelledDomain(name=name, queries=tuple(json.loads(line)["question"] for line in lines)))
    served = _over(domains, out)
    routes = load_routes(FOLDER / "routes.yaml")
    asked = routing_task(routes, FOLDER / "labelled_routes.jsonl").questions
    settings = (Settings(strategy=strategy, query_cache=CACHE) for strategy in STRATEGIES)
    return [Router(DomainRouter.over(served, routes, each), [*asked]) for each in settings]


def _fitted(by_set: Mapping[str, Sequence[Router]]) -> tuple[OutcomeWeights, float, float]:
    """The weights, and the default threshold: its value for one utterance, and its growth for ten times as many.

    Of the thresholds, those are taken with which most queries are right, all sets counting the same.
    """
    given: list[Example] = []
    sizes: list[float] = []
    for routers in by_set.values():
        for each in routers:
            found = _examples(each)
            counts = QUERIES / len(routers) / sum(example.weight for example in found)
            given += [
                Example(example.nearest._replace(route=len(sizes)), example.outcome, counts * example.weight)
                for example in found
            ]
            sizes.append(math.log10(sum(len(route.utterances) for route in each.router.routes)))
    weights = fit_outcomes(given, len(sizes), 0.4).weights
    grid = [(base / 100, growth / 100) for base in range(10, 41) for growth in range(13)]
    return weights, *max(grid, key=partial(_right, given, np.array(sizes), weights))


def _right(
    given: Sequence[Example], sizes: NDArray[np.float64], weights: OutcomeWeights, line: tuple[float, float]
) -> float:
    """How many queries are right with a default threshold."""
    of, scores, _, domains, generals = (np.array(part) for part in zip(*(each.nearest for each in given), strict=True))
    outcomes, counts = (np.array([getattr(each, name) for each in given]) for name in ("outcome", "weight"))
    accepted = scores >= line[0] + line[1] * sizes[of] + weights.doubt(domains, generals)
    return float(counts @ np.where(accepted, outcomes == RIGHT, outcomes == NONE))


def _examples(each: Router) -> list[Example]:
    state = each.router.state
    labels = [question.relevant[0] if question.relevant else None for question in each.questions]
    known = labelled(state, [question.text for question in each.questions], labels)
    return [*examples(known, everyday_nearest(state) if lacking([one.label for one in known]) else [])]


def _measured(trial: Trial, served: ServedDomains) -> dict[str, dict[str, dict[str, float | None]]]:
    """Figures on the test part, by strategy and utterances, and by what decides."""
    fit, test = trial.task.fit, trial.task.questions
    results: dict[str, dict[str, dict[str, float | None]]] = {}
    for strategy in STRATEGIES:
        for utterances in (FEW, max(UTTERANCES)):
            routes = [_with_few(route, utterances) for route in trial.task.routes]
            router = DomainRouter.over(served, routes, Settings(strategy=strategy, query_cache=CACHE))
            tuner = Tuner(router)
            found = {"default": _figures(tuner, test)}
            tuner.apply(_one_threshold(router))
            found["0.3"] = _figures(tuner, test)
            for name, asked in (
                ("fitted", fit),
                ("fitted, none out of scope", [each for each in fit if each.relevant]),
            ):
                tuner.fit([each.text for each in asked], [_label(each) for each in asked])
                found[name] = _figures(tuner, test)
            results[f"{strategy}, {utterances} utterances"] = found
    return results


def _one_threshold(router: DomainRouter) -> Fitted:
    """0.3 for every route, whatever the doubt."""
    weights = DEFAULT_WEIGHTS.model_copy(update={"domain": 0.0, "general": 0.0})
    thresholds = {route.name: 0.3 for route in router.routes}
    return Fitted(thresholds=thresholds, weights=weights, made_for=router.state.made_for())


def _figures(tuner: Tuner, asked: Sequence[Question]) -> dict[str, float | None]:
    found = tuner.evaluate([each.text for each in asked], [_label(each) for each in asked])
    keys = ("accuracy", "in_scope_accuracy", "out_of_scope_recall", "calibration_error")
    return {key: getattr(found, key) and round(getattr(found, key), 4) for key in keys}


def _label(question: Question) -> str | None:
    return question.relevant[0] if question.relevant else None


def _with_few(route: Route, utterances: int) -> Route:
    return route.model_copy(update={"utterances": route.utterances[:utterances]})


def _print(weights: OutcomeWeights, base: float, growth: float, results: dict[str, Any]) -> None:
    console = Console(width=140)
    console.print(weights, f"default threshold: {base:.3f} + {growth:.3f} * log10(utterances)")
    for name, by_setting in results.items():
        table = Table("router", "decides", "right", "in scope", "out-of-scope recall", "calibration error", title=name)
        for setting, by_way in by_setting.items():
            for way, figures in by_way.items():
                table.add_row(setting, way, *map(str, figures.values()))
        console.print(table)


if __name__ == "__main__":
    main()

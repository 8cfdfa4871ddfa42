"""Simulated scores are those of a router that has the utterances, for every strategy and aggregation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from router_plugin import DomainRouter
from router_plugin.improving.simulation import Simulation, decide

QUERIES = [
    "my landlord keeps the deposit",
    "why do my ankles swell at night",
    "is my bond worth anything",
    "\U0001f9ff\U0001f9ff\U0001f9ff",
    "can I see a lawyer before the trial",
    "tell me a story",
    "",
    "how is my loan paid back",
]


@pytest.mark.parametrize("strategy", ["two_stage", "ensemble", "adaptive", "single"])
@pytest.mark.parametrize(("aggregation", "top_k"), [("max", 3), ("mean", 3), ("top-k", 2), ("top-k", 20)])
def test_simulated_scores_are_the_routers(
    make_router: Callable[..., DomainRouter],
    monkeypatch: pytest.MonkeyPatch,
    strategy: str,
    aggregation: str,
    top_k: int,
) -> None:
    monkeypatch.setattr("router_plugin.serving.domain_routes.queries_of", lambda _: {})  # which is not simulated
    router: Any = make_router(strategy=strategy, aggregation=aggregation, top_k=top_k, threshold=0.2)
    simulation = Simulation(router.state, QUERIES)
    added = {"tenancy": [4], "human": [0, 7], "symptoms": [5, 3]}
    scores = simulation.scores.copy()
    for position, route in enumerate(router.routes):
        if route.name in added:
            scores[:, position] = simulation.column(position, added[route.name])
    before = router.route_many(QUERIES)
    assert _names(router, simulation, simulation.scores) == [each.route for each in before]
    router.set_routes(
        route.model_copy(
            update={"utterances": (*route.utterances, *(QUERIES[row] for row in added.get(route.name, ())))}
        )
        for route in router.routes
    )
    expected = np.full(scores.shape, -np.inf)
    names = [route.name for route in router.routes]
    for row, found in enumerate(router.scores(QUERIES)):
        for name, value in found.items():
            expected[row, names.index(name)] = value
    same_text = np.zeros_like(scores, dtype=bool)
    for name, rows in added.items():
        same_text[rows, names.index(name)] = True  # a query that cannot be read equals itself, which is not simulated
    finite = np.isfinite(expected)
    assert (np.isfinite(scores) | same_text)[finite].all()
    compared = finite & np.isfinite(scores)
    assert np.abs(scores[compared] - expected[compared]).max() < 2e-6


def _names(router: DomainRouter, simulation: Simulation, scores: np.ndarray) -> list[str | None]:
    chosen = decide(scores, simulation.thresholds)
    return [None if position < 0 else router.routes[position].name for position in chosen]

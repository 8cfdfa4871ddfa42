"""The probability of every route for a query, and of none."""

from __future__ import annotations

import numpy as np

from router_plugin.decision import NO_ROUTE
from router_plugin.evaluation.outcomes import softmax
from router_plugin.serving.scores import Scored


def route_probabilities(scored: Scored) -> dict[str, float]:
    """By name of route, and that of none; they sum to 1.

    The route that the router decides for, else the nearest, has the probability that it is right. What is left beside
    that of none is divided among the other routes that were compared, by their scores.
    """
    found = {NO_ROUTE: 1.0} | {route.name: 0.0 for route in scored.state.served.routes}
    scores = scored.by_route()
    if not scores:
        return found
    chosen = scored.verdict().route or max(scores, key=scores.__getitem__)
    outcome = scored.outcome(list(scores).index(chosen))
    found[NO_ROUTE], found[chosen] = outcome.none, outcome.right
    others = {name: score for name, score in scores.items() if name != chosen}
    if not others:
        found[NO_ROUTE] += outcome.other
        return found
    shares = softmax(scored.state.fitted.weights.sharpness * np.array([list(others.values())]))[0]
    return found | {name: outcome.other * share for name, share in zip(others, shares.tolist(), strict=True)}

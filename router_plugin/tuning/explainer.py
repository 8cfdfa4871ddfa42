"""Explains why a router decided as it did."""

from __future__ import annotations

from registry import GENERAL
from router_plugin.contracts import Evidence
from router_plugin.errors import QueryError
from router_plugin.explanation import Explanation, Neighbour
from router_plugin.router import DomainRouter
from router_plugin.serving.scores import Scored


def explain(router: DomainRouter, query: str, limit: int = 5) -> Explanation:
    """Route a query and say why.

    The base model embeds the candidates of the query's domain too, at the first such query. Where a plugin changed the
    decision, the candidates are still those that the router compared.

    Args:
        router: which decides.
        query: the query.
        limit: the maximum number of nearest candidates in the explanation.

    Raises:
        QueryError: the query is not text, or ``limit`` is below 0.
        PluginError: a plugin failed.
    """
    if limit < 0:
        raise QueryError(f"`limit` {limit}: expected at least 0")
    (scored,) = router.examine([query])
    decision, evidence = router.decide(scored), _evidence(scored)
    state, domain, text = scored.state, scored.choice.domain, scored.text.text
    routes = state.routes_of(domain) if text else None
    if not routes:
        return Explanation(decision, evidence, None, [], [])
    in_general = routes.embedded_by(GENERAL)
    vector, general_vector = state.domains.embed([(domain, text), (GENERAL, text)])
    nearest = [Neighbour(*found) for found in routes.candidates.nearest(vector, max(limit, 1))]
    thresholds = {route.name: route.threshold for route in state.served.routes}
    threshold = thresholds[decision.route if decision.route in thresholds else nearest[0].route]
    return Explanation(
        decision=decision,
        evidence=evidence,
        threshold=state.settings.threshold if threshold is None else threshold,
        nearest=nearest[:limit],
        nearest_in_general=[Neighbour(*found) for found in in_general.nearest(general_vector, limit)],
    )


def _evidence(scored: Scored) -> Evidence | None:
    text, state = scored.text.text, scored.state
    return state.domains.evidence(text) if text and state.settings.strategy != "single" else None

"""Explains why a router decided as it did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from registry import GENERAL
from router_plugin.contracts import Evidence
from router_plugin.conversations import Turn
from router_plugin.errors import QueryError
from router_plugin.explanation import Explanation, Neighbour, RankedRoute
from router_plugin.hybrid import ranks
from router_plugin.router import DomainRouter
from router_plugin.serving.candidates import Queries
from router_plugin.serving.scores import Scored
from router_plugin.serving.state import ServingState


def explain(
    router: DomainRouter,
    query: str,
    limit: int = 5,
    history: Iterable[Turn] = (),
    state: ServingState | None = None,
) -> Explanation:
    """Route a query and say why.

    The base model embeds the candidates of the query's domain too, at the first such query; of candidates in an index,
    the nearest alone. Where a plugin changed the
    decision, the candidates are still those that the router compared.

    Args:
        router: which decides.
        query: the query.
        limit: the maximum number of nearest candidates in the explanation.
        history: see :meth:`router_plugin.DomainRouter.route`.
        state: that decides; by default the router's present one.

    Raises:
        QueryError: the query is not text, a message is malformed, or ``limit`` is below 0.
        PluginError: a plugin failed.
    """
    if limit < 0:
        raise QueryError(f"`limit` {limit}: expected at least 0")
    scored = router.examine_turn(query, history, state)
    decision, evidence = router.decide(scored), _evidence(scored)
    state, domain, text = scored.state, scored.choice.domain, scored.text.text
    routes = state.routes_of(domain) if text else None
    if not routes:
        return Explanation(decision, evidence, None, [], [])
    encoded = state.domains.encode([(domain, text), (GENERAL, text)], {})
    own, general = (
        Queries(vector[None], [text], [unread], [key])
        for vector, unread, key in zip(encoded.vectors, encoded.unread, encoded.keys, strict=True)
    )
    nearest = [Neighbour(*found) for found in routes.candidates.nearest(own, max(limit, 1))]
    only = None if state.domains.index is None else {each.utterance for each in nearest}
    in_general = [] if only == set() else routes.embedded_by(GENERAL, only=only).nearest(general, limit)
    return Explanation(
        decision=decision,
        evidence=evidence,
        threshold=_minimum(scored, decision.route, nearest),
        nearest=nearest[:limit],
        nearest_in_general=[Neighbour(*found) for found in in_general],
        hybrid=_ranked(scored, limit),
    )


def _ranked(scored: Scored, limit: int) -> list[RankedRoute]:
    """The first routes by score and words, where both count."""
    if scored.words is None:
        return []
    names = [scored.state.served.routes[position].name for position in scored.positions.tolist()]
    by_score, by_words, words = ranks(scored.scores).tolist(), ranks(scored.words).tolist(), scored.words.tolist()
    first = ranks(scored.preferences).argsort()[:limit].tolist()
    return [
        RankedRoute(names[row], float(scored.scores[row]), by_score[row], by_words[row] if words[row] > 0 else None)
        for row in first
    ]


def _minimum(scored: Scored, chosen: str | None, nearest: Sequence[Neighbour]) -> float | None:
    """That of the chosen route if it is the router's, else of the nearest one; None where there is none."""
    routes = scored.state.served.routes
    minimums = {
        routes[position].name: value for position, value in zip(scored.positions, scored.minimums(), strict=True)
    }
    name = chosen if chosen in minimums else nearest[0].route if nearest else None
    return minimums.get(name) if name else None


def _evidence(scored: Scored) -> Evidence | None:
    text, state = scored.text.text, scored.state
    return state.served.classifier.evidence(text) if text and state.settings.strategy != "single" else None

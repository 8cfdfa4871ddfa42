"""Why a query got its route, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from router_plugin.contracts import Evidence
from router_plugin.decision import Decision


@dataclass(frozen=True)
class Neighbour:
    """A candidate near a query."""

    route: str
    utterance: str
    cosine: float


@dataclass(frozen=True)
class RankedRoute:
    """A route where words count too, see ``ranking`` of :class:`registry.ModelRecord`.

    Attributes:
        route: its name.
        score: its score.
        rank: its rank by the score among all compared routes.
        rank_by_words: its rank by BM25; None where no utterance has a word of the query.
    """

    route: str
    score: float
    rank: int
    rank_by_words: int | None


@dataclass(frozen=True)
class Explanation:
    """A decision and what led to it. See :func:`router_plugin.explain`.

    Attributes:
        decision: with the probability of every domain and the time of every stage.
        evidence: what spoke for the domains; None where the classifier was not asked, or cannot explain.
        threshold: the minimum score of the decision's route, or of the nearest one where the decision has no route of
            the router's; None where there were no candidates.
        nearest: candidates in the space of the domain that was used, the nearest first.
        nearest_in_general: candidates of the same routes in the space of the base model.
        hybrid: the first routes by score and words together; empty where the domain is ranked by its model alone.
    """

    decision: Decision
    evidence: Evidence | None
    threshold: float | None
    nearest: list[Neighbour]
    nearest_in_general: list[Neighbour]
    hybrid: list[RankedRoute] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The explanation as JSON can hold it."""
        return asdict(self)

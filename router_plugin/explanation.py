"""Why a query got its route."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from router_plugin.contracts import Evidence
from router_plugin.decision import Decision


@dataclass(frozen=True)
class Neighbour:
    """A candidate near to a query."""

    route: str
    utterance: str
    cosine: float


@dataclass(frozen=True)
class Explanation:
    """A decision and what led to it.

    Attributes:
        decision: the decision, with the probability of every domain and the time of every stage.
        evidence: what spoke for the domains; None where the classifier was not asked, or cannot tell.
        threshold: the least score of the route, or where there is none, or a plugin's, of the nearest one; None for no
            candidates.
        nearest: candidates in the space of the domain that was used, the nearest first.
        nearest_in_general: the same routes' candidates in the space of the base model.
    """

    decision: Decision
    evidence: Evidence | None
    threshold: float | None
    nearest: list[Neighbour]
    nearest_in_general: list[Neighbour]

    def to_dict(self) -> dict[str, Any]:
        """The explanation as JSON can hold it."""
        return asdict(self)

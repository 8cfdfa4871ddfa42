"""What the router answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

NO_ROUTE = "none"
"""The label of queries that no route is right for."""


@dataclass(frozen=True)
class Decision:
    """A route for a query, or none, and how the router came to it.

    Attributes:
        query: as it was given.
        route: name of the route; None where no candidate was near enough.
        score: cosine of the nearest candidate; None where there was nothing to compare.
        domain: the domain whose encoder was used.
        domains: probability of every domain; that of ``general`` says how likely it is that no other one fits.
        model_version: the encoder, like ``medical@3``, or the base model's name for ``general``.
        timings_ms: milliseconds of each stage, divided evenly among the queries of a batch.
        secondary_domains: other domains that the query may belong to as well, the likeliest first.
        confidence: probability that the decision is right.
        truncated: whether the end of the query was not read.
        unread: the fraction of the query's words that the encoder does not know, from 0 to 1. Above 0.5 the query
            cannot be read: it gets no route, unless an utterance is the very same text.
        reason: why there is no route; None where there is one.
        read_as: the query with the earlier questions of its conversation that it was read with; None where it was
            decided alone.
    """

    query: str
    route: str | None
    score: float | None
    domain: str
    domains: dict[str, float]
    model_version: str
    timings_ms: dict[str, float]
    secondary_domains: list[str] = field(default_factory=list)
    confidence: float = 1.0
    truncated: bool = False
    unread: float = 0.0
    reason: str | None = None
    read_as: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The decision as JSON can hold it."""
        return asdict(self)

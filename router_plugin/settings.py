"""Settings of the router."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How queries are routed.

    Attributes:
        min_confidence: a query goes to ``general`` unless its best domain has at least this probability.
        threshold: least cosine for a route that has no threshold of its own.
        max_query_characters: longer queries are cut before anything else is done.
        device: as torch names it; by default a GPU where there is one.
        trust_remote_code: let models run code of their own.
    """

    min_confidence: float = 0.5
    threshold: float = 0.3
    max_query_characters: int = 20_000
    device: str | None = None
    trust_remote_code: bool = False

"""An example plugin for domain-router: a domain classifier that counts keywords."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from registry import GENERAL, Profile
from router_plugin import Classification, hookimpl

WORDS = {
    "medical": {"ankle", "ankles", "blood", "doctor", "medicine", "pain", "swell"},
    "finance": {"bond", "credit", "fund", "interest", "loan", "mortgage", "shares"},
    "legal": {"contract", "court", "deposit", "evict", "landlord", "lawyer", "rent"},
}
WEIGHT = 4.0
"""Votes of a keyword. ``general`` always has one vote."""


class KeywordClassifier:
    """Gives each domain a probability in proportion to its keywords in the query."""

    def __init__(self, registered: Sequence[str]) -> None:
        self.domains = (GENERAL, *registered)
        self.thresholds: dict[str, float] = {}

    def classify(self, queries: Sequence[str]) -> Classification:
        """Compute the probability of every domain."""
        votes = np.array([self._votes(query) for query in queries], dtype=np.float64).reshape(-1, len(self.domains))
        return Classification(votes / votes.sum(axis=1, keepdims=True))

    def _votes(self, query: str) -> list[float]:
        found = set(re.findall(r"\w+", query.lower()))
        return [1.0, *(WEIGHT * len(found & WORDS.get(domain, set())) for domain in self.domains[1:])]


@hookimpl
def domain_classifier(profiles: Mapping[str, Profile]) -> KeywordClassifier:
    """Replace the built-in classifier. An implementation takes only the arguments of the hook that it needs."""
    return KeywordClassifier(tuple(profiles))

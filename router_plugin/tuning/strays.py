"""Utterances that lie nearer to another route than to the others of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from router_plugin.serving.state import ServingState


class Stray(NamedTuple):
    """An utterance nearer to another route.

    Attributes:
        domain: in whose space.
        route: its own.
        utterance: the text.
        own: cosine with the nearest other utterance of its route.
        other: cosine with the nearest utterance of another one.
        other_route: that route.
        other_utterance: that utterance.
    """

    domain: str
    route: str
    utterance: str
    own: float
    other: float
    other_route: str
    other_utterance: str


class Strays(NamedTuple):
    """The utterances that lie nearer to another route, and how many of all were looked at."""

    found: list[Stray]
    looked_at: int
    all: int


def find_strays(state: ServingState, limit: int) -> Strays:
    """Compare utterances with all others that the same queries are compared with.

    An utterance that is the only one of its route is nearer to nothing of its own, and is left out.

    Args:
        state: whose candidates are embedded where they are not.
        limit: the maximum number of utterances that are looked at; of more, a sample that is always the same.

    Returns:
        Those that lie nearer to another route, the nearest of them first.
    """
    places = [(name, row) for name in state.used_domains() for row in _compared(state, name)]
    chosen = np.random.default_rng(0).permutation(len(places))[:limit].tolist()
    rows: dict[str, list[int]] = {}
    for number in chosen:
        rows.setdefault(places[number][0], []).append(places[number][1])
    found = [each for name, of_domain in rows.items() for each in _strays(state, name, sorted(of_domain))]
    return Strays(sorted(found, key=lambda each: each.own - each.other), len(chosen), len(places))


def _compared(state: ServingState, domain: str) -> Iterator[int]:
    """The rows of the utterances of a domain's own routes that have several; those of all domains are its own, too."""
    row = 0
    for route in (state.served.routes[position] for position in state.routes_of(domain).positions.tolist()):
        mine = state.settings.strategy == "single" or not route.domains or domain in route.domains
        if mine and len(route.utterances) > 1:
            yield from range(row, row + len(route.utterances))
        row += len(route.utterances)


def _strays(state: ServingState, domain: str, rows: list[int]) -> Iterator[Stray]:
    candidates = state.routes_of(domain).candidates
    texts = [(route.name, text) for route in candidates.routes for text in route.utterances]
    between = candidates.between_routes(rows)
    for row, own, other, nearest in zip(rows, *(each.tolist() for each in between), strict=True):
        if other > own:
            (name, text), (other_name, other_text) = texts[row], texts[nearest]
            yield Stray(domain, name, text, own, other, other_name, other_text)

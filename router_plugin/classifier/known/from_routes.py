"""What routes say about their domains: some of their utterances and descriptions, as queries that are known of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from registry import Profile
from registry.shared.texts import clean
from registry.texts.forms import text_key
from router_plugin.classifier.known.kept import kept_vectors
from router_plugin.contracts import BaseEmbedder
from router_plugin.routes import Route

MOST = 100
"""Texts of the routes of a domain. With more, they would crowd out the queries that the domain is known by."""


def queries_of(routes: Iterable[Route]) -> dict[str, tuple[str, ...]]:
    """Of every domain with routes of its own, at most ``MOST`` texts, from all routes as evenly as possible.

    The first utterance of a route comes first, then its description, then the others. What a route of several domains
    says is of none of them in particular.
    """
    of_domain: dict[str, list[list[str]]] = defaultdict(list)
    for route in routes:
        if len(route.domains) == 1:
            first, *others = route.utterances
            described = [route.description] if route.description else []
            of_domain[route.domains[0]].append([first, *described, *others])
    return {name: _evenly(texts) for name, texts in of_domain.items()}


def _evenly(of_routes: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """At most ``MOST`` different texts, the first of every route first."""
    rounds = (text for each in zip_longest(*of_routes) for text in each if text is not None)
    different: dict[str, str] = {}
    for text in rounds:
        if key := text_key(text):
            different.setdefault(key, clean(text))
        if len(different) == MOST:
            break
    return tuple(different.values())


def with_queries(
    profiles: Mapping[str, Profile], queries: Mapping[str, Sequence[str]], base: BaseEmbedder
) -> dict[str, Profile]:
    """Profiles that also know further queries of their domains; those of another base model stay as they are."""
    return {
        name: profile.with_queries(queries[name], kept_vectors(queries[name], base))
        if queries.get(name) and profile.base == base.digest
        else profile
        for name, profile in profiles.items()
    }

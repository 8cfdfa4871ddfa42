"""Looks after an index of candidates: fills it, says what it holds and lacks, and removes what no model needs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Literal, NamedTuple

from registry import NotRegisteredError
from registry.names import CANDIDATE
from router_plugin.errors import CandidateIndexError
from router_plugin.serving.domain_routes import DomainRoutes
from router_plugin.serving.domains import ServedDomains
from router_plugin.serving.index.contract import JOINT, CandidateIndex, Held, Space
from router_plugin.serving.index.stored_candidates import StoredCandidates
from router_plugin.serving.state import ServingState


class Built(NamedTuple):
    """Candidates that an index has now.

    Attributes:
        space: that they belong to.
        candidates: different utterances of the routes.
        made: those of them that were embedded now.
        removed: others that were removed.
    """

    space: Space
    candidates: int
    made: int
    removed: int


class Listed(NamedTuple):
    """A space of an index, or one that it should have.

    Attributes:
        space: which.
        entries: that the index holds.
        missing: utterances of the routes that it does not hold; 0 for a space that is not used.
        status: ``unused`` where neither these routes and settings nor the present champions use it.
    """

    space: Space
    entries: int
    missing: int
    status: Literal["serving", "incomplete", "unused"]


def build(state: ServingState, prune: bool = False) -> Iterator[Built]:
    """Embed and store what an index lacks, one list of candidates after the other. What it serves stays as it is.

    Args:
        state: of a router with an index.
        prune: whether candidates are removed that no route of the state has.

    Raises:
        CandidateIndexError: the index cannot be read or written.
    """
    for routes in _lists(state):
        candidates = routes.candidates
        if isinstance(candidates, StoredCandidates):
            removed = candidates.prune() if prune else 0
            yield Built(candidates.space, len(candidates.readings()), candidates.made, removed)


def listed(state: ServingState, index: CandidateIndex) -> list[Listed]:
    """What an index has, and what it lacks for a router; nothing is embedded.

    Raises:
        CandidateIndexError: it cannot be read.
    """
    held = {each.space.identifier: each for each in index.spaces()}
    found = []
    for stored in (routes.stored(index) for routes in _lists(state)):
        known = held.pop(stored.space.identifier, Held(stored.space, 0))
        found.append(Listed(stored.space, known.entries, stored.missing, "incomplete" if stored.missing else "serving"))
    return [*found, *(Listed(each.space, each.entries, 0, "unused") for each in held.values())]


def needed(domains: ServedDomains) -> set[str]:
    """The digests of the models whose candidates may be used: champions, candidates for their place, and the base."""
    found = set(domains.artifacts.values())
    for name in domains.champions:
        try:
            found.add(domains.registered(f"{name}@{CANDIDATE}").artifact)
        except NotRegisteredError:
            continue
    return found


def drop_old(index: CandidateIndex, keep: Collection[str]) -> list[Held]:
    """Remove the candidates of all models but some, joint spaces aside; returns what was removed.

    Args:
        index: with them.
        keep: digests of models.

    Raises:
        CandidateIndexError: it cannot be read or written.
    """
    old = [each for each in index.spaces() if each.space.digest not in keep and each.space.domain != JOINT]
    for each in old:
        index.drop(each.space)
    return old


def drop_named(index: CandidateIndex, identifiers: Sequence[str], keep: Collection[str]) -> list[Held]:
    """Remove some spaces; returns what was removed.

    Args:
        index: with them.
        identifiers: of the spaces.
        keep: digests of models whose candidates are not removed.

    Raises:
        CandidateIndexError: there is no such space, one is of a model that is kept, and then nothing is removed; or the
            index cannot be read or written.
    """
    known = {each.space.identifier: each for each in index.spaces()}
    for identifier in identifiers:
        if identifier not in known:
            raise CandidateIndexError(
                f"{index.store} has no space {identifier!r}: 'domain-router index status' lists all"
            )
        if known[identifier].space.digest in keep:
            raise CandidateIndexError(
                f"{known[identifier].space} is of a model that serves or may soon: `force` removes it all the same"
            )
    for identifier in identifiers:
        index.drop(known[identifier].space)
    return [known[each] for each in identifiers]


def _lists(state: ServingState) -> list[DomainRoutes]:
    """The lists of candidates that queries are compared with, each once."""
    found = {id(routes): routes for name in state.used_domains() if (routes := state.routes_of(name))}
    return list(found.values())

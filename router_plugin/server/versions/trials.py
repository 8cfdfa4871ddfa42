"""Which requests are decided with a candidate, and the states of the router that decide them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from registry import GENERAL, ModelVersion, NotRegisteredError
from registry.names import CANDIDATE
from router_plugin.errors import ServerError
from router_plugin.server.errors import RequestError
from router_plugin.serving.domains import ServedDomains
from router_plugin.serving.state import ServingState

NO_CANARY = "none"
"""What a client asks for that wants the champions."""


class Trial(NamedTuple):
    """A router with the candidate of a domain.

    Attributes:
        domain: whose candidate it is.
        version: the candidate, like ``medical@4``.
        state: that decides.
        champion: the state whose champions are beside it.
    """

    domain: str
    version: str
    state: ServingState
    champion: ServingState


class Trials:
    """The candidates of some domains, as long as there are any.

    Attributes:
        shares: of the requests that each domain's candidate decides.
        shadowed: the domains whose candidates decide everything, unseen.
    """

    def __init__(self, shares: Mapping[str, float], shadowed: Iterable[str]) -> None:
        self.shares, self.shadowed = dict(shares), tuple(dict.fromkeys(shadowed))
        self._known: dict[str, Trial] = {}

    def candidates(self, domains: ServedDomains) -> dict[str, ModelVersion]:
        """The registry's present candidates, by domain.

        Raises:
            RegistryError: the registry cannot be read.
        """
        found: dict[str, ModelVersion] = {}
        for domain in (*self.shares, *self.shadowed):
            with suppress(NotRegisteredError):
                found[domain] = domains.registered(f"{domain}@{CANDIDATE}")
        return found

    def take(self, candidates: Mapping[str, ModelVersion], current: ServingState) -> dict[str, Exception]:
        """Load candidates, where they are not loaded. One that cannot be leaves the earlier one, and the others.

        Args:
            candidates: by domain; the only ones from now on.
            current: the state of the router.

        Returns:
            Those that cannot be loaded, like ``medical@4``, each with its error.
        """
        self._known = {domain: trial for domain, trial in self._known.items() if domain in candidates}
        failed: dict[str, Exception] = {}
        for domain, version in candidates.items():
            known = self._known.get(domain)
            if known and known.version == version.name and known.champion is current:
                continue
            try:
                self._known = {**self._known, domain: loaded(version, current)}
            except Exception as error:  # noqa: BLE001  the others are loaded
                failed[version.name] = error
        return failed

    def chosen(self, text: str, asked: str | None) -> Trial | None:
        """The trial that decides a request; None for the champions.

        The same text is always decided alike, as long as the shares are the same.

        Args:
            text: of the request.
            asked: the domain whose candidate the client wants, or ``none``; None where it does not say.

        Raises:
            RequestError: there is no such candidate.
        """
        if asked is not None:
            if asked != NO_CANARY and asked not in self._known:
                expected = ", ".join((*self._known, NO_CANARY))
                raise RequestError(f"there is no canary of the domain {asked!r}: expected {expected}")
            return self._known.get(asked)
        draw = int.from_bytes(hashlib.sha256(text.encode(errors="replace")).digest()[:8], "big") / 2**64
        for domain, share in self.shares.items():
            if draw < share:
                return self._known.get(domain)
            draw -= share
        return None

    def in_shadow(self) -> list[Trial]:
        """The trials that decide unseen."""
        return [self._known[domain] for domain in self.shadowed if domain in self._known]


def loaded(version: ModelVersion, current: ServingState) -> Trial:
    """A router with another version of a domain, all of it in memory.

    Raises:
        DomainRouterError: it cannot be loaded.
    """
    state = current.moved_to(current.domains.with_version(version))
    state.load(state.used_domains())
    return Trial(version.domain, version.name, state, current)


def read_shares(given: Iterable[str], domains: Iterable[str]) -> dict[str, float]:
    """The shares of domains, from texts like ``medical=0.1``.

    Raises:
        ServerError: a text is malformed, a domain unknown, or the shares are more than all requests.
    """
    shares: dict[str, float] = {}
    for text in given:
        domain, _, number = text.partition("=")
        try:
            share = float(number)
        except ValueError:
            share = -1
        if not 0 < share <= 1:
            raise ServerError(f"`canary` {text!r}: expected a domain and a share above 0 and at most 1, as medical=0.1")
        check_domain_known(domain, domains, "canary")
        shares[domain] = share
    if sum(shares.values()) > 1:
        raise ServerError(f"`canary`: the shares are together {sum(shares.values()):g}: expected at most 1")
    return shares


def check_domain_known(domain: str, domains: Iterable[str], option: str) -> None:
    """Make sure that a domain can have a candidate.

    Raises:
        ServerError: it cannot.
    """
    known = [name for name in domains if name != GENERAL]
    if domain not in known:
        raise ServerError(f"`{option}` {domain!r}: unknown domain: expected one of {', '.join(known)}")

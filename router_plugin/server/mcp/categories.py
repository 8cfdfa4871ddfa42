"""Numbers domains for clients that remember the numbers."""

from __future__ import annotations

from collections.abc import Iterable


class Categories:
    """Domains in an order that only grows: one that was ever there keeps its index, even if it is served no more."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}

    def including(self, domains: Iterable[str]) -> list[str]:
        """All domains so far, and behind them those of these that are new, in their order."""
        self._known.update(dict.fromkeys(domains))
        return list(self._known)

    def new(self, domains: Iterable[str]) -> list[str]:
        """Those of these domains that were never there."""
        return [name for name in domains if name not in self._known]

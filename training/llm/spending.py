"""Tokens and money that a language model takes, and a budget that is never passed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition

from training.errors import BudgetError, LanguageModelError

GO_ON = "Every answer so far is kept: start the same command again to go on"


@dataclass(frozen=True)
class Prices:
    """Money for a million tokens read and for a million written, in any currency."""

    read: float = 0.0
    written: float = 0.0

    def of(self, read: int, written: int) -> float:
        """What so many tokens cost."""
        return (read * self.read + written * self.written) / 1e6


class Spending:
    """Counts requests and tokens of several threads. No request begins that could pass the budget.

    Attributes:
        requests: that were answered, or may have been.
        read: tokens.
        written: tokens.
    """

    def __init__(self, prices: Prices | None = None, budget: float | None = None) -> None:
        """
        Args:
            prices: of tokens.
            budget: money that may be spent; None for any amount.

        Raises:
            LanguageModelError: a price or the budget is no amount, or there is a budget without prices.
        """
        self._prices = prices or Prices()
        self._budget = budget
        given = {"price_in": self._prices.read, "price_out": self._prices.written, "budget": budget or 0.0}
        for name, value in given.items():
            if not 0 <= value < math.inf:
                raise LanguageModelError(f"`{name}` {value}: expected a finite number of at least 0")
        if budget is not None and self._prices == Prices():
            raise LanguageModelError("`budget` needs the prices of a million tokens: give `price_in` and `price_out`")
        self.requests = self.read = self.written = 0
        self._open: list[float] = []
        self._changed = Condition()

    @property
    def cost(self) -> float:
        """Money spent."""
        return self._prices.of(self.read, self.written)

    def describe(self) -> str:
        """The counts in words."""
        tokens = f"{self.requests} requests, {self.read} tokens read, {self.written} written"
        return tokens if self._prices == Prices() else f"{tokens}, cost {self.cost:.4f}"

    @contextmanager
    def request(self, read: int, written: int) -> Iterator[Callable[[int, int], None]]:
        """A request that reads and writes so many tokens at most; what is yielded takes what it did.

        It waits while requests that are open might use the budget up.

        Raises:
            BudgetError: nothing is open, and the budget may not do for it.
        """
        most = self._prices.of(read, written)
        with self._changed:
            while self._budget is not None and self.cost + sum(self._open) + most > self._budget:
                if not self._open:
                    raise BudgetError(
                        f"`budget` {self._budget:g} is used up: {self.describe()}, and the next request may cost "
                        f"{most:.4f}. {GO_ON}, with a budget for what is left"
                    )
                self._changed.wait()
            self._open.append(most)
        try:
            yield self._count
        finally:
            with self._changed:
                self._open.remove(most)
                self._changed.notify_all()

    def _count(self, read: int, written: int) -> None:
        with self._changed:
            self.requests += 1
            self.read += read
            self.written += written

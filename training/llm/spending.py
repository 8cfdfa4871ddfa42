"""Tokens and money that a language model takes, and a budget that is never exceeded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition

from training.errors import BudgetError, LanguageModelError

RESUME_HINT = "Answers so far are kept: run the same command again to continue"


@dataclass(frozen=True)
class Prices:
    """Prices of a million input and output tokens, in any currency."""

    input: float = 0.0
    output: float = 0.0

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """The price of these tokens."""
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


class Spending:
    """Counts requests and tokens of several threads. No request begins that could exceed the budget.

    Attributes:
        requests: that were answered, or may have been.
        input_tokens: of these requests.
        output_tokens: of their answers.
    """

    def __init__(self, prices: Prices | None = None, budget: float | None = None) -> None:
        """
        Args:
            prices: of tokens.
            budget: money that may be spent; None for no limit.

        Raises:
            LanguageModelError: a price or the budget is negative or not finite, or a budget is given without prices.
        """
        self._prices = prices or Prices()
        self._budget = budget
        given = {"price_in": self._prices.input, "price_out": self._prices.output, "budget": budget or 0.0}
        for name, value in given.items():
            if not 0 <= value < math.inf:
                raise LanguageModelError(f"`{name}` {value}: expected a finite number of at least 0")
        if budget is not None and self._prices == Prices():
            raise LanguageModelError("`budget` needs the prices of a million tokens: give `price_in` and `price_out`")
        self.requests = self.input_tokens = self.output_tokens = 0
        self._open: list[float] = []
        self._changed = Condition()

    @property
    def cost(self) -> float:
        """Money spent."""
        return self._prices.cost(self.input_tokens, self.output_tokens)

    def describe(self) -> str:
        """The counts in words."""
        tokens = f"{self.requests} requests, {self.input_tokens} input tokens, {self.output_tokens} output tokens"
        return tokens if self._prices == Prices() else f"{tokens}, cost {self.cost:.4f}"

    @contextmanager
    def request(self, input_tokens: int, output_tokens: int) -> Iterator[Callable[[int, int], None]]:
        """The time of one request; it waits as long as open requests could use up the budget.

        Args:
            input_tokens: that the request may take.
            output_tokens: that its answer may take.

        Yields:
            A function to be called with the input and output tokens that the request did take.

        Raises:
            BudgetError: no request is open, and this one could exceed the budget.
        """
        limit = self._prices.cost(input_tokens, output_tokens)
        with self._changed:
            while self._budget is not None and self.cost + sum(self._open) + limit > self._budget:
                if not self._open:
                    raise BudgetError(
                        f"`budget` {self._budget:g} is used up: {self.describe()}, and the next request may cost "
                        f"{limit:.4f}. {RESUME_HINT}, with a budget for the rest"
                    )
                self._changed.wait()
            self._open.append(limit)
        try:
            yield self._count
        finally:
            with self._changed:
                self._open.remove(limit)
                self._changed.notify_all()

    def _count(self, input_tokens: int, output_tokens: int) -> None:
        with self._changed:
            self.requests += 1
            self.input_tokens += input_tokens
            self.output_tokens += output_tokens

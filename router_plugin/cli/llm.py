"""The language model that options describe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.llm.chat import ChatModel


def open_model(
    name: str,
    *,
    url: str,
    price_in: float = 0.0,
    price_out: float = 0.0,
    budget: float | None = None,
    **options: Any,
) -> ChatModel:
    """The language model that the options describe; see :class:`training.llm.chat.ChatModel`.

    Raises:
        LanguageModelError: the options cannot be, or a package is missing.
    """
    from training.llm.chat import ChatModel
    from training.llm.spending import Prices, Spending

    return ChatModel(url, name, spending=Spending(Prices(price_in, price_out), budget), **options)

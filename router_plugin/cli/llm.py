"""The options by which a command asks a language model, and the model that they describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_plugin.cli.checks import check_meaning

if TYPE_CHECKING:
    from training.llm.chat import ChatModel

LlmOption = Annotated[
    str | None,
    typer.Option("--llm", metavar="URL", help="OpenAI-compatible API, like https://host/v1.", show_default=False),
]
KeyVariableOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="--llm: environment variable that holds the key.", show_default="no key is sent"),
]
ConcurrencyOption = Annotated[int, typer.Option(min=1, max=256, help="--llm: requests at a time.")]
TimeoutOption = Annotated[float, typer.Option(min=0.01, help="--llm: seconds until a request is made again.")]
PriceInOption = Annotated[float, typer.Option(min=0, help="--llm: price of a million tokens read.")]
PriceOutOption = Annotated[float, typer.Option(min=0, help="--llm: price of a million tokens written.")]
BudgetOption = Annotated[
    float | None, typer.Option(min=0, help="--llm: what may be spent in this run.", show_default="any amount")
]
CacheOption = Annotated[
    Path | None, typer.Option(help="--llm: folder that answers are kept in.", show_default="~/.domain-router/cache/llm")
]

_NAMES = ("key_variable", "concurrency", "timeout", "cache", "price_in", "price_out", "budget")


def given_options(context: typer.Context, *others: str) -> dict[str, Any]:
    """Of a command's parameters those that :func:`open_model` takes, but for the model's name.

    Args:
        context: of the command.
        others: parameters of its own that describe what the model is asked.

    Raises:
        typer.BadParameter: one of all these is given without ``--llm``.
    """
    parameters = context.params
    if not parameters["llm"]:
        check_meaning(context, (*_NAMES, *others), "without --llm")
    return {"url": parameters["llm"], **{name: parameters[name] for name in _NAMES}}


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

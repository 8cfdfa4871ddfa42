"""Options for calling a language model, and opening the client that they describe."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from registry.paths import AS_PATH
from registry.shared.options import Options, Shown
from training.errors import LanguageModelError
from training.llm.spending import Prices, Spending

if TYPE_CHECKING:
    from training.llm.chat import ChatModel


class LanguageModelOptions(Options):
    """How to call a language model by an OpenAI-compatible API.

    All models that are opened with the same instance spend from one budget.
    """

    error = LanguageModelError

    url: Annotated[
        str,
        Field(description="Address of an OpenAI-compatible API, like https://host/v1."),
        Shown(metavar="URL"),
    ]
    key_variable: Annotated[
        str | None,
        Field(description="Environment variable that holds the key."),
        Shown(default="no key is sent", metavar="NAME"),
    ] = None
    concurrency: Annotated[int, Field(ge=1, le=256, description="Concurrent requests.")] = 4
    timeout: Annotated[float, Field(ge=0.01, description="Seconds until an unanswered request is repeated.")] = 60.0
    price_in: Annotated[float, Field(ge=0, description="Price of a million input tokens, in any currency.")] = 0.0
    price_out: Annotated[float, Field(ge=0, description="Price of a million output tokens, in the same currency.")] = (
        0.0
    )
    budget: Annotated[
        float | None,
        Field(
            ge=0, description="Maximum to spend in this run, at these prices: no request is sent that could exceed it."
        ),
        Shown(default="no limit"),
    ] = None
    cache: Annotated[
        Path | None,
        AS_PATH,
        Field(description="Folder in which answers are kept."),
        Shown(default="~/.domain-router/cache/llm"),
    ] = None

    @cached_property
    def spending(self) -> Spending:
        """What the models that are opened with these options take together.

        Raises:
            LanguageModelError: there is a budget, but no prices.
        """
        return Spending(Prices(self.price_in, self.price_out), self.budget)


def open_model(name: str, options: LanguageModelOptions) -> ChatModel:
    """The client of a language model.

    Args:
        name: of the model, as the server knows it.
        options: how it is called.

    Raises:
        LanguageModelError: the URL or the key is invalid, answers cannot be kept, or a package is missing.
    """
    from training.llm.chat import ChatModel

    return ChatModel(
        options.url,
        name,
        key_variable=options.key_variable,
        concurrency=options.concurrency,
        timeout=options.timeout,
        cache=options.cache,
        spending=options.spending,
    )

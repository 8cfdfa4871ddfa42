"""The tools themselves: domains and their indices, the domain of a text, and the route of a query."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from registry import GENERAL
from registry.shared.wording import first_fault
from router_plugin.server.errors import RequestError, UnknownToolError
from router_plugin.server.mcp.categories import Categories
from router_plugin.server.service import Service


class Nothing(BaseModel):
    """No arguments."""


class Text(BaseModel):
    """A text to classify."""

    text: str = Field(description="The text to classify.")
    with_probabilities: bool = Field(default=False, description="Whether to return the probability of every category.")


class Query(BaseModel):
    """A query to route."""

    query: str = Field(description="The query to route.")


class Tool(NamedTuple):
    """A tool as clients see it.

    Attributes:
        name: unique.
        description: for models that choose a tool.
        arguments: that it takes.
        answer: called with what answers and the arguments; returns what can be written as JSON.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    answer: Callable[[Tools, Any], Awaitable[dict[str, Any]]]

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        found = self.arguments.model_json_schema()
        return {"type": "object", "properties": found["properties"], "required": found.get("required", [])}


class Tools:
    """The tools over a service.

    Attributes:
        service: that answers.
        categories: the domains as clients know them.
    """

    def __init__(self, service: Service) -> None:
        """See the attributes."""
        self.service, self.categories = service, Categories()

    async def call(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What a tool answers.

        Raises:
            UnknownToolError: there is no such tool.
            RequestError: its arguments are wrong or too large, or too much work waits.
        """
        if name not in TOOLS:
            raise UnknownToolError(f"unknown tool {name!r}: expected {', '.join(TOOLS)}", "name")
        tool = TOOLS[name]
        try:
            asked = tool.arguments.model_validate(arguments)
        except ValidationError as error:
            raise RequestError(f"{name}: {first_fault(error, 'the arguments')}", "arguments") from None
        return await tool.answer(self, asked)

    async def known(self, domains: Iterable[str]) -> list[str]:
        """These domains and earlier ones by their indices, which are the same in all processes and after a restart."""
        new = self.categories.new(domains)
        return self.categories.including(await self.service.champions.by_age(new) if new else ())


async def list_categories(tools: Tools, _: Nothing) -> dict[str, Any]:
    """The domains; indices that :func:`classify_text` returns are positions in their list."""
    versions = tools.service.champions.versions()
    return {
        "categories": await tools.known(versions),
        "category_system_prompts": {},
        "category_descriptions": {name: _described(name, version) for name, version in versions.items()},
    }


async def classify_text(tools: Tools, asked: Text) -> dict[str, Any]:
    """The index of the most probable domain, its probability, and the models by which it was found.

    On request, also the probabilities of all domains, and their entropy in bits.
    """
    state = tools.service.router.state
    (by_domain,) = await tools.service.classify([asked.text], state)
    probabilities = [by_domain.get(name, 0.0) for name in await tools.known(by_domain)]
    confidence = max(probabilities)
    found = {
        "class": probabilities.index(confidence),
        "confidence": confidence,
        "versions": list(dict.fromkeys(state.domains.versions().values())),
    }
    if not asked.with_probabilities:
        return found
    entropy = -sum(each * math.log2(each) for each in probabilities if each > 0)
    return {**found, "probabilities": probabilities, "entropy": max(0.0, entropy)}


async def route(tools: Tools, asked: Query) -> dict[str, Any]:
    """The decision; see the attributes of :class:`router_plugin.Decision`."""
    decided = await tools.service.decide([asked.query])
    return decided.decisions[0].to_dict()


def _described(domain: str, version: str) -> str:
    return "Texts of no other domain." if domain == GENERAL else f"Texts of the domain {domain}, served by {version}."


_EVERY = (
    Tool(
        "list_categories",
        "List the categories (domains) that classify_text knows. Its `class` is an index of `categories`.",
        Nothing,
        list_categories,
    ),
    Tool(
        "classify_text",
        "Classify a text by its domain. Returns the index of a category, its probability and the model versions that "
        "served, and on request the probability of every category.",
        Text,
        classify_text,
    ),
    Tool(
        "route",
        "Choose the route of a query, such as the tool, model or prompt that should handle it. `route` is null if none "
        "fits. Also returns its score, the confidence and the domain.",
        Query,
        route,
    ),
)

TOOLS = {tool.name: tool for tool in _EVERY}
"""Every tool by its name."""

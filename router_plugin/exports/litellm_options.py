"""Options of a configuration for LiteLLM's proxy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from registry.shared.options import Options, Shown
from router_plugin.errors import ExportError
from router_plugin.exports.model_refs import DEFAULT

Tiers = Literal["routes", "domains"]


class LitellmOptions(Options):
    """What a configuration for LiteLLM says.

    Raises:
        ExportError: an unknown option, or a value of another type or out of range.
    """

    error = ExportError

    server: Annotated[
        str,
        Field(description="URL of the server, as LiteLLM reaches it, like http://domain-router:8700."),
        Shown(metavar="URL"),
    ]
    tiers: Annotated[Tiers, Field(description="What a model is chosen by: the route of a query, or its domain.")] = (
        "routes"
    )
    model: Annotated[
        str | None,
        Field(description="Domain whose encoder embeds; domain-routed for the joint space of all domains."),
        Shown(default="domain-routed, the single domain under the strategy single", metavar="NAME"),
    ] = None
    model_refs: Annotated[
        tuple[str, ...],
        Field(
            description="Model that answers the queries of a route or domain, or all others: a name of your own, or "
            "one of LiteLLM's with its provider, like openai/gpt-5."
        ),
        Shown(metavar="[TIER=]NAME"),
    ] = (DEFAULT,)
    key_variable: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
            description="Environment variable of LiteLLM that holds the server's key.",
        ),
        Shown(default="no key", metavar="NAME"),
    ] = None

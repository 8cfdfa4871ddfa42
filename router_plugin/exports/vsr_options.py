"""Options of a configuration for vLLM Semantic Router (VSR)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from registry.shared.options import Options, Shown
from router_plugin.errors import ExportError
from router_plugin.exports.model_refs import DEFAULT

Target = Literal["0.4", "0.3"]
Signals = Literal["classifiers", "embeddings"]


class VsrOptions(Options):
    """What a configuration for VSR says.

    Raises:
        ExportError: an unknown option, or a value of another type or out of range.
    """

    error = ExportError

    server: Annotated[
        str,
        Field(description="URL of the server, as VSR reaches it, like http://domain-router:8700."),
        Shown(metavar="URL"),
    ]
    target: Annotated[Target, Field(description="Version of VSR.")] = "0.4"
    signals: Annotated[
        Signals | None,
        Field(
            description="Whether VSR asks for the probabilities of routes (classifiers), or for embeddings, which it "
            "compares itself."
        ),
        Shown(default="classifiers, embeddings for 0.3"),
    ] = None
    routes_port: Annotated[int, Field(ge=1, le=65535, description="Port of the server's listener classify-routes.")] = (
        8701
    )
    probability: Annotated[float, Field(ge=0.5, le=1, description="Probability from which a route is taken.")] = 0.5
    model: Annotated[
        str | None,
        Field(description="Domain whose encoder embeds; domain-routed for the joint space of all domains."),
        Shown(default="domain-routed, the single domain under the strategy single", metavar="NAME"),
    ] = None
    model_refs: Annotated[
        tuple[str, ...],
        Field(description="Model that answers the queries of a route, or of all others."),
        Shown(metavar="[ROUTE=]NAME"),
    ] = (DEFAULT,)
    key_variable: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Environment variable of VSR that holds the server's key."
        ),
        Shown(default="no key is sent", metavar="NAME"),
    ] = None

    @property
    def kind(self) -> Signals:
        """The signals, or what is the default for the target."""
        return self.signals or ("classifiers" if self.target == "0.4" else "embeddings")

"""Every hook of domain-router: the catalogue for those who write plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import typer

    from registry import BaseModelFiles, ModelVersion, Profile, Registry
    from router_plugin.contracts import BaseEmbedder, DomainClassifier, Encoder
    from router_plugin.decision import Decision
    from router_plugin.router import DomainRouter
    from router_plugin.settings import Settings
    from training import JudgeOptions, SourceKind

PROJECT = "domain_router"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def domain_classifier(
    profiles: Mapping[str, Profile], queries: Mapping[str, Sequence[str]], base: BaseEmbedder, settings: Settings
) -> DomainClassifier | None:
    """Choose the domain classifier, assembled from the profiles of the domains, and from what routes say about some."""


@hookspec(firstresult=True)
def encoder(folder: Path, version: ModelVersion | None, base: BaseModelFiles, settings: Settings) -> Encoder | None:
    """Choose the encoder for a model folder; version is None for base, the model of the general domain."""


@hookspec(firstresult=True)
def relevance_judge(options: JudgeOptions) -> object | None:
    """Choose the judge that grades how well documents answer queries, in training and for made questions."""


@hookspec
def source_kinds() -> Sequence[SourceKind] | None:
    """Add kinds of sources that prepare can read."""


@hookspec(firstresult=True)
def registry_backend(url: str) -> Registry | None:
    """Open the registry of a URL if its scheme is the plugin's; return None for any other URL."""


@hookspec
def before_route(query: str) -> str | None:
    """See a query before it is routed; return another text to route it instead."""


@hookspec
def after_route(decision: Decision) -> Decision | None:
    """See a decision; return another one to replace it."""


@hookspec
def version_published(version: ModelVersion) -> None:
    """Be notified of a model version that was just registered."""


@hookspec
def alias_moved(domain: str, alias: str, version: int | None, previous: int | None) -> None:
    """Be notified of an alias that now names another version."""


@hookspec
def register_commands(app: typer.Typer) -> None:
    """Add commands to the command line."""


@hookspec
def register_server_routes(app: Any, router: DomainRouter) -> None:
    """Add routes to an HTTP server's application, which calls this once before it accepts requests."""

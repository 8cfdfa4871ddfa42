"""Every hook of domain-router: the catalogue for those who write plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import typer

    from registry import BaseModelFiles, ModelVersion, Profile
    from router_plugin.contracts import BaseEmbedder, DomainClassifier, Encoder
    from router_plugin.decision import Decision
    from router_plugin.settings import Settings
    from training import JudgeOptions, SourceKind

PROJECT = "domain_router"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def domain_classifier(
    profiles: Mapping[str, Profile], base: BaseEmbedder, settings: Settings
) -> DomainClassifier | None:
    """Choose the domain classifier, assembled from the profiles of the registered domains."""


@hookspec(firstresult=True)
def encoder(folder: Path, version: ModelVersion | None, base: BaseModelFiles, settings: Settings) -> Encoder | None:
    """Choose the encoder for a model folder; version is None for base, the model of the general domain."""


@hookspec(firstresult=True)
def relevance_judge(options: JudgeOptions) -> object | None:
    """Choose the judge that train asks how well mined documents answer a query."""


@hookspec
def source_kinds() -> Sequence[SourceKind] | None:
    """Add kinds of sources that prepare can read."""


@hookspec
def before_route(query: str) -> str | None:
    """See a query before it is routed; return another text to route that instead."""


@hookspec
def after_route(decision: Decision) -> Decision | None:
    """See a decision; return another one to replace it."""


@hookspec
def version_published(version: ModelVersion) -> None:
    """Hear of a model version that was just registered."""


@hookspec
def alias_moved(domain: str, alias: str, version: int, previous: int | None) -> None:
    """Hear of an alias that names another version now."""


@hookspec
def register_commands(app: typer.Typer) -> None:
    """Add commands to the command line."""

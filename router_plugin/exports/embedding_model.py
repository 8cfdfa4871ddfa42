"""The model whose vectors another router keeps: named so that it is one vector space for ever."""

from __future__ import annotations

from registry import GENERAL
from router_plugin.errors import ExportError
from router_plugin.joint_space.space import JOINT, JointSpace
from router_plugin.serving.domains import ServedDomains
from router_plugin.settings import Settings


def model_or_default(model: str | None, domains: ServedDomains, settings: Settings) -> str:
    """A model's name: a domain, or the joint space; by default what the strategy of the settings compares in.

    Raises:
        ExportError: there is no such model.
    """
    found = model or (settings.single_domain if settings.strategy == "single" else JOINT)
    if found not in (JOINT, *domains.names):
        raise ExportError(f"`model` {found!r}: expected one of {', '.join((*domains.names, JOINT))}")
    return found


def pinned(model: str, domains: ServedDomains) -> tuple[str, int]:
    """The name of a model with its version, or with the identifier of the joint space; and its dimension."""
    if model == JOINT:
        space = JointSpace(domains)
        return f"{JOINT}@{space.identifier}", space.dimension
    version = domains.champions.get(model)
    return version.name if version and model != GENERAL else model, domains.dimension(model)

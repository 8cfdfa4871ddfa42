"""The configuration with which LiteLLM's proxy asks a server of ours which model answers, and for embeddings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from registry import GENERAL
from registry.shared.outputs import make_folder, write_atomically
from router_plugin.decision import NO_ROUTE
from router_plugin.errors import ExportError
from router_plugin.exports.address import read_address
from router_plugin.exports.config_file import CONFIG, check_target, config_text
from router_plugin.exports.embedding_model import model_or_default, pinned
from router_plugin.exports.litellm_options import LitellmOptions
from router_plugin.exports.model_refs import PLACEHOLDER, read_model_refs
from router_plugin.serving.state import ServingState

COMMAND = "litellm"

CHOOSING = "domain-router"
"""The model that clients ask the proxy for, so that one is chosen."""

DEADLINE_MS = 1000
"""After this, LiteLLM no longer waits for a choice, and takes the fallback."""

_MOST_TIERS = 8
_LONGEST_NAME = 64
_LONGEST_DESCRIPTION = 500
"""LiteLLM's limits; names also have to differ in more than case."""

_NO_KEY = "no-key"
"""LiteLLM sends a key in any case."""


def write_litellm(state: ServingState, options: LitellmOptions, out: Path, overwrite: bool = False) -> list[Path]:
    """Write the configuration into a folder; returns the file.

    Raises:
        OutputError: it cannot be written, or there is a configuration that may not be replaced.
        ExportError: see :func:`configuration`.
    """
    text = config_text(configuration(state, options), COMMAND, "LiteLLM", state.domains)
    check_target(out, COMMAND, overwrite)
    make_folder(out)
    write_atomically(out / CONFIG, text)
    return [out / CONFIG]


def configuration(state: ServingState, options: LitellmOptions) -> dict[str, Any]:
    """A model that stands for the choice, by tiers; one that embeds; and the models that answer.

    A route or domain is a tier if it has a model of its own. All others are the fallback tier, whose model also answers
    while the server does not.

    Raises:
        ExportError: LiteLLM cannot do this, or a name is none that it takes.
    """
    address = read_address(options.server)
    described = _routes(state) if options.tiers == "routes" else _domains(state)
    kind, fallback = ("route", NO_ROUTE) if options.tiers == "routes" else ("domain", GENERAL)
    default, models = read_model_refs(options.model_refs, described, kind)
    tiers = {name: models[name] for name in described if name in models} | {fallback: default}
    _check_tiers(tiers, kind, state)
    embeds = model_or_default(options.model, state.domains, state.settings)
    key = f"os.environ/{options.key_variable}" if options.key_variable else _NO_KEY
    choosing = {
        "model": "auto_router/complexity_router",
        "complexity_router_config": {
            "classifier_type": "oss_classifier",
            "opensource_classifier_config": {
                "provider": "jev",
                "model": CHOOSING,
                "api_base": address.url,
                "api_key": key,
                "timeout_ms": DEADLINE_MS,
            },
            "classifier_context_window_size": 0,
            "tier_definitions": [
                {"name": name, "description": described.get(name, "All other queries.")} for name in tiers
            ],
            "tiers": tiers,
            "fallback_tier": fallback,
        },
    }
    embedding = {"model": f"openai/{pinned(embeds, state.domains)[0]}", "api_base": f"{address.url}/v1", "api_key": key}
    answering = list(dict.fromkeys(tiers.values()))
    for name in {CHOOSING, embeds} & set(answering):
        raise ExportError(f"`model_refs` {name}: is a name of this configuration: choose another one")
    return {
        "model_list": [
            {"model_name": CHOOSING, "litellm_params": choosing},
            {"model_name": embeds, "litellm_params": embedding, "model_info": {"mode": "embedding"}},
            *({"model_name": name, "litellm_params": _answering(name)} for name in answering),
        ]
    }


def _answering(name: str) -> dict[str, str]:
    """How LiteLLM asks a model: as its provider demands, or at a placeholder that speaks OpenAI's protocol."""
    return {"model": name} if "/" in name else {"model": f"hosted_vllm/{name}", "api_base": f"http://{PLACEHOLDER}/v1"}


def _routes(state: ServingState) -> dict[str, str]:
    """What each route is about."""
    if not state.served.routes:
        raise ExportError("there are no routes to export")
    if any(route.name == NO_ROUTE for route in state.served.routes):
        raise ExportError(f"route {NO_ROUTE!r}: that is the tier of queries without a route: choose another name")
    return {route.name: _line(route.description or "; ".join(route.utterances)) for route in state.served.routes}


def _domains(state: ServingState) -> dict[str, str]:
    """What each domain is about, without ``general``, where all other queries belong."""
    return {name: f"Queries that belong to {name}." for name in state.domains.names if name != GENERAL}


def _line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_DESCRIPTION].rstrip()


def _check_tiers(tiers: Mapping[str, str], kind: str, state: ServingState) -> None:
    """Make sure that LiteLLM takes the tiers, and that the server knows what they are.

    Raises:
        ExportError: it does not.
    """
    if not 2 <= len(tiers) <= _MOST_TIERS:
        named, most = len(tiers) - 1, _MOST_TIERS - 1
        raise ExportError(f"`model_refs` names a model for {named} {kind}s: LiteLLM takes from 1 to {most}")
    for name in tiers:
        if name != " ".join(name.split()) or len(name) > _LONGEST_NAME or _twin(name, tiers):
            raise ExportError(
                f"{kind} {name!r}: LiteLLM takes names of at most {_LONGEST_NAME} characters, without white space "
                "around or line breaks, that differ in more than case"
            )
    if kind == "domain" and tiers.keys() <= {route.name for route in state.served.routes}:
        raise ExportError("`tiers` domains: all of them are names of routes, and the server would take them for these")


def _twin(name: str, names: Collection[str]) -> bool:
    return sum(other.casefold() == name.casefold() for other in names) > 1

"""The configuration with which VSR, a proxy that chooses models, decides as a router of ours does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from registry import GENERAL
from registry.shared.outputs import make_folder, write_atomically
from router_plugin.decision import NO_ROUTE
from router_plugin.errors import ExportError
from router_plugin.exports.address import ServerAddress, read_address
from router_plugin.exports.config_file import CONFIG, check_target, config_text
from router_plugin.exports.model_refs import PLACEHOLDER, read_model_refs
from router_plugin.exports.vsr_options import VsrOptions
from router_plugin.exports.vsr_signals import DEADLINE_S, by_classifier, by_embeddings, external_model
from router_plugin.serving.state import ServingState

MAPPING = "models/domain-router/category_mapping.json"
"""Where VSR finds the names of domains. It sees its folder ``models``, also from inside a container."""

_DEFAULT_MODEL = {"0.4": "model", "0.3": "default_model"}
_UNUSED = {"classifiers": ("model",), "embeddings": ("routes_port", "probability")}
"""Options without effect, by the kind of signals."""


def write_vsr(state: ServingState, options: VsrOptions, out: Path, overwrite: bool = False) -> list[Path]:
    """Write the configuration, and beside it the mapping of domains that it refers to; returns the files.

    Raises:
        OutputError: they cannot be written, or there is a configuration that may not be replaced.
        ExportError: see :func:`configuration`.
    """
    content = configuration(state, options)
    files = {}
    if "domains" in content["routing"]["signals"]:
        files[out / MAPPING] = json.dumps(category_mapping(state.domains.names), indent=2) + "\n"
    host = f"vLLM Semantic Router {options.target}"
    files[out / CONFIG] = config_text(content, "vsr", host, state.domains)
    check_target(out, "vsr", overwrite)
    for path, text in files.items():
        make_folder(path.parent)
        write_atomically(path, text)
    return list(files)


def configuration(state: ServingState, options: VsrOptions) -> dict[str, Any]:
    """A decision for each route, the signals by which they are made, and placeholders for the models that answer.

    Raises:
        ExportError: VSR of that version cannot do this, or a name is none that it takes.
    """
    address = read_address(options.server)
    _check(state, options)
    kinds = {"classifiers": by_classifier, "embeddings": by_embeddings}
    found = kinds[options.kind](state, options, address)
    routes = [route.name for route in state.served.routes]
    default, models = read_model_refs(options.model_refs, routes, "route")
    signals, catalog = dict(found.signals), dict(found.catalog)
    if options.target == "0.4" and len(state.domains.names) > 1:
        signals["domains"], of_domains = _domains(state, options, address)
        catalog["external"] = [*catalog.get("external", ()), *of_domains.pop("external")]
        catalog |= of_domains
    decisions = [
        {
            "name": route.name,
            **({"description": route.description} if route.description else {}),
            "priority": 100,
            "rules": {"operator": "AND", "conditions": [found.conditions[route.name]]},
            "modelRefs": [{"model": models.get(route.name, default), "use_reasoning": False}],
        }
        for route in state.served.routes
    ]
    names = list(dict.fromkeys((default, *models.values())))
    backends = [{"name": "primary", "endpoint": PLACEHOLDER, "protocol": "http"}]
    providers = {
        "defaults": {_DEFAULT_MODEL[options.target]: default},
        "models": [{"name": name, "backend_refs": backends} for name in names],
    }
    cards = [{"name": name} for name in names]
    return {
        "version": "v0.3",
        "listeners": [{"name": "http", "address": "0.0.0.0", "port": 8899}],
        "providers": _literal(providers),
        "routing": _literal({"modelCards": cards, "signals": signals, "decisions": decisions}),
        "global": {"model_catalog": catalog},
    }


def category_mapping(names: Sequence[str]) -> dict[str, Any]:
    """The labels of domains as VSR reads them."""
    return {
        "category_to_idx": {name: number for number, name in enumerate(names)},
        "idx_to_category": {str(number): name for number, name in enumerate(names)},
    }


def _check(state: ServingState, options: VsrOptions) -> None:
    if options.target == "0.3" and options.kind == "classifiers":
        raise ExportError("`signals` classifiers: VSR 0.3 has none that asks a server: use embeddings")
    for name in _UNUSED[options.kind]:
        if name in options.model_fields_set:
            raise ExportError(f"`{name}` cannot be used with `signals` {options.kind}")
    if not state.served.routes:
        raise ExportError("there are no routes to export")
    for route in state.served.routes:
        if ":" in route.name or route.name != route.name.strip():
            raise ExportError(f"route {route.name!r}: VSR takes no name with a colon or with white space around it")
        if route.name == NO_ROUTE:
            raise ExportError(f"route {NO_ROUTE!r}: that is the label of queries without a route: choose another name")


def _domains(
    state: ServingState, options: VsrOptions, address: ServerAddress
) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """The domains as signals of VSR, for decisions that users add, and the part of the catalogue that they need."""
    model = "domain-router-domains"
    signals = [{"name": name, "description": f"Queries that belong to {name}."} for name in state.domains.names]
    domain = {
        "enabled": True,
        "threshold": state.settings.min_confidence,
        "fallback_category": GENERAL,
        "category_mapping_path": MAPPING,
        "backend": {
            "protocol": "http_classify",
            "contract": "label_distribution.v1",
            "model": model,
            "deadline_ms": 1000 * DEADLINE_S,
        },
    }
    return signals, {
        "external": [external_model(model, address, address.port, options.key_variable)],
        "modules": {"classifier": {"domain": domain}},
    }


def _literal(value: Any) -> Any:
    """A value in which dollar signs mean themselves; VSR puts environment variables behind them otherwise."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key: _literal(each) for key, each in value.items()}
    return [_literal(each) for each in value] if isinstance(value, list) else value

"""How VSR decides for routes: by the server's probabilities of them, or by embeddings that VSR compares itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from router_plugin.decision import NO_ROUTE
from router_plugin.errors import ExportError
from router_plugin.evaluation.fitted import NOT_FITTED
from router_plugin.exports.address import ServerAddress
from router_plugin.exports.embedding_model import model_or_default, pinned
from router_plugin.exports.vsr_options import VsrOptions
from router_plugin.joint_space.space import JOINT
from router_plugin.routes import Route
from router_plugin.serving.state import ServingState

DEADLINE_S = 1
"""Seconds after which VSR no longer waits for a classification; nothing matches then."""

CLASSIFIER = "routes"
"""The name of the signal with a label for each route."""

_NO_PROTOTYPES = {"enabled": False, "best_weight": 1.0, "top_m": 1}
"""A rule's score is that of its nearest candidate. By default VSR compares with at most eight typical ones only, and
takes three parts of the best score and one of the mean of the best two."""

_MEAN_OF_NEAREST = 1e-6
"""Weight of the nearest candidate beside the mean of the nearest few; VSR takes 0 for its default, 0.75."""


@dataclass(frozen=True)
class Signals:
    """Parts of a configuration.

    Attributes:
        signals: of ``routing``.
        conditions: by the name of a route, when its decision is taken.
        catalog: of ``global.model_catalog``.
    """

    signals: dict[str, Any]
    conditions: dict[str, dict[str, Any]]
    catalog: dict[str, Any]


def external_model(name: str, address: ServerAddress, port: int, key_variable: str | None) -> dict[str, Any]:
    """An external model of VSR, which has an address and no path: ``/classify`` is asked there."""
    return {
        "name": name,
        "model_role": "classification",
        "llm_model_name": name,
        "llm_endpoint": {"address": address.host, "port": port, "protocol": address.scheme},
        "llm_timeout_seconds": DEADLINE_S,
        **({"access_key": f"${{{key_variable}}}"} if key_variable else {}),
    }


def by_classifier(state: ServingState, options: VsrOptions, address: ServerAddress) -> Signals:
    """Routes as labels of one classifier, whose probabilities are calibrated.

    From a probability of 0.5 on, at most one route is taken. VSR treats all conditions that are met as equally sure.

    Raises:
        ExportError: the port of the routes is the server's own.
    """
    if options.routes_port == address.port:
        raise ExportError(f"`routes_port` {options.routes_port}: is that of `server`, which tells domains")
    model = "domain-router-routes"
    names = [route.name for route in state.served.routes]
    rule = {"name": CLASSIFIER, "type": "sequence_classifier", "model": model, "labels": [*names, NO_ROUTE]}
    predicate = {"gte": options.probability}
    return Signals(
        {"classifiers": [rule]},
        {name: {"type": "classifier", "name": CLASSIFIER, "label": name, "predicate": predicate} for name in names},
        {"external": [external_model(model, address, options.routes_port, options.key_variable)]},
    )


def by_embeddings(state: ServingState, options: VsrOptions, address: ServerAddress) -> Signals:
    """Routes as candidates with thresholds.

    The model is named with its version, or with the identifier of the joint space: VSR embeds candidates once, and
    compares queries of another space with them if the server answers.

    Raises:
        ExportError: there is no such model, or thresholds were fitted for the scores of another.
    """
    model, dimension = _space(state, options)
    settings = state.settings
    aggregation = "mean" if settings.aggregation == "mean" else "max"
    prototypes = dict(_NO_PROTOTYPES)
    if settings.aggregation == "top-k":
        prototypes |= {"best_weight": _MEAN_OF_NEAREST, "top_m": settings.top_k}
    rules = [
        {
            "name": route.name,
            "threshold": round(_threshold(route, state), 6),
            "aggregation_method": aggregation,
            "candidates": list(route.utterances),
        }
        for route in state.served.routes
    ]
    semantic = {
        "embedding_config": {
            "backend": "openai_compatible",
            "model_type": "remote",
            "preload_embeddings": True,
            "target_dimension": dimension,
            "enable_soft_matching": False,
            "top_k": 1,
            "prototype_scoring": prototypes,
        },
        "endpoint": {
            "base_url": f"{address.url}/v1",
            "model": model,
            "timeout_seconds": 10,
            "max_retries": 2,
            **({"api_key_env": options.key_variable} if options.key_variable else {}),
        },
    }
    conditions = {route.name: {"type": "embedding", "name": route.name} for route in state.served.routes}
    return Signals({"embeddings": rules}, conditions, {"embeddings": {"semantic": semantic}})


def _threshold(route: Route, state: ServingState) -> float:
    return state.threshold if route.threshold is None else route.threshold


def _space(state: ServingState, options: VsrOptions) -> tuple[str, int]:
    """The name and the dimension of the space in which VSR compares."""
    model = model_or_default(options.model, state.domains, state.settings)
    if state.fitted != NOT_FITTED and model != model_or_default(None, state.domains, state.settings):
        fit = f"--strategy single --single-domain {model}" if model != JOINT else "another strategy"
        raise ExportError(f"`fitted` has thresholds for other scores than those of `model` {model}: fit with {fit}")
    return pinned(model, state.domains)

"""Settings of the router."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal, get_args

from registry import GENERAL
from router_plugin.errors import SettingsError

Strategy = Literal["two_stage", "ensemble", "single"]
"""The known ways to serve many domains: the likeliest domain's encoder, those of the likeliest few, or one for all."""

Aggregation = Literal["max", "mean", "top-k"]
"""A route is as near as the nearest of its utterances, as all of them are on average, or as the nearest few are."""

LEAST = {"ensemble_domains": 1, "top_k": 1, "max_query_characters": 1, "preload": 0, "query_cache": 0}
"""The settings that are whole numbers, and the least of each; beside ``memory_budget_mb``, which may be None."""

RANGES = {"min_confidence": (0, 1), "target_precision": (0, 1), "secondary_threshold": (0, 1), "threshold": (-1, 1)}
"""Those that are other numbers, and from where to where they go."""


@dataclass(frozen=True)
class Settings:
    """How queries are routed.

    Attributes:
        strategy: ``two_stage``, the encoder of the likeliest domain; ``ensemble``, those of the likeliest few, the
            less likely ones discounted; or ``single``, one encoder for all queries and routes.
        ensemble_domains: how many of them.
        single_domain: whose encoder that one is.
        aggregation: what counts of the utterances of a route: the nearest (``max``), all (``mean``), or the nearest few
            (``top-k``), whose mean is taken.
        top_k: how many of them.
        min_confidence: a query goes to ``general`` unless its best domain has at least this probability.
        target_precision: share of the queries given to a domain that shall be its own, from 0 to 1; a domain whose
            queries are often mistaken asks for a greater probability than ``min_confidence``.
        secondary_threshold: a decision names other domains beside its own that have at least this probability.
        threshold: least cosine for a route that has no threshold of its own.
        max_query_characters: longer queries are cut before anything else is done.
        backend: what models run on: ``auto``, the fastest variant that was stored with a version, else torch;
            ``torch``; or ``openvino``, ``openvino-int8``, ``onnx`` or ``onnx-int8``, and then the base model too.
        memory_budget_mb: what encoders may take; the longest unused are dropped, and loaded when they are needed again.
        preload: so many of the domains that were asked for most so far are loaded at the start.
        query_cache: embeddings of recent queries that are kept, of a query one by each encoder that saw it; 0 for none.
        device: as torch names it; by default a GPU where there is one.
        trust_remote_code: let models run code of their own.

    Raises:
        SettingsError: a strategy or an aggregation that there is not, or a number that cannot be.
    """

    strategy: Strategy = "two_stage"
    ensemble_domains: int = 2
    single_domain: str = GENERAL
    aggregation: Aggregation = "max"
    top_k: int = 3
    min_confidence: float = 0.5
    target_precision: float = 0.8
    secondary_threshold: float = 0.2
    threshold: float = 0.3
    max_query_characters: int = 20_000
    backend: str = "auto"
    memory_budget_mb: int | None = None
    preload: int = 0
    query_cache: int = 10_000
    device: str | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        for name, known in (("strategy", get_args(Strategy)), ("aggregation", get_args(Aggregation))):
            if getattr(self, name) not in known:
                raise SettingsError(f"{name} {getattr(self, name)!r}: expected {', '.join(known)}")
        for name, least in LEAST.items():
            _check_whole(name, getattr(self, name), least)
        if self.memory_budget_mb is not None:
            _check_whole("memory_budget_mb", self.memory_budget_mb, 0)
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            is_number = isinstance(value, Real)
            if not is_number or not least <= value <= most:  # NaN is not
                raise SettingsError(f"{name} {value!r}: expected a number from {least} to {most}")


def _check_whole(name: str, value: object, least: int) -> None:
    if not isinstance(value, Integral) or value < least:
        raise SettingsError(f"{name} {value!r}: expected a whole number of at least {least}")

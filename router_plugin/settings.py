"""Settings of the router."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How queries are routed.

    Attributes:
        min_confidence: a query goes to ``general`` unless its best domain has at least this probability.
        target_precision: share of the queries given to a domain that shall be its own, from 0 to 1; a domain whose
            queries are often mistaken asks for a greater probability than ``min_confidence``.
        also_confidence: a decision names other domains beside its own that have at least this probability.
        threshold: least cosine for a route that has no threshold of its own.
        max_query_characters: longer queries are cut before anything else is done.
        backend: what models run on: ``auto``, the fastest variant that was stored with a version, else torch;
            ``torch``; or ``openvino``, ``openvino-int8``, ``onnx`` or ``onnx-int8``, and then the base model too.
        memory_budget_mb: what encoders may take; the longest unused are dropped, and loaded when they are needed again.
        preload: so many of the domains that were asked for most so far are loaded at the start.
        query_cache: embeddings of recent queries that are kept; 0 for none.
        device: as torch names it; by default a GPU where there is one.
        trust_remote_code: let models run code of their own.
    """

    min_confidence: float = 0.5
    target_precision: float = 0.8
    also_confidence: float = 0.2
    threshold: float = 0.3
    max_query_characters: int = 20_000
    backend: str = "auto"
    memory_budget_mb: int | None = None
    preload: int = 0
    query_cache: int = 10_000
    device: str | None = None
    trust_remote_code: bool = False

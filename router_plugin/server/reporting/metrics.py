"""Counts what the server does, for Prometheus."""

from __future__ import annotations

import os
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from router_plugin.decision import Decision
from router_plugin.encoders.query_cache import QueryCache

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of the folder in which several processes add up their counts."""

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_TEXTS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The server's counters, gauges and histograms."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        of = self._registry
        self.requests = Counter("domain_router_requests", "Requests.", ["path", "status"], registry=of)
        self.request_seconds = Histogram(
            "domain_router_request_seconds", "Seconds of a request.", ["path"], buckets=_SECONDS, registry=of
        )
        self.stage_seconds = Histogram(
            "domain_router_stage_seconds",
            "Seconds of each stage of a decision.",
            ["stage", "canary"],
            buckets=_SECONDS,
            registry=of,
        )
        self.decisions = Counter(
            "domain_router_decisions", "Decisions.", ["domain", "version", "route", "reason", "canary"], registry=of
        )
        self.batch_texts = Histogram(
            "domain_router_batch_texts", "Texts of a batch.", ["work"], buckets=_TEXTS, registry=of
        )
        self.batch_seconds = Histogram(
            "domain_router_batch_seconds", "Seconds of a batch.", ["work"], buckets=_SECONDS, registry=of
        )
        self._queue = Gauge("domain_router_waiting_texts", "Texts that wait.", multiprocess_mode="livesum", registry=of)
        self._serving = Gauge(
            "domain_router_serving",
            "1 for the version that serves a domain.",
            ["domain", "version"],
            multiprocess_mode="livemax",
            registry=of,
        )
        self.reload_failures = Counter(
            "domain_router_reload_failures", "Champions and candidates that could not be loaded.", registry=of
        )
        self.registry_failures = Counter(
            "domain_router_registry_failures", "Times that the registry could no longer be read.", registry=of
        )
        self._cache = Counter(
            "domain_router_query_embeddings", "Embeddings of queries, from the cache or made.", ["cached"], registry=of
        )
        self._counted = {True: 0, False: 0}

    def count_decision(self, decision: Decision, canary: str = "") -> None:
        """Count a decision and the time of its stages.

        Args:
            decision: to count.
            canary: the candidate that decided, if one did.
        """
        self.decisions.labels(
            decision.domain, decision.model_version, decision.route or "", decision.reason or "", canary
        ).inc()
        for stage, milliseconds in decision.timings_ms.items():
            self.stage_seconds.labels(stage, canary).observe(milliseconds / 1000)

    def decided(self) -> dict[str, Counts[str]]:
        """Decisions of this process by route, for each canary; an empty one means the champions, or no route."""
        found: dict[str, Counts[str]] = defaultdict(Counts)
        for sample in (sample for metric in self.decisions.collect() for sample in metric.samples):
            if sample.name.endswith("_total"):
                found[sample.labels["canary"]][sample.labels["route"]] += int(sample.value)
        return dict(found)

    def count_batch(self, work: str, texts: int, seconds: float) -> None:
        """Count a batch."""
        self.batch_texts.labels(work).observe(texts)
        self.batch_seconds.labels(work).observe(seconds)

    def set_serving(self, before: Mapping[str, str], now: Mapping[str, str]) -> None:
        """Say which version serves each domain, instead of those before."""
        for domain, version in before.items():
            self._serving.labels(domain, version).set(0)
        for domain, version in now.items():
            self._serving.labels(domain, version).set(1)

    def text(self, waiting: int, cache: QueryCache) -> bytes:
        """All of it, in the format of Prometheus.

        Args:
            waiting: texts that wait now.
            cache: of the embeddings of queries.
        """
        self._queue.set(waiting)
        for cached, number in ((True, cache.hits), (False, cache.misses)):
            self._cache.labels(str(cached).lower()).inc(number - self._counted[cached])
            self._counted[cached] = number
        registry = self._registry
        if folder := os.environ.get(SHARED_FOLDER):
            _forget_dead(Path(folder))
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def _forget_dead(folder: Path) -> None:
    """Remove what processes that were killed said of their present state; what they counted stays."""
    for pid in {int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]

"""Incoming queries as the domains of today see them: which drift away from their domain, and which have none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from registry import GENERAL
from registry.progress import Progress
from registry.texts.forms import text_key
from router_plugin.contracts import MOST_UNREAD
from router_plugin.cosines import usable
from router_plugin.improving.new_domains import NewDomain, domains_of
from router_plugin.improving.options import ImproveOptions
from router_plugin.inspection.drift import Drift, drift_of
from router_plugin.serving.candidates import Matrix
from router_plugin.serving.scores import Scored, score
from router_plugin.serving.state import ServingState

NEWEST = 2000
"""Queries that are looked at: the distances between 2,000 take 32 MB."""
BLOCK = 64
"""Queries that are routed at a time."""


@dataclass(frozen=True)
class Incoming:
    """What came in.

    Attributes:
        queries: number of different queries that the base model can read.
        unclaimed: how many of them no domain claims: they go to ``general``, and no route is near enough.
        domains: each domain that has a classifier profile, drifting ones first.
        clusters: of the unclaimed queries, the largest first.
    """

    queries: int
    unclaimed: int
    domains: list[Drift]
    clusters: list[NewDomain]


def look_at(state: ServingState, texts: Sequence[str], progress: Progress = lambda _: None) -> Incoming:
    """Compare queries with the domains, and cluster those that no domain claims.

    What the router decides of them today counts, not what it decided when they came.

    Args:
        state: of the router.
        texts: the queries, the newest first; equal ones count once, and at most ``NEWEST`` are used.
        progress: hears how far this is.

    Raises:
        PluginError: a plugin failed.
        ClosedError: the router was closed.
    """
    different = list({text_key(text): text for text in reversed(texts)}.values())[::-1][:NEWEST]
    everywhere = state.settings.single_domain if state.settings.strategy == "single" else GENERAL
    by_domain: dict[str, list[int]] = defaultdict(list)
    unclaimed: list[int] = []
    read: list[str] = []
    vectors: list[Matrix] = []
    for start in range(0, len(different), BLOCK):
        progress(start / len(different))
        for text, each, vector in _readable(state, different[start : start + BLOCK]):
            domain, row = each.choice.domain, len(read)
            by_domain[domain].append(row)
            if domain in (GENERAL, everywhere) and each.verdict().route is None:
                unclaimed.append(row)
            read.append(text)
            vectors.append(vector)
    matrix = np.stack(vectors) if vectors else np.zeros((0, 1), dtype=np.float32)
    found = [_drift(state, name, by_domain[name], read, matrix) for name in state.domains.names if name != GENERAL]
    found.sort(key=lambda each: (each.verdict != "drifting", -each.queries, each.domain))
    clusters = _clusters(state, unclaimed, read, matrix)
    return Incoming(len(read), len(unclaimed), found, clusters)


def _drift(state: ServingState, domain: str, rows: Sequence[int], texts: Sequence[str], vectors: Matrix) -> Drift:
    profile = state.domains.profile(domain)
    assert profile is not None
    return drift_of(domain, profile, [texts[row] for row in rows], vectors[[*rows]], state.domains.base.digest)


def _clusters(state: ServingState, rows: Sequence[int], texts: Sequence[str], vectors: Matrix) -> list[NewDomain]:
    unclaimed = {*rows}
    others = [text for row, text in enumerate(texts) if row not in unclaimed]
    queries, smallest = [texts[row] for row in rows], ImproveOptions().min_cluster
    return domains_of(queries, vectors[[*rows]], others, state.domains.names, smallest)


def _readable(state: ServingState, texts: Sequence[str]) -> list[tuple[str, Scored, Matrix]]:
    """The texts that can be read, what is decided about them, and their vectors by the base model, ``(d,)`` each."""
    scored = zip(texts, score(state, texts, to_decide=True), strict=True)
    found = [(text, each) for text, each in scored if each.text.text and each.unread <= MOST_UNREAD]
    vectors = state.domains.embed([(GENERAL, each.text.text) for _, each in found])
    return [(text, each, vector) for (text, each), vector in zip(found, vectors, strict=True) if usable(vector)]

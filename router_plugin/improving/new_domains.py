"""Clusters of queries that no domain claims, as the start of new domains."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from registry import GENERAL
from registry.errors import OutputError
from registry.names import check_domain
from registry.paths import PathLike, local_path
from registry.shared.outputs import write_atomically
from router_plugin.improving.judged import Ints
from router_plugin.improving.options import ImproveOptions
from router_plugin.improving.simulation import Simulation, decide
from router_plugin.improving.terms import distinguishing_terms
from router_plugin.routes_text.writing import yaml_text
from router_plugin.serving.candidates import Matrix

MAX_DISTANCE = 0.7
"""Mean cosine distance between the queries of two clusters from which they stay apart."""
TERMS = 5
"""Terms of a cluster that are shown; the first two are its name."""
_NAMED = 2


@dataclass(frozen=True)
class NewDomain:
    """The start of a domain.

    Attributes:
        name: of its terms.
        terms: by which its queries differ from all others.
        queries: that no domain claims today, the most typical first.
    """

    name: str
    terms: list[str]
    queries: list[str]


def new_domains(simulation: Simulation, texts: Sequence[str], options: ImproveOptions) -> list[NewDomain]:
    """Clusters of the queries that no domain claims: they go to ``general``, and no route is near enough.

    Their embeddings by the base model are joined, the nearest first, by the mean cosine distance between the queries of
    two clusters (average linkage), up to :data:`MAX_DISTANCE`.

    Args:
        simulation: of the texts.
        texts: without a right route.
        options: for improving.
    """
    chosen = decide(simulation.scores, simulation.minimums)
    without_domains = simulation.state.settings.strategy == "single"
    rows = [
        row
        for row, domain in enumerate(simulation.domains)
        if chosen[row] < 0 and (without_domains or domain == GENERAL)
    ]
    if len(rows) < options.min_cluster:
        return []
    vectors, readable = simulation.spaces.vectors(GENERAL, rows)
    rows = [row for row, kept in zip(rows, readable, strict=True) if kept]
    unclaimed = {*rows}
    others = [text for row, text in enumerate(texts) if row not in unclaimed]
    taken = simulation.state.domains.names
    return domains_of([texts[row] for row in rows], vectors[readable], others, taken, options.min_cluster)


def domains_of(
    queries: Sequence[str], vectors: Matrix, others: Sequence[str], taken: Collection[str], smallest: int
) -> list[NewDomain]:
    """Clusters of queries, the largest first, named by the terms by which they differ from all other texts.

    Args:
        queries: that no domain claims.
        vectors: their unit vectors by the base model, ``(len(queries), d)``.
        others: queries that are claimed.
        taken: names of domains that there are.
        smallest: number of queries from which a cluster counts.
    """
    if len(queries) < max(2, smallest):
        return []
    labels = clusters(vectors, MAX_DISTANCE)
    numbers, sizes = np.unique(labels, return_counts=True)
    kept = [int(number) for number in numbers[np.argsort(-sizes, kind="stable")] if sizes[number] >= smallest]
    if not kept:
        return []
    members = [np.flatnonzero(labels == number) for number in kept]
    rest = [queries[row] for row in np.flatnonzero(~np.isin(labels, kept)).tolist()]
    found = [[queries[row] for row in _most_typical_first(vectors, part)] for part in members]
    terms = distinguishing_terms([*found, [*others, *rest]], TERMS)[: len(found)]
    return [NewDomain(*each) for each in zip(_names(terms, taken), terms, found, strict=True)]


def write_new_domains(domains: Sequence[NewDomain], path: PathLike) -> None:
    """Write domains as a file that :func:`router_plugin.load_domains` reads.

    Args:
        domains: at least one.
        path: labelled queries if its name ends in ``.jsonl``, else YAML.

    Raises:
        OutputError: the file cannot be written.
    """
    path = local_path(path, OutputError)
    if path.suffix == ".jsonl":
        rows = ({"text": query, "domain": each.name} for each in domains for query in each.queries)
        write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return
    write_atomically(path, new_domains_yaml(domains))


def new_domains_yaml(domains: Sequence[NewDomain]) -> str:
    """Domains as a YAML file that :func:`router_plugin.load_domains` reads."""
    lines = ["# Domains without a model, for --extra-domains: clusters of queries that no domain claimed.", "domains:"]
    for each in domains:
        terms = f"  # {len(each.queries)} queries. Typical: {', '.join(each.terms) or 'no term'}"
        lines += [terms, f"  - name: {each.name}", "    queries:"]
        lines += [f"      - {yaml_text(query)}" for query in each.queries]
    return "\n".join(lines) + "\n"


def clusters(vectors: Matrix, distance: float) -> Ints:
    """The cluster of each of at least two unit vectors ``(n, d)``, ``(n,)``, numbered from 0.

    The nearest clusters are joined, up to a mean cosine distance between their vectors (average linkage).
    """
    from sklearn.cluster import AgglomerativeClustering

    clustering = AgglomerativeClustering(
        n_clusters=None, metric="cosine", linkage="average", distance_threshold=distance
    )
    found: Ints = clustering.fit_predict(vectors)
    return found


def _most_typical_first(vectors: Matrix, members: Ints) -> list[int]:
    found: list[int] = members[np.argsort(-(vectors[members] @ vectors[members].mean(axis=0)), kind="stable")].tolist()
    return found


def _names(terms: Sequence[Sequence[str]], taken: Collection[str]) -> list[str]:
    """A valid name for each domain, of its first terms as far as they are spelled with letters of ASCII."""
    used = {*taken, GENERAL}
    found = []
    for number, words in enumerate(terms, 1):
        plain = [word for word in (re.sub("[^a-z0-9]", "", each.lower())[:24] for each in words) if word[:1].isalpha()]
        name = "-".join(plain[:_NAMED]) or f"new-domain-{number}"
        while name in used:
            name += "-more"
        used.add(name)
        found.append(check_domain(name))
    return found

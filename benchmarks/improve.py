"""Measures what `routes improve` gains from a log with wrong feedback, and what it proposes to split and merge.

    OMP_NUM_THREADS=1 python benchmarks/improve.py --data ../shared/data/clinc150.jsonl.gz

The routes are the intents of CLINC150, each with its first 5 training queries, served by the base model alone. The log
is simulated: other training queries, and out-of-scope ones of the validation part, are routed; users say which route is
right, or that none is, and in one row of ten name a random route. Routes are improved by the log, and both are measured
on the test part, which is used for nothing else.

`--pairs N` joins N random pairs of intents into one route each, which should be found and split; `--halves N` divides N
intents at random into two routes, which should be found and merged. `--clusters N` does something else: it clusters N
training queries of four domains and half as many out-of-scope queries, none of which a domain claims. The last line is
one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import os
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

if TYPE_CHECKING:
    from router_plugin import DomainRouter, Route
    from training.sources.logs import JudgedText

UTTERANCES = 5
"""Of each route, as in many routers' files."""


OUTSIDE = 0.02
"""Fraction of the log's queries that are out of scope; there are 100 in the validation part."""


class Part(NamedTuple):
    """Queries and the names of their routes; None for none."""

    queries: list[str]
    labels: list[str | None]


def main() -> None:
    """Make routes and a log, improve, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="clinc150.jsonl.gz")
    parser.add_argument("--log", type=int, default=5000, help="queries of the log")
    parser.add_argument("--noise", type=float, default=0.1, help="fraction of rows with wrong feedback")
    parser.add_argument("--pairs", type=int, default=0, help="pairs of intents that become one route")
    parser.add_argument("--halves", type=int, default=0, help="intents that become two routes")
    parser.add_argument("--clusters", type=int, default=0, help="queries that are clustered")
    parser.add_argument("--part", choices=("val", "test"), default="test")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    print(json.dumps(_clustered(arguments) if arguments.clusters else _measured(arguments)))


def _measured(arguments: argparse.Namespace) -> dict[str, object]:
    from router_plugin import DomainRouter, Settings, Tuner, improve_routes
    from router_plugin.cli.printing import print_table

    draw = np.random.default_rng(arguments.seed)
    parts = _parts(arguments.data, draw, arguments.pairs, arguments.halves)
    routes, rest = _routes(parts["train"])
    outside = parts["val"] if arguments.part == "test" else parts["test"]
    nothing = [query for query, label in zip(*outside, strict=True) if label is None]
    nothing = draw.permutation(nothing)[: round(OUTSIDE * arguments.log)].tolist()
    queries = Part([*nothing, *rest.queries], [*[None] * len(nothing), *rest.labels])
    router = DomainRouter(routes, _empty(), settings=Settings(strategy="single"))
    log = _log(router, queries, arguments, draw)
    start = time.perf_counter()
    found = improve_routes(router, log)
    seconds = time.perf_counter() - start
    before = Tuner(router).evaluate(*parts[arguments.part])
    router.set_routes(found.routes)
    after = Tuner(router).evaluate(*parts[arguments.part])
    columns = ("variant", "queries", "right", "in_scope_right", "out_of_scope_right", "mended", "broken", "p_value")
    print_table("Cross-validation", columns, [[getattr(each, name) for name in columns] for each in found.figures])
    print_table("Splits", ("route", "silhouette"), [(each.route, each.silhouette) for each in found.splits])
    figures = ("queries", "accuracy", "in_scope_accuracy", "out_of_scope_recall")
    return {
        "log": len(log),
        "variant": found.variant,
        "utterances": len(found.utterances),
        "thresholds": len(found.thresholds),
        "new_domains": [(each.name, len(each.queries)) for each in found.new_domains],
        "splits": [each.route for each in found.splits],
        "merges": [each.routes for each in found.merges],
        "seconds": round(seconds, 1),
        "before": {name: getattr(before, name) for name in figures},
        "after": {name: getattr(after, name) for name in figures},
    }


def _clustered(arguments: argparse.Namespace) -> dict[str, object]:
    """How well clusters of queries that no domain claims agree with their domains."""
    from router_plugin import DomainRouter, ImproveOptions, Route, Settings
    from router_plugin.improving.new_domains import new_domains
    from router_plugin.improving.simulation import Simulation

    draw = np.random.default_rng(arguments.seed)
    with gzip.open(arguments.data, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    domains = sorted({row["domain"] for row in rows if row["domain"]})[:4]
    known = [row["text"] for row in rows if row["part"] == "train" and row["domain"] in domains]
    unknown = [row["text"] for row in rows if row["domain"] is None]
    inside = draw.permutation(known)[: arguments.clusters].tolist()
    texts = [*inside, *draw.permutation(unknown)[: arguments.clusters // 2].tolist()]
    router = DomainRouter([Route(name="none", utterances=("none",))], _empty(), settings=Settings(threshold=1.0))
    found = new_domains(Simulation(router.state, texts), texts, ImproveOptions())
    domain_of = {row["text"]: row["domain"] for row in rows}
    members = [[domain_of[query] for query in each.queries] for each in found]
    in_clusters = sum(map(len, members))
    return {
        "clusters": {each.name: len(each.queries) for each in found},
        "purity": sum(max(map(names.count, set(names))) for names in members) / max(1, in_clusters),
        "of_domains": sum(name is not None for names in members for name in names) / len(inside),
        "of_others": sum(name is None for names in members for name in names) / (len(texts) - len(inside)),
    }


def _empty() -> str:
    import tempfile

    from registry import Registry

    folder = tempfile.mkdtemp()
    registry = Registry.open(folder)
    registry.create()
    registry.close()
    return folder


def _parts(data: Path, draw: np.random.Generator, pairs: int, halves: int) -> dict[str, Part]:
    """The queries of each part; some intents are joined, and others divided at random."""
    with gzip.open(data, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    intents = draw.permutation(sorted({row["intent"] for row in rows if row["intent"]})).tolist()
    joined = {}
    for number in range(pairs):
        one, other = intents[2 * number : 2 * number + 2]
        joined[one] = joined[other] = f"{one}+{other}"
    divided = set(intents[2 * pairs : 2 * pairs + halves])
    found: dict[str, Part] = defaultdict(lambda: Part([], []))
    for row in rows:
        label = joined.get(row["intent"], row["intent"])
        if label in divided:
            label = f"{label} {draw.integers(2)}"
        found[row["part"]].queries.append(row["text"])
        found[row["part"]].labels.append(label)
    return found


def _routes(train: Part) -> tuple[list[Route], Part]:
    """Routes of the first queries of each label, and the other queries."""
    from router_plugin import Route

    utterances: dict[str, list[str]] = defaultdict(list)
    rest = Part([], [])
    for query, label in zip(*train, strict=True):
        if label is not None and len(utterances[label]) < UTTERANCES * (1 + ("+" in label)):
            utterances[label].append(query)
        else:
            rest.queries.append(query)
            rest.labels.append(label)
    return [Route(name=name, utterances=tuple(texts)) for name, texts in utterances.items()], rest


def _log(
    router: DomainRouter, queries: Part, arguments: argparse.Namespace, draw: np.random.Generator
) -> list[JudgedText]:
    """What users say about the router's decisions, sometimes wrongly."""
    from training.sources.logs import JudgedText

    names = [route.name for route in router.routes]
    nothing = [row for row, label in enumerate(queries.labels) if label is None]
    inside = [row for row, label in enumerate(queries.labels) if label is not None]
    rows = [*nothing, *draw.permutation(inside)[: arguments.log - len(nothing)].tolist()]
    decisions = router.route_many([queries.queries[row] for row in rows])
    log = []
    for row, decision in zip(rows, decisions, strict=True):
        label = queries.labels[row] or ""
        if draw.random() < arguments.noise:
            label = names[draw.integers(len(names))]
        chosen = decision.route or ""
        corrections = ((chosen, label),) if label and chosen != label else ()
        log.append(JudgedText(queries.queries[row], label, frozenset(), corrections))
    return log


if __name__ == "__main__":
    main()

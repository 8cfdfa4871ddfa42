"""Measures what words cost in a hybrid domain: their index once, and a look-up and the order of routes per query.

    OMP_NUM_THREADS=1 python benchmarks/hybrid_latency.py --data ../shared/data

Every route has one utterance, a question of MedQuAD, so that there are as many routes as utterances. Queries are other
questions of it. Times are of the processor, medians over the queries; ``cosines_us`` is what comparing with the vectors
takes beside them. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from samples import rows_of

from router_plugin import Route
from router_plugin.cosines import unit
from router_plugin.hybrid import RouteWords, preferences
from router_plugin.serving.candidate_store import Embedded
from router_plugin.serving.candidates import Candidates, Queries

DIMENSION = 384


def main() -> None:
    """Index, look up in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--candidates", type=int, nargs="+", default=[100, 10_000])
    parser.add_argument("--queries", type=int, default=500)
    arguments = parser.parse_args()
    questions = sorted({row["question"] for row in rows_of(arguments.data / "medquad.jsonl.gz")})
    random.Random(0).shuffle(questions)
    queries, texts = questions[: arguments.queries], questions[arguments.queries :]
    found = {count: _measure(texts[:count], queries) for count in arguments.candidates}
    table = Table("candidates", *(key.replace("_", " ") for key in next(iter(found.values()))))
    for count, each in found.items():
        table.add_row(str(count), *map(str, each.values()))
    Console(width=120).print(table)
    print(json.dumps(found))


def _measure(texts: list[str], queries: list[str]) -> dict[str, float]:
    routes = [Route(name=str(row), utterances=(text,)) for row, text in enumerate(texts)]
    started = time.process_time()
    words = RouteWords(routes)
    indexed = time.process_time() - started
    draw = np.random.default_rng(0)
    vectors = unit(draw.normal(size=(len(texts), DIMENSION)))
    asked = unit(draw.normal(size=(len(queries), DIMENSION)))
    candidates = Candidates(routes, [Embedded(vector, 0.0, str(row).encode()) for row, vector in enumerate(vectors)])
    spent: dict[str, list[float]] = {"cosines_us": [], "words_us": [], "order_us": []}
    for query, vector in zip(queries, asked, strict=True):
        times = [time.process_time()]
        scores = candidates.scores(Queries(vector[None], [query], [0.0], [query]))[0]
        times.append(time.process_time())
        by_words = words.scores(query)
        times.append(time.process_time())
        preferences(scores, by_words)
        times.append(time.process_time())
        for each, seconds in zip(spent.values(), np.diff(times).tolist(), strict=True):
            each.append(1e6 * seconds)
    medians = {name: round(float(np.median(each))) for name, each in spent.items()}
    return {"texts": len(texts), "index_ms": round(1000 * indexed, 1), **medians}


if __name__ == "__main__":
    main()

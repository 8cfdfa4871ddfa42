"""Measures how long a query is compared with candidates in memory and in an index, and what the index finds.

    OMP_NUM_THREADS=1 python benchmarks/candidate_index.py --data ../shared/data

The candidates are the base model's vectors of different texts of all data sets, ten to a route; the queries are those
of CLINC150's test part. `build_s` is what storing them takes, without embedding. Times are of the clock, without
embedding the query; in memory, as a decision is made. `recall` is the fraction of the ten nearest utterances that are
found, `route` that of the queries whose nearest route is. PostgreSQL is started here and has an HNSW index from 10,000
candidates on (--index-from); `exact` is the same without it. The embedded Qdrant compares with all, and is left out
beyond 20,000; name a server with --store. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np
from match_latency import _every_text as every_text
from rich.console import Console
from rich.table import Table
from samples import rows_of

from registry import resolve_base_model
from registry.shared.texts import clean
from router_plugin import Route
from router_plugin.serving.candidate_store import embed, embed_cached
from router_plugin.serving.candidates import Candidates, Queries
from router_plugin.serving.index import pgvector
from router_plugin.serving.index.contract import Space
from router_plugin.serving.index.opening import open_index
from router_plugin.serving.index.stored_candidates import Shelf, StoredCandidates
from training.retrieval.encoding import load_model

UTTERANCES = 10
"""Per route."""
EMBEDDED_UP_TO = 20_000
"""Candidates in an embedded Qdrant."""
SECONDS = 30
KEYS = ("build_s", "p50_ms", "p95_ms", "recall", "route")


class Known:
    """An encoder whose vectors are known."""

    nbytes, runtime = 0, "known"

    def __init__(self, vectors: dict[str, Any]) -> None:
        self._vectors = vectors

    def encode(self, texts: Sequence[str]) -> Any:
        return np.stack([self._vectors[text] for text in texts])

    def truncates(self, text: str) -> bool:
        return False

    def key(self, text: str) -> str:
        return text


class Base(Known):
    """The base model, whose vectors are kept on disk between runs."""

    runtime = "benchmark"

    def __init__(self) -> None:
        self._model = load_model(resolve_base_model().path, "cpu")

    def encode(self, texts: Sequence[str]) -> Any:
        return self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)


def main() -> None:
    """Embed, store, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--candidates", type=int, nargs="+", default=[1000, 20_000, 100_000])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--nearest", type=int, default=256, help="candidates that are read for a query")
    parser.add_argument(
        "--store", action="append", default=[], help="address of another store; what is stored, is dropped"
    )
    parser.add_argument(
        "--index-from", type=int, default=pgvector.INDEXED_FROM, help="candidates that get an HNSW index"
    )
    arguments = parser.parse_args()
    pgvector.INDEXED_FROM = arguments.index_from
    different = list(dict.fromkeys(map(clean, every_text(arguments.data))))
    texts = random.Random(0).sample(different, max(arguments.candidates))
    rows = rows_of(arguments.data / "clinc150.jsonl.gz")
    asked = random.Random(0).sample([row["text"] for row in rows if row["part"] == "test"], arguments.queries)
    found: dict[str, Any] = {}
    base = Base()
    known = dict(zip(texts, (each.vector for each in embed_cached(texts, base, "candidate-index")), strict=True))
    queries = [
        Queries(vector[None], [text], [0.0], [text]) for text, vector in zip(asked, base.encode(asked), strict=True)
    ]
    with stores(arguments.store) as opened:
        for count in arguments.candidates:
            found |= {
                f"{count}, {name}": each
                for name, each in measured(known, texts[:count], queries, opened, arguments.nearest)
            }
    table = Table("candidates, where", *(key.replace("_", " ") for key in KEYS))
    for name, each in found.items():
        table.add_row(name, *(str(each[key]) for key in KEYS))
    Console(width=120).print(table)
    print(json.dumps(found))


@contextmanager
def stores(others: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The stores by name."""
    import pgserver

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "qdrant").mkdir()
        server = stack.enter_context(pgserver.get_server(folder / "postgresql", cleanup_mode="delete"))
        addresses = {
            "pgvector": server.get_uri().replace("postgres:@", "postgres@"),
            "embedded Qdrant": str(folder / "qdrant"),
        }
        addresses |= {each: each for each in others}
        yield {name: stack.enter_context(closing(open_index(address, SECONDS))) for name, address in addresses.items()}


def measured(
    known: dict[str, Any], texts: Sequence[str], queries: Sequence[Queries], opened: dict[str, Any], nearest: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The figures of candidates in memory and in each store."""
    routes = [
        Route(name=str(start), utterances=tuple(texts[start : start + UTTERANCES]))
        for start in range(0, len(texts), UTTERANCES)
    ]
    encoder = Known(known)
    started = time.perf_counter()
    in_memory = Candidates.embedded(routes, lambda asked: embed(asked, encoder))
    in_memory.prepare()
    built = time.perf_counter() - started

    def decide(query: Queries) -> Any:
        return in_memory.deciding(query) or in_memory.scores(query)

    exact = [(in_memory.nearest(query, 10), int(in_memory.scores(query)[0].argmax())) for query in queries]
    yield "memory", figures(built, decide, queries) | {"recall": 1.0, "route": 1.0}
    for name, index in opened.items():
        if name == "embedded Qdrant" and len(texts) > EMBEDDED_UP_TO:
            continue
        space = Space(domain="benchmark", model=str(len(texts)), digest=str(len(texts)), runtime=encoder.runtime)
        started = time.perf_counter()
        stored = StoredCandidates.filled(routes, Shelf(index, space, nearest), encoder)
        yield name, figures(time.perf_counter() - started, stored.scores, queries) | found_of(stored, queries, exact)
        if isinstance(index, pgvector.PgVectorCandidates):
            with index._connected() as connection:
                connection.execute(f"DROP INDEX IF EXISTS {space.place}_nearest")
            yield f"{name}, exact", figures(0.0, stored.scores, queries) | found_of(stored, queries, exact)
        index.drop(space)


def figures(built: float, compare: Callable[[Queries], Any], queries: Sequence[Queries]) -> dict[str, float]:
    """Seconds of building, and milliseconds of comparing a query."""
    spent = []
    for query in queries:
        started = time.perf_counter()
        compare(query)
        spent.append(1000 * (time.perf_counter() - started))
    middle, late = np.percentile(spent, [50, 95])
    return {"build_s": round(built, 1), "p50_ms": round(float(middle), 2), "p95_ms": round(float(late), 2)}


def found_of(stored: StoredCandidates, queries: Sequence[Queries], exact: Sequence[Any]) -> dict[str, float]:
    """How many of the nearest utterances and routes are found."""
    recall, same = [], []
    for query, (nearest, route) in zip(queries, exact, strict=True):
        found = {text for _, text, _ in stored.nearest(query, 10)}
        recall.append(np.mean([text in found for _, text, _ in nearest]))
        same.append(int(np.nanargmax(stored.scores(query)[0])) == route)
    return {"recall": round(float(np.mean(recall)), 3), "route": round(float(np.mean(same)), 3)}


if __name__ == "__main__":
    main()

"""Measures how long a query is compared with very many candidates, and how often the nearest route is found.

    OMP_NUM_THREADS=1 python benchmarks/match_latency.py --data ../shared/data

The candidates are the base model's vectors of up to 100,000 different texts of all data sets; the queries are those of
CLINC150's test part and its out-of-scope ones. All are compared, and in turn those that may decide. `nearest` is the
fraction of the queries whose nearest route is found by the latter, `nearest_two` the same for the nearest two. Times
are of the processor. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table
from samples import rows_of

from registry import resolve_base_model
from router_plugin import Route
from router_plugin.serving.candidate_store import Embedded
from router_plugin.serving.candidates import Candidates, Queries
from training.retrieval.encoding import load_model

UTTERANCES = 10
"""Per route."""
TEXTS, BEGINNING = ("text", "question", "answer", "title", "passage"), 150
"""Fields whose first characters are candidates."""
KEYS = ("all_ms", "to_decide_ms", "to_decide_p90_ms", "nearest", "nearest_two")


def main() -> None:
    """Embed, compare in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--candidates", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--queries", type=int, default=200, help="of each kind")
    arguments = parser.parse_args()
    found = _match(arguments.data, arguments.candidates, arguments.queries)
    table = Table("candidates, queries", *(key.replace("_", " ") for key in KEYS))
    for name, each in found.items():
        table.add_row(name, *(str(each[key]) for key in KEYS))
    Console(width=120).print(table)
    print(json.dumps(found))


def _match(data: Path, counts: Sequence[int], number: int) -> dict[str, Any]:
    """Milliseconds of processor time for comparing with all candidates, and with those that may decide, in turn."""
    rows = rows_of(data / "clinc150.jsonl.gz")
    outside = [row["text"] for row in rows if not row["intent"] and row["part"] == "test"]
    inside = [row["text"] for row in rows if row["intent"] and row["part"] == "test"]
    shuffled = random.Random(0)
    encoder = load_model(resolve_base_model().path, "cpu")

    def embed(lines: Sequence[str]) -> Any:
        return encoder.encode(list(lines), normalize_embeddings=True, show_progress_bar=False)

    known = embed(shuffled.sample(_every_text(data), max(counts)))
    asked = {
        "in scope": embed(shuffled.sample(inside, number)),
        "out of scope": embed(shuffled.sample(outside, number)),
    }
    found: dict[str, Any] = {}
    for count in counts:
        routes = [
            Route(name=str(start), utterances=tuple(map(str, range(start, min(start + UTTERANCES, count)))))
            for start in range(0, count, UTTERANCES)
        ]
        embedded = [Embedded(vector, 0.0, str(row).encode()) for row, vector in enumerate(known[:count])]
        candidates = Candidates(routes, embedded)
        candidates.prepare()
        for name, vectors in asked.items():
            found[f"{count}, {name}"] = _in_turn(candidates, vectors)
    return found


def _every_text(data: Path) -> list[str]:
    """The different texts of all data sets but of their test parts, the beginning of each."""
    texts: dict[str, None] = {}
    for file in sorted(data.glob("*.jsonl.gz")):
        for row in rows_of(file):
            if row.get("part") != "test":
                texts |= {row[name][:BEGINNING]: None for name in TEXTS if isinstance(row.get(name), str)}
    return sorted(texts)


def _in_turn(candidates: Candidates, vectors: Any) -> dict[str, float]:
    spent: dict[str, list[float]] = {"all_ms": [], "to_decide_ms": []}
    same = both = 0
    for vector in vectors:
        query = Queries(vector[None], ["any"], [0.0], ["any"])
        started = time.process_time()
        wanted = candidates.scores(query)[0]
        compared = time.process_time()
        routes = candidates.deciding(query)
        routes = routes or (np.arange(len(wanted)), candidates.scores(query)[0])
        spent["to_decide_ms"].append(1000 * (time.process_time() - compared))
        spent["all_ms"].append(1000 * (compared - started))
        two = set(np.argsort(-wanted, kind="stable")[:2].tolist())
        same += int(routes[0][routes[1].argmax()]) == int(wanted.argmax())
        both += two == set(routes[0][np.argsort(-routes[1], kind="stable")[:2]].tolist())
    found = {name: round(float(np.median(each)), 2) for name, each in spent.items()}
    return {
        **found,
        "to_decide_p90_ms": round(float(np.percentile(spent["to_decide_ms"], 90)), 2),
        "nearest": same / len(vectors),
        "nearest_two": both / len(vectors),
    }


if __name__ == "__main__":
    main()

"""Does an index stay whole when a move to another model is killed at any instant?

    python benchmarks/reindex_kills.py --kills 200

A worker moves an index of 60 entries from model to model without end: it fills, cuts over, sometimes rolls back and
cuts over again, and finishes. It is killed by SIGKILL at a random instant and another one goes on, again and again, on
an embedded Qdrant and on pgvector in a PostgreSQL that the script starts. After every kill: the vectors that serve are
those of one model, for every entry once, and every entry is the first result for its own text.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from router_plugin.reindexing.moving import backfill
from tests.registry import servers
from tests.router_plugin.reindexing.samples import TEXTS, Hashed, pgvector_index, qdrant_index

FORK = get_context("fork")
PAUSE, REST = 0.002, 0.2
"""Seconds that a batch takes to be embedded, and at most those between steps: a move can be hit at any of them."""


def main() -> None:
    """Kill, check, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="in all, half of them on each index")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    faults = []
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(servers.postgresql("pgserver"))
        url = stack.enter_context(servers.new_database(server)).replace("postgresql+psycopg", "postgresql")
        for name, opened in (
            ("Qdrant", partial(qdrant_index, scratch / "qdrant")),
            ("pgvector", partial(pgvector_index, url)),
        ):
            found = killed(opened, arguments.kills // 2, arguments.seed)
            faults += found["faults"]
            print(json.dumps({name: found}), flush=True)
    sys.exit(bool(faults))


def killed(opened: Callable[..., Any], kills: int, seed: int) -> dict[str, Any]:
    """Kill a worker again and again; how many models were moved to, in which states it was hit, and the faults."""
    draw, faults = random.Random(seed), []
    hit = {"serving alone": 0, "filling": 0, "cut over": 0}
    close(opened(fill=True))
    for number in range(kills):
        process = FORK.Process(target=work, args=(opened, draw.random()))
        process.start()
        time.sleep(draw.uniform(0.02, 1.0))
        if process.exitcode is not None:
            faults.append(f"kill {number}: the worker had ended by itself with {process.exitcode}")
        process.kill()
        process.join()
        index = opened()
        state = index.state()
        hit["cut over" if state.before else "filling" if state.next else "serving alone"] += 1
        faults += [f"kill {number}: {fault}" for fault in check(index)]
        close(index)
    return {"kills": kills, "models": version(state.serving), "hit": hit, "faults": faults}


def work(opened: Callable[..., Any], seed: float) -> None:
    """Move on from model to model, from whatever was left, until killed."""
    draw, index = random.Random(seed), opened()
    while True:
        state = index.state()
        if state.before:
            if draw.random() < 0.5:
                index.roll_back(force=False)
                index.cut_over()
            index.finish()
        else:
            number = version(state.serving) + 1
            backfill(index, Hashed(f"medical@{number}", dimension(number), PAUSE), 5)
            index.cut_over()
        time.sleep(draw.uniform(0, REST))


def check(index: Any) -> list[str]:
    """What is wrong with the side that serves, one line each."""
    number = version(index.state().serving)
    model, faults = Hashed(f"medical@{number}", dimension(number)), []
    vectors = model.queries(TEXTS)
    found = sorted(each.id for each in index.search(np.asarray(vectors[0]), 1000, upcoming=False))
    if found != list(range(len(TEXTS))):
        faults.append(f"{model.model} serves {len(found)} entries: {found}")
    for place, vector in enumerate(vectors):
        (first,) = index.search(vector, 1, upcoming=False)
        if first.id != place:
            faults.append(f"entry {first.id} is found for the text of {place}")
    return faults


def version(model: str | None) -> int:
    """The number in ``medical@3``; an index that was not moved yet has vectors of the first."""
    return int(model.partition("@")[2]) if model else 1


def dimension(number: int) -> int:
    """Models take turns in the dimension of their vectors."""
    return 16 if number % 2 else 24


def close(index: Any) -> None:
    """Let another process open the index."""
    connection = index._client if hasattr(index, "_client") else index._connection
    connection.close()


if __name__ == "__main__":
    main()

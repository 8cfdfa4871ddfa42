"""How long a registry of many versions takes to list them, to resolve an alias and to say what a collection would do.

    python benchmarks/registry_scale.py

10,000 versions in 200 domains, on SQLite and on a PostgreSQL that the script starts. Each version has the record of a
trained model, champion and candidate. Lists are whole or filtered; medians are over ``--runs`` calls, and for resolving
over ten times as many. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from registry import Registry
from registry.catalog.listing import Filter
from registry.names import Reference
from registry.storage.database import write
from registry.storage.tables import aliases, model_versions
from tests.registry import servers
from tests.registry.samples import make_record, write_model


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--domains", type=int, default=200)
    parser.add_argument("--runs", type=int, default=30)
    arguments = parser.parse_args()
    found = {}
    for name, place in (("SQLite", sqlite), ("PostgreSQL", postgresql)):
        with place() as url:
            found[name] = measure(url, arguments.versions, arguments.domains, arguments.runs)
    table = Table("ms, median (and 95th percentile)", *found, title=f"{arguments.versions} versions")
    for what in found["SQLite"]:
        table.add_row(what, *(f"{times[what][0]:.2f} ({times[what][1]:.2f})" for times in found.values()))
    Console().print(table)
    print(json.dumps(found))


def measure(url: str, versions: int, domains: int, runs: int) -> dict[str, tuple[float, float]]:
    """Milliseconds of each operation, median and 95th percentile."""
    registry = Registry.open(url)
    fill(registry, versions, domains)
    of_each = versions // domains
    line = Filter(ancestors=Reference("domain7", of_each))
    operations: dict[str, tuple[Callable[[], object], int]] = {
        "list all": (registry.listed, runs),
        "list one domain": (lambda: registry.listed(Filter(domain="domain7")), runs),
        "list by alias": (lambda: registry.listed(Filter(alias="champion")), runs),
        "list by score": (lambda: registry.listed(Filter(min_score=0.9)), runs),
        "list ancestors": (lambda: registry.listed(line), runs),
        "resolve domain@champion": (lambda: registry.get("domain7@champion"), 10 * runs),
        "gc --dry-run": (lambda: registry.collect(dry_run=True), runs),
    }
    measured = {what: timed(run, times) for what, (run, times) in operations.items()}
    assert len(registry.listed()) == versions
    registry.close()
    return measured


def fill(registry: Registry, versions: int, domains: int) -> None:
    """Publish one model and write rows like its own for all the others."""
    with tempfile.TemporaryDirectory() as scratch:
        first = registry.publish(write_model(Path(scratch)), make_record("first"))
    rows, named = [], []
    for number in range(domains):
        domain, of_each = f"domain{number}", versions // domains
        for version in range(1, of_each + 1):
            made = first.model_copy(
                update={
                    "domain": domain,
                    "version": version,
                    "created": first.created + timedelta(minutes=version),
                    "parent": version - 1 or None,
                }
            )
            rows.append(
                {
                    "domain": domain,
                    "version": version,
                    "created": made.created,
                    "record": made.model_dump(mode="json"),
                    "artifact": made.artifact,
                    "base_model": made.base_model.name,
                    "parent": made.parent,
                    "base_score": 0.5,
                    "adapted_score": version / of_each,
                    "size": made.size,
                }
            )
        named += [{"domain": domain, "alias": "champion", "version": of_each - 1}]
        named += [{"domain": domain, "alias": "candidate", "version": of_each}]
    write(registry._store.engine, lambda connection: connection.execute(aliases.delete()))
    write(registry._store.engine, lambda connection: connection.execute(model_versions.delete()))
    write(registry._store.engine, lambda connection: connection.execute(insert(model_versions), rows))
    write(registry._store.engine, lambda connection: connection.execute(insert(aliases), named))


def timed(run: Callable[[], object], times: int) -> tuple[float, float]:
    """Milliseconds of a call: median and 95th percentile."""
    run()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        taken.append((time.perf_counter() - started) * 1e3)
    return round(statistics.median(taken), 2), round(statistics.quantiles(taken, n=20)[-1], 2)


@contextmanager
def sqlite() -> Iterator[str]:
    """The URL of a registry in a folder."""
    with tempfile.TemporaryDirectory() as folder:
        yield str(Path(folder) / "registry")


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a registry in PostgreSQL with artifacts in a folder."""
    with (
        servers.postgresql() as server,
        servers.new_database(server) as database,
        tempfile.TemporaryDirectory() as folder,
    ):
        yield f"{database}&artifacts={folder}/artifacts"


if __name__ == "__main__":
    main()

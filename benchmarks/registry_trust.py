"""Is anything lost when many publish at once, and when publishing, promoting and collecting are killed?

    python benchmarks/registry_trust.py --kills 200

First ``--processes`` processes publish ``--each`` versions each to one domain, on a folder, on PostgreSQL with a folder
and on PostgreSQL with S3: are the numbers without a gap, and does every version have its files? Then, on each store, a
forked worker publishes, promotes, deletes and collects without end and is killed by SIGKILL at a random instant, again
and again; on PostgreSQL every tenth kill also takes the server down (``pg_ctl stop -m immediate``) and starts it again.
After every kill: no half version, no alias to nothing, nothing referenced lost, and the next publication succeeds. The
servers are real ones on loopback, started by the script. Each store prints one JSON object when it is done.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import delete

from registry import Registry, RegistryError
from registry.storage.database import write
from registry.storage.tables import reservations
from tests.registry import servers
from tests.registry.samples import make_record, write_model

FORK = get_context("fork")
CONTENTS = 4
"""Different models that a worker publishes, so that publications and collections meet on one artifact."""


def main() -> None:
    """Publish, kill, check, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--each", type=int, default=25)
    parser.add_argument("--kills", type=int, default=200, help="in all, shared by the stores")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["DOMAIN_ROUTER_HOME"] = str(scratch / "home")
        for name, url, restart in stores(stack, scratch):
            found[name] = {
                "published": published_at_once(url("many"), scratch, arguments.processes, arguments.each),
                "killed": killed(url("killed"), scratch, arguments.kills // 3, arguments.seed, restart),
            }
            print(json.dumps({name: found[name]}), flush=True)
    table = Table("store", "versions", "wrong", "seconds", "kills", "restarts", "faults", title="Registry under stress")
    for name, each in found.items():
        table.add_row(
            name,
            *map(str, (*each["published"].values(), *list(each["killed"].values())[:2])),
            str(len(each["killed"]["faults"])),
        )
    Console().print(table)
    sys.exit(any(each["published"]["wrong"] or each["killed"]["faults"] for each in found.values()))


def stores(stack: ExitStack, scratch: Path) -> Iterator[tuple[str, Callable[[str], str], Callable[[], None] | None]]:
    """Each store: its name, what makes the URL of a new registry in it, and what restarts its database."""
    yield "folder", lambda name: str(scratch / name), None
    server = stack.enter_context(servers.postgresql())

    def restart() -> None:
        servers.restart(server)

    def database() -> str:
        return stack.enter_context(servers.new_database(server))

    yield (
        "PostgreSQL and a folder",
        lambda name: f"{database()}&artifacts={scratch}/artifacts-{name}",
        restart,
    )
    stack.enter_context(servers.s3())
    yield (
        "PostgreSQL and S3",
        lambda name: f"{database()}&artifacts=s3://{servers.BUCKET}/{name}",
        restart,
    )


def published_at_once(url: str, scratch: Path, processes: int, each: int) -> dict[str, Any]:
    """Publish from many processes to one domain; how many versions there are, and what is wrong with them."""
    started = time.perf_counter()
    running = [
        FORK.Process(target=publish_some, args=(url, scratch / f"own-{number}", each)) for number in range(processes)
    ]
    for process in running:
        process.start()
    for process in running:
        process.join()
    seconds = time.perf_counter() - started
    registry = Registry.open(url)
    versions = registry.versions("medical")
    wrong = [f"exit {process.exitcode}" for process in running if process.exitcode]
    if [version.version for version in versions] != list(range(1, processes * each + 1)):
        wrong.append("the numbers have gaps")
    wrong += [f"{version.name}: {problem}" for version in versions for problem in registry.verify(version)]
    registry.close()
    return {"versions": len(versions), "wrong": wrong, "seconds": round(seconds, 1)}


def publish_some(url: str, folder: Path, times: int) -> None:
    """Publish a number of versions, each with other content."""
    registry = Registry.open(url)
    for number in range(times):
        registry.publish(write_model(folder, f"{folder.name}-{number}"), make_record())


def killed(
    url: str, scratch: Path, kills: int, seed: int, restart: Callable[[], None] | None, each: int = 10
) -> dict[str, Any]:
    """Kill a worker again and again, and restart the database after every ``each`` kills; what was wrong afterwards."""
    draw, restarts, faults = random.Random(seed), 0, []
    folders = [write_model(scratch / f"content-{number}", str(number)) for number in range(CONTENTS)]
    registry = Registry.open(url)
    registry.publish(folders[0], make_record())
    registry.close()  # a connection must not be shared with a fork
    journal = scratch / "journal"
    journal.write_text("")
    for number in range(kills):
        process = FORK.Process(target=work, args=(url, folders, journal, draw.random()))
        process.start()
        time.sleep(draw.uniform(0.005, 0.4))
        if restart and (number + 1) % each == 0:
            restart()
            restarts += 1
        if process.exitcode is not None:
            faults.append(f"kill {number}: the worker had ended by itself with {process.exitcode}")
        process.kill()
        process.join()
        faults += [f"kill {number}: {fault}" for fault in check(url, folders[number % CONTENTS], journal)]
    return {"kills": kills, "restarts": restarts, "faults": faults}


def work(url: str, folders: list[Path], journal: Path, seed: float) -> None:
    """Publish, promote, delete and collect until killed; a database that is restarting is waited for.

    What was published is written down afterwards, what is to be deleted before.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    draw, lines = random.Random(seed), journal.open("a", buffering=1)
    while True:
        try:
            registry = Registry.open(url)
            while True:
                version = registry.publish(draw.choice(folders), make_record())
                lines.write(f"published {version.version}\n")
                step = draw.choice([registry.promote, registry.retire, registry.retire])
                step(version.name)
                if step == registry.retire:
                    lines.write(f"deletes {version.version}\n")
                    registry.delete(version.name, grace_days=0)
                registry.collect()
        except RegistryError:
            time.sleep(0.01)


def check(url: str, folder: Path, journal: Path) -> list[str]:
    """What is wrong with a registry, one line each."""
    said = [line.split() for line in journal.read_text().splitlines()]
    numbers = {verb: {int(number) for each, number in said if each == verb} for verb in ("published", "deletes")}
    registry = Registry.open(url)
    try:
        write(
            registry._store.engine, lambda connection: connection.execute(delete(reservations))
        )  # of the dead, a day earlier
        versions = registry.versions("medical")
        faults = [f"{version.name}: {problem}" for version in versions for problem in registry.verify(version)]
        known = {version.version for version in versions}
        faults += [
            f"{alias} points to {number}, which is not there"
            for alias, number in registry.aliases("medical").items()
            if number not in known
        ]
        faults += [f"medical@{number} is lost" for number in numbers["published"] - numbers["deletes"] - known]
        before = registry.get("medical").version
        new = registry.publish(folder, make_record())
        if new.version <= max(known) or registry.get("medical").version != before:
            faults.append(f"the next publication became {new.name}")
        faults += [f"{new.name}: {problem}" for problem in registry.verify(new)]
        registry.retire(new.name)
        registry.delete(new.name, grace_days=0)
        return faults
    except RegistryError as error:
        return [str(error)]
    finally:
        registry.close()


if __name__ == "__main__":
    main()

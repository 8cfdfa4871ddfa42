"""Edits one of many routes in the console: seconds until its form, the effect of a change, and its save are answered.

    OMP_NUM_THREADS=1 python benchmarks/route_editing.py --routes 1000 20000

The ready-made domains are served, with the routes spread over them. Each has one utterance, some words of the answers
of the domain's examples, which is embedded before. Routes in the middle of the file are changed one after the other; a
route is added, and removed; and the file is changed by hand, which the next page shows. Labelled queries, --labelled of
them, are utterances without their last word. The first change embeds them. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import httpx
from http_load import own_command, started
from rich.console import Console
from rich.table import Table

from registry import Registry
from training import publish

ROOT = Path(__file__).parents[1]
DOMAINS = ("medical", "finance", "legal")
PORT = 8743
CONSOLE = "/console/routes"
WORDS = 8
"""Of an utterance."""
FIELD = re.compile(r'name="(token|digest|domain|threshold)" value="([^"]*)"')


def main() -> None:
    """Serve, edit, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--routes", type=int, nargs="+", default=[1000, 20_000])
    parser.add_argument("--labelled", type=int, default=500)
    parser.add_argument("--changes", type=int, default=5)
    arguments = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        store = Registry.open(str(folder / "registry"))
        for domain in DOMAINS:
            publish(ROOT / "models" / domain, store, force=True)
        store.close()
        for number in arguments.routes:
            found[str(number)] = edited(folder, number, arguments.labelled, arguments.changes)
    show(found)


def edited(folder: Path, number: int, queries: int, changes: int) -> dict[str, list[float]]:
    """Seconds of each step with that many routes."""
    file, labelled = folder / "routes.yaml", folder / "labelled.jsonl"
    utterances = list(islice(made_utterances(), number))
    file.write_text("routes:\n" + "".join(map(route_text, range(number), utterances)), encoding="utf-8")
    asked = ({"text": utterances[row].rpartition(" ")[0], "route": f"route-{row}"} for row in range(queries))
    labelled.write_text("".join(f"{json.dumps(row)}\n" for row in asked), encoding="utf-8")
    command = own_command(
        *("--registry", str(folder / "registry"), "--routes", str(file), "--labelled", str(labelled)),
        *("--port", str(PORT)),
    )
    with (
        started(command, PORT, "/health/ready", folder / "log"),
        httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=300) as client,
    ):
        for domain in DOMAINS:
            client.post("/v1/route", json={"query": f"a question of {domain}"}).raise_for_status()
        editor = Editor(client)
        for change in range(changes):
            editor.change(f"route-{number // 2 + change}")
        editor.add("added")
        editor.remove("added")
        file.write_text(file.read_text(encoding="utf-8").replace(utterances[7], "please do it"), "utf-8")
        editor.timed("form after a change by hand", "GET", f"{CONSOLE}/edit", params={"name": "route-7"})
    return editor.seconds


def made_utterances() -> Iterator[str]:
    """Different texts without end, of one domain after the other."""
    known = [words_of(domain) for domain in DOMAINS]
    draw, seen = random.Random(0), set()
    while True:
        words = known[len(seen) % len(known)]
        start = draw.randrange(len(words) - WORDS)
        text = " ".join(words[start : start + WORDS])
        if text not in seen:
            seen.add(text)
            yield text


def words_of(domain: str) -> list[str]:
    """Of the answers of its examples."""
    lines = (ROOT / "examples" / "data" / f"{domain}.jsonl").read_text(encoding="utf-8").splitlines()
    return [word for line in lines for word in re.findall(r"[a-z]+", json.loads(line)["answer"])]


def route_text(number: int, utterance: str) -> str:
    """A route of the file."""
    domain = DOMAINS[number % len(DOMAINS)]
    return f"  - name: route-{number}\n    domain: {domain}\n    utterances:\n      - {utterance}\n"


class Editor:
    """A user of the console, and how long each answer took.

    Attributes:
        seconds: of each step.
    """

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.seconds: dict[str, list[float]] = {}

    def change(self, name: str) -> None:
        """Add an utterance to a route."""
        page = self.timed("form", "GET", f"{CONSOLE}/edit", params={"name": name})
        form = {
            **dict(FIELD.findall(page)),
            **{"route": name, "name": name, "utterances": f"see to {name}\nplease see to {name}"},
        }
        self.timed("effect of a change", "POST", f"{CONSOLE}/effect", data=form)
        self.timed("save of a change", "POST", f"{CONSOLE}/save", data=form)

    def add(self, name: str) -> None:
        """Add a route."""
        page = self._client.get(f"{CONSOLE}/new").text
        form = {**dict(FIELD.findall(page)), "name": name, "utterances": f"see to {name}\nplease see to {name}"}
        self.timed("effect of a new route", "POST", f"{CONSOLE}/effect", data=form)
        self.timed("save of a new route", "POST", f"{CONSOLE}/save", data=form)

    def remove(self, name: str) -> None:
        """Remove a route."""
        page = self._client.get(f"{CONSOLE}/edit", params={"name": name}).text
        form = {**dict(FIELD.findall(page)), "route": name, "remove": "true"}
        self.timed("effect of a removal", "POST", f"{CONSOLE}/effect", data=form)
        self.timed("save of a removal", "POST", f"{CONSOLE}/save", data=form)

    def timed(self, step: str, method: str, path: str, **given: Any) -> str:
        """The page that answers a request; a save leads to another page, which is not waited for."""
        begun = time.perf_counter()
        answer = self._client.request(method, path, **given)
        self.seconds.setdefault(step, []).append(round(time.perf_counter() - begun, 3))
        if answer.is_error:
            raise SystemExit(f"{step}: {answer.status_code} {answer.text[:2000]}")
        return answer.text


def show(found: dict[str, dict[str, list[float]]]) -> None:
    """Print a table, and everything as JSON."""
    table = Table("routes", "step", "first, s", "later, s", title="editing routes in the console")
    for number, steps in found.items():
        for step, seconds in steps.items():
            later = f"{statistics.median(seconds[1:]):.2f}" if seconds[1:] else ""
            table.add_row(number, step, f"{seconds[0]:.2f}", later)
    Console(width=100).print(table)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""Measures the console over many domains: the time of each page in the server, and in a browser until it can be used.

    OMP_NUM_THREADS=1 python benchmarks/console.py --domains 200 --routes 20000

Every domain is a copy of the ready-made medical adapter with a small classifier profile; the routes are spread over the
domains. A month of traffic is in the counts. A page is requested 20 times over one connection, and then loaded five
times in headless Chromium: `interactive` is when its scripts have run and its charts stand, `bytes` is what all its
files have, `serious` is the number of axe's serious findings. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import httpx
import numpy as np
from axe_playwright_python.sync_playwright import Axe
from http_load import own_command, started
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.table import Table

from registry import Profile, Registry
from registry.classifier_profiles.profiles import MAX_MISSPELT
from router_plugin.server.console.rendering import NAVIGATION
from router_plugin.server.traffic.traffic_file import DAY, DECISIONS, HOUR, REQUESTS, TrafficFile
from training import publish

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models" / "medical"
PORT = 8741
REQUESTED, LOADED = 20, 5
QUERIES = 20
"""Of each domain's profile."""
COLUMNS = ("page", "server ms", "largest", "interactive ms", "requests", "bytes", "serious")


def main() -> None:
    """Register, serve, look, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--domains", type=int, default=200)
    parser.add_argument("--routes", type=int, default=20_000)
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _register(folder, arguments.domains)
        _count(folder / "traffic.sqlite", arguments.domains)
        names = [
            f"{{name: route-{number}, domain: field-{number % arguments.domains}, "
            f"utterances: [please do task {number}]}}"
            for number in range(arguments.routes)
        ]
        (folder / "routes.yaml").write_text(f"routes: [{', '.join(names)}]", encoding="utf-8")
        options = ["--registry", "registry", "--routes", "routes.yaml", "--traffic", "traffic.sqlite"]
        files = [str(folder / each) if not each.startswith("--") else each for each in options]
        command = own_command(*files, "--port", str(PORT))
        with started(command, PORT, "/health/ready", folder / "log"), sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
            found = {place.title: _page(browser, place.path) for place in NAVIGATION}
    _print(found)


def _register(folder: Path, domains: int) -> None:
    store = Registry.open(str(folder / "registry"))
    profile, report = Profile.load(MODEL), json.loads((MODEL / "report.json").read_text(encoding="utf-8"))
    for number in range(domains):
        copy = shutil.copytree(MODEL, folder / "model", dirs_exist_ok=True)
        (copy / "report.json").write_text(json.dumps({**report, "domain": f"field-{number}"}), encoding="utf-8")
        rows = np.random.default_rng(number).permutation(MAX_MISSPELT)[:QUERIES]
        profile.take(np.sort(rows)).save(copy)
        publish(copy, store)
    store.close()


def _count(path: Path, domains: int) -> None:
    """A month of decisions of every domain, by hour, and requests."""
    now = int(time.time()) // HOUR * HOUR
    hours = range(now - 30 * DAY, now, HOUR)
    decisions = [
        (hour, f"field-{n}", f"field-{n}@1", f"route-{n}", "", "", 7, 6.0) for hour in hours for n in range(domains)
    ]
    requests = [(hour, "/v1/route", 200, bucket, 100) for hour in hours for bucket in range(20, 40)]
    with TrafficFile(path).open() as database, database:
        for table, rows in ((DECISIONS, decisions), (REQUESTS, requests)):
            marks = ", ".join("?" * len(rows[0]))
            database.executemany(table.addition(f"VALUES ({marks})"), rows)


def _page(browser: Browser, path: str) -> dict[str, float]:
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60) as client:
        client.get(path).raise_for_status()
        times = [_timed(client, path) for _ in range(REQUESTED)]
    loads = [_loaded(browser, path) for _ in range(LOADED)]
    return {
        "server_ms": round(statistics.median(times), 1),
        "largest_ms": round(max(times), 1),
        "interactive_ms": round(statistics.median(each["interactive"] for each in loads), 1),
        **{name: loads[-1][name] for name in ("requests", "bytes", "serious")},
    }


def _timed(client: httpx.Client, path: str) -> float:
    started_at = time.perf_counter()
    client.get(path).raise_for_status()
    return 1000 * (time.perf_counter() - started_at)


def _loaded(browser: Browser, path: str) -> dict[str, float]:
    """One load without a cache: milliseconds, requests, bytes, and findings of axe."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{PORT}{path}", wait_until="load")
    timing: dict[str, Any] = page.evaluate(
        "(() => { const page = performance.getEntriesByType('navigation')[0];"
        " const files = performance.getEntriesByType('resource'), size = (sum, each) => sum + each.transferSize;"
        " return {interactive: page.loadEventEnd || performance.now(), requests: files.length + 1,"
        " bytes: files.reduce(size, page.transferSize)}; })()"
    )
    found: Sequence[dict[str, Any]] = Axe().run(page).response["violations"]
    context.close()
    return {**timing, "serious": sum(each["impact"] in ("serious", "critical") for each in found)}


def _print(found: dict[str, dict[str, float]]) -> None:
    table = Table(title="pages of the console")
    for column in COLUMNS:
        table.add_column(column)
    for title, figures in found.items():
        table.add_row(title, *(f"{value:g}" for value in figures.values()))
    Console(width=120).print(table)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

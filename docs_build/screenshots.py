"""Takes the pictures of the console in docs/images, with a Chromium: ``python -m docs_build.screenshots``.

They show the ready-made models, the routes and questions of the examples, a day of invented traffic, and a short
training of `legal`.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright

from docs_build.drawings import FOLDER
from docs_build.links import ROOT
from router_plugin.server.traffic.traffic_file import DAY, DECISIONS, MINUTE, REQUESTS, TrafficFile

PORT = 8743
URL = f"http://127.0.0.1:{PORT}"
EXAMPLES = ROOT / "examples"
DOMAINS = ("medical", "finance", "legal")
TRAINED = 120
"""Pairs of the training that is shown."""
ASKED = 120
"""Questions of each domain that are really routed."""
PICTURES = {
    "console": "?span=day",
    "console-domain": "/domains/medical",
    "console-playground": "/playground?query=can+I+take+ibuprofen+with+my+blood+thinner",
    "console-routes": "/routes/confusions",
    "console-drift": "/drift",
    "console-data": "/data?domain=medical",
    "console-runs": "/runs",
}
"""Pages by the names of their pictures."""


def main() -> None:
    """Register, train, ask, look."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for domain in DOMAINS:
            _command("models", "add", domain, "--registry", str(folder / "registry"))
        lines = (EXAMPLES / "data" / "legal.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / "legal.jsonl").write_text("".join(lines[:TRAINED]), encoding="utf-8")
        for pairs, name in ((EXAMPLES / "data" / "medical.jsonl", "medical"), (folder / "legal.jsonl", "legal")):
            _command("prepare", str(pairs), "--out", str(folder / name))
        _count(folder / "traffic.sqlite")
        with _served(folder), sync_playwright() as driver:
            short = ("--out", str(folder / "model"), "--without-bundled-questions", "--report-to", URL)
            _command("train", str(folder / "legal"), "--domain", "legal", *short)
            _ask()
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 860})
            for name, path in PICTURES.items():
                _take(page, path, name)


def _command(*arguments: str) -> None:
    subprocess.run([str(Path(sys.executable).with_name("domain-router")), *arguments], check=True)


@contextmanager
def _served(folder: Path) -> Iterator[None]:
    routes = [f"--routes={EXAMPLES / name}" for name in ("routes.yaml", "legal_routes.yaml")]
    options = {
        "registry": folder / "registry",
        "traffic": folder / "traffic.sqlite",
        "keep-queries": 7,
        "labelled": EXAMPLES / "labelled_routes.jsonl",
        "data": f"medical={folder / 'medical'}",
        "runs": folder / "runs",
        "port": PORT,
    }
    given = [f"--{name}={value}" for name, value in options.items()]
    command = [str(Path(sys.executable).with_name("domain-router")), "serve", *routes, *given]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while not _ready():
            if process.poll() is not None:
                raise SystemExit((folder / "log").read_text(encoding="utf-8"))
            time.sleep(0.5)
        yield
    finally:
        process.terminate()
        process.wait()


def _ready() -> bool:
    try:
        return httpx.get(f"{URL}/health/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _count(path: Path) -> None:
    """A day of traffic by the minute, more of it at noon."""
    draw, now = random.Random(7), int(time.time()) // MINUTE * MINUTE
    routes = {
        "medical": ("symptoms", "medicines", "tests"),
        "finance": ("borrowing", "investing"),
        "general": ("human",),
    }
    decisions, requests = [], []
    for minute in range(now - DAY + MINUTE, now, MINUTE):
        busy = 1.2 - math.cos(2 * math.pi * (minute % DAY) / DAY)
        for domain, names in routes.items():
            version = f"{domain}@1" if domain in DOMAINS else "all-MiniLM-L6-v2"
            for route in names:
                number = round(busy * draw.uniform(2, 8))
                decisions.append((minute, domain, version, route, "", "", number, 0.85 * number))
        requests += [(minute, "/v1/route", 200, round(draw.gauss(22, 2)), 4) for _ in range(8)]
        requests += [(minute, "/v1/route", 429, 10, draw.randint(1, 5))] if draw.random() < 0.02 else []
    with TrafficFile(path).open() as database, database:
        for table, rows in ((DECISIONS, decisions), (REQUESTS, requests)):
            database.executemany(table.addition(f"VALUES ({', '.join('?' * len(rows[0]))})"), rows)


def _ask() -> None:
    """Route questions of the examples, and some of a field that no domain is for."""
    asked = [
        f"how do I {do} my {thing}"
        for do in ("water", "cut", "plant", "feed")
        for thing in ("roses", "lawn", "tomatoes")
    ]
    for domain in DOMAINS:
        lines = (EXAMPLES / "data" / f"{domain}.jsonl").read_text(encoding="utf-8").splitlines()
        asked += [json.loads(line)["question"] for line in lines[:: len(lines) // ASKED]]
    httpx.post(f"{URL}/v1/route/batch", json={"queries": asked}, timeout=300).raise_for_status()
    time.sleep(2)  # counts are written once a second


def _take(page: Page, path: str, name: str) -> None:
    page.goto(f"{URL}/console{path}")
    page.wait_for_timeout(30_000 if path.startswith(("/drift", "/data", "/routes")) else 1_500)
    page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()

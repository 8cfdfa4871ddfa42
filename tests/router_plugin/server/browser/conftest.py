"""A real browser, and what every page must hold in it."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from router_plugin.server.service import Files
from router_plugin.server.traffic.recorder import Recorder
from router_plugin.server.traffic.traffic_file import TrafficFile
from tests.router_plugin.server.conftest import router_over, running

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUERIES = (
    "What are the symptoms of flu?",
    "How is diabetes treated?",
    "What is a mortgage rate?",
    "Can my landlord raise the rent?",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\u202egnihton \u0000 '\"`",
    "a" * 3000,
)
TELEPHONE = {"width": 360, "height": 800}
WIDE = {"width": 1280, "height": 900}
SERIOUS = ("serious", "critical")
"""Impacts of axe's findings that no page may have."""


def executable():
    """A Chromium on this machine; None where there is none."""
    given = os.environ.get("CHROMIUM")
    return given or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")  # its event loop is in the way of tests that start one
def chromium(tmp_path_factory):
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser's driver is not installed")
    if (found := executable()) is None:
        pytest.skip("no Chromium was found: `make chromium` installs one")
    with playwright.sync_playwright() as driver:
        home = {name: str(tmp_path_factory.mktemp("home")) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"], env={**os.environ, **home})
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def console(served_domains, tmp_path_factory):
    """The URL of a console on this machine, after some traffic."""
    recorder = Recorder(TrafficFile(tmp_path_factory.mktemp("traffic") / "traffic.sqlite"), keep_days=1)
    with running(router_over(served_domains), files=Files(traffic=recorder)) as (url, _):
        for query in QUERIES:
            httpx.post(f"{url}/v1/route", json={"query": query}).raise_for_status()
        time.sleep(1.5)  # it is written once a second
        yield f"{url}/console"


@contextmanager
def opened(chromium, url, **options):
    """A page in a profile of its own, which fails at the end if the browser had to refuse or report anything."""
    context = chromium.new_context(**options)
    page = context.new_page()
    faults = []
    page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    host = url.split("/")[2]
    page.on("request", lambda asked: faults.append(asked.url) if foreign(asked.url, host) else None)
    try:
        page.goto(url)
        yield page
        assert not faults
    finally:
        context.close()


def foreign(url, host):
    """Whether a URL is of another host."""
    return not url.startswith(("data:", "blob:")) and url.split("/")[2] != host


def check_accessible(page):
    """What axe finds serious is a failure. It cannot look into frames, which are of no origin."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"iframes": False, "resultTypes": ["violations"]}).response["violations"]
    assert not [(each["id"], node["html"]) for each in found if each["impact"] in SERIOUS for node in each["nodes"]]


def check_fits(page):
    """Nothing makes the page wider than the window."""
    widths = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]


def looks(page):
    """Show a page on a telephone and then on a wide screen, on each light and dark; yields the scheme and the width."""
    for size in (TELEPHONE, WIDE):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            yield scheme, size["width"]


def wait_until(page, expression, seconds=30.0):
    """Wait until an expression is true. The pages' policy forbids the evaluation by which the driver waits for one."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


def screenshot(page, name):
    """Keep a picture for the documentation, where somebody wants new ones."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")

"""The command ``serve`` in a process of its own."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager

import httpx

from tests import warm
from tests.conftest import EXAMPLES

ROUTES = ["--routes", str(EXAMPLES / "routes.yaml")]


@contextmanager
def started(tmp_path, registry, *options, command=None):
    """The command in a process; yields that, and its URL."""
    log = tmp_path / "log"
    command = command or [str(warm.command("domain-router"))]
    command = [*command, "serve", "--registry", str(registry), *ROUTES, "--port", "0", *options]
    with log.open("w") as file:
        process = subprocess.Popen(command, stderr=file, stdout=file)
    try:
        yield process, wait_for(lambda: url_in(log, process))
    finally:
        process.kill()
        process.wait()


def url_in(log, process):
    assert process.poll() is None, log.read_text()
    _, found, rest = log.read_text().partition("listening on ")
    return rest.partition('"')[0] if found else None


def wait_for(what, seconds=150.0):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def ready(url):
    try:
        return httpx.get(f"{url}/health/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False

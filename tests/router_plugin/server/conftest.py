"""A real server in this process, over the tiny domains."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from router_plugin.server.app import create_app
from router_plugin.server.jsonl_file import JsonlFile
from router_plugin.server.options import ServerOptions
from router_plugin.server.protection.key_file import KeyFile
from router_plugin.server.running import ROUTES_PREFIX, server_config
from router_plugin.server.runs.store import RunStore
from router_plugin.server.service import NO_FILES, Files, Service
from router_plugin.server.traffic import kept_queries


@contextmanager
def running(router, options=None, keys=None, files=NO_FILES, for_routes=None):
    """Serve a router on a free port; yields the server's URL and what answers there. It closes the router.

    Args:
        keys: those that it knows, or their file.
        for_routes: a socket for ``classify-routes``.
    """
    service = Service(router, options or ServerOptions(), 2, files)
    sockets = [socket.create_server(("127.0.0.1", 0)), *([for_routes] if for_routes else [])]
    app = create_app(service, keys and _file_of(keys), {each.getsockname()[1]: ROUTES_PREFIX for each in sockets[1:]})
    server = uvicorn.Server(server_config(app, service.options))
    thread = threading.Thread(target=server.run, args=(sockets,))
    thread.start()
    try:
        while not (server.started and service.ready):
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}", service
    finally:
        server.should_exit = True
        thread.join()


def _file_of(keys):
    """A file of keys, as a server follows it."""
    if isinstance(keys, Path):
        return KeyFile(keys)
    file = Path(tempfile.mkdtemp(), "keys.json")
    keys.save(file)
    return KeyFile(file)


@pytest.fixture(scope="module")
def over_all(served_domains):
    """A router of three domains with the example routes."""
    return router_over(served_domains)


def router_over(served_domains):
    """Another such router; what it is served by closes it."""
    from router_plugin import DomainRouter, load_routes
    from tests.conftest import EXAMPLES

    routes = load_routes(EXAMPLES / "routes.yaml") + load_routes(EXAMPLES / "legal_routes.yaml")
    return DomainRouter.over(served_domains, routes, served_domains.settings.replace(strategy="adaptive"))


@pytest.fixture(scope="module")
def serving(over_all, tmp_path_factory):
    """The URL of a server, and what answers there."""
    folder = tmp_path_factory.mktemp("server")
    files = Files(JsonlFile(folder / "feedback.jsonl", "feedback"), runs=RunStore(folder / "runs"))
    with running(over_all, ServerOptions(max_texts=50, max_characters=20_000, max_body_kb=100), files=files) as up:
        yield up


@pytest.fixture
def client(serving):
    """An HTTP client of that server."""
    with httpx.Client(base_url=serving[0], timeout=20) as client:
        yield client


def wait_for(what, seconds=10.0):
    """What a function answers as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


@pytest.fixture
def browser(up):
    """A browser of the module's server ``up`` that keeps queries, and the file of these, without any."""
    url, file = up
    kept_queries.delete_all(file)
    with httpx.Client(base_url=url, follow_redirects=True, timeout=60) as client:
        yield client, file

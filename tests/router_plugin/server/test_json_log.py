"""The log is JSON, and has the texts of queries only where that is asked for, whatever fails."""

from __future__ import annotations

import io
import json
import logging
from contextlib import contextmanager

import httpx
import pytest

from router_plugin import DomainRouter
from router_plugin.server.jsonl_file import JsonlFile
from router_plugin.server.options import ServerOptions
from router_plugin.server.reporting.json_log import JsonFormatter
from router_plugin.server.service import Files
from tests.router_plugin.server.conftest import running, wait_for
from training import publish

SECRET = "my landlord wants to keep the deposit"
JSON = {"Content-Type": "application/json"}
CALL = {"params": {"name": "route", "arguments": {"query": SECRET}}}


@contextmanager
def logged(log_queries=False):
    """The lines of the log, as a server writes them."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(log_queries))
    root, own = logging.getLogger(), logging.getLogger("router_plugin.server")
    level = own.level
    root.addHandler(handler)
    own.setLevel(logging.INFO)
    try:
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    finally:
        root.removeHandler(handler)
        own.setLevel(level)


@pytest.fixture
def failing(monkeypatch):
    """Make the router fail with errors that quote queries."""

    def read(texts):
        raise ValueError(f"cannot read {list(texts)}")

    def fail(_, texts, *__, **___):
        try:
            read(texts)
        except ValueError as error:
            raise RuntimeError(f"cannot route {texts}") from error

    return lambda: monkeypatch.setattr(DomainRouter, "route_many", fail)


def ask_all(url):
    """Ask rightly and wrongly, always with the same text."""
    with httpx.Client(base_url=url, timeout=20) as client:
        statuses = [
            client.post("/v1/route", json={"query": SECRET}).status_code,
            client.post("/v1/route/batch", json={"queries": [SECRET]}).status_code,
            client.post("/mcp/vsr/tools/call", json=CALL).status_code,
            client.post("/v1/route", json={"query": [SECRET]}).status_code,
            client.post("/classify", content=f'{{"inputs": "{SECRET}', headers=JSON).status_code,
            client.post("/v1/embeddings", json={"model": "law", "input": SECRET}).status_code,
        ]
    return statuses


def test_the_log_is_json_without_texts_of_queries(make_router):
    with logged() as lines, running(make_router()) as (url, _):
        assert ask_all(url) == [200, 200, 200, 400, 400, 404]
        wait_for(lambda: len([line for line in lines() if line["message"] == "request"]) == 6)
    assert any(line.get("path") == "/v1/route" and line["status"] == 200 for line in lines())
    assert not any(SECRET in json.dumps(line) for line in lines())


def test_of_an_error_the_log_has_the_place_without_its_words(make_router, failing):
    with logged() as lines, running(make_router()) as (url, _):
        failing()
        assert ask_all(url)[:3] == [500, 500, 500]
        wait_for(lambda: len([line for line in lines() if line["message"] == "request"]) == 6)
    errors = [line["error"] for line in lines() if "error" in line]
    assert len(errors) == 3 and all("ValueError" in each and "RuntimeError" in each for each in errors)
    assert all("in fail" in each and "in read" in each for each in errors)
    assert not any(SECRET in json.dumps(line) for line in lines())


def test_a_candidate_that_fails_in_the_shadow_is_logged_without_the_query(store, other_legal, tmp_path, monkeypatch):
    route_many = DomainRouter.route_many

    def fail(router, texts, *_, state):
        if state is not router.state:
            raise RuntimeError(f"cannot route {texts}")
        return route_many(router, texts, state=state)

    monkeypatch.setattr(DomainRouter, "route_many", fail)
    publish(other_legal, store, force=True)
    router = DomainRouter([], tmp_path / "registry")
    files = Files(shadow=JsonlFile(tmp_path / "shadow.jsonl", "shadow_log"))
    with logged() as lines, running(router, ServerOptions(shadow=("legal",)), files=files) as (url, _):
        httpx.post(f"{url}/v1/route", json={"query": SECRET}, timeout=20)
        wait_for(lambda: any("in the shadow" in line["message"] for line in lines()))
    assert not any(SECRET in json.dumps(line) for line in lines())


def test_queries_and_errors_are_in_the_log_where_that_is_asked_for(make_router, failing):
    with logged(True) as lines, running(make_router(), ServerOptions(log_queries=True)) as (url, _):
        httpx.post(f"{url}/v1/route", json={"query": SECRET}, timeout=20)
        failing()
        httpx.post(f"{url}/v1/route", json={"query": SECRET}, timeout=20)
    assert [line["query"] for line in lines() if line["message"] == "decision"] == [SECRET]
    assert [f"cannot route ['{SECRET}']" in line["error"] for line in lines() if "error" in line] == [True]

"""A promoted version is served within two seconds, one that cannot be loaded leaves the old one serving."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from contextlib import closing

import httpx
import numpy as np
import pytest

from router_plugin import DomainRouter, Route, ServedDomains, Settings
from tests.router_plugin.server.conftest import running, wait_for
from training import publish

QUERY = "my landlord wants to keep the deposit"
ROUTES = [Route(name="tenancy", domain="legal", utterances=("rent and deposit",))]


@pytest.fixture
def live(store, tmp_path):
    """A server of that registry, and a client of it."""
    router = DomainRouter(ROUTES, tmp_path / "registry", settings=Settings(query_cache=0))
    with running(router) as (url, service), httpx.Client(base_url=url, timeout=20) as client:
        yield client, service


def embedded(client, model="legal"):
    return client.post("/v1/embeddings", json={"model": model, "input": QUERY}).json()


def test_a_promoted_version_is_live_soon_and_every_answer_is_of_one_version(live, store, other_legal, tmp_path):
    client, _ = live
    by_version = {}
    for name in ("legal@1", "legal@2"):
        if name == "legal@2":
            publish(other_legal, store, force=True)
        with ServedDomains(tmp_path / "registry") as domains:
            by_version[name] = domains.with_version(domains.registered(name)).embed([("legal", QUERY)])[0]
    answers, done = [], threading.Event()

    def ask():
        with httpx.Client(base_url=client.base_url, timeout=20) as own:
            while not done.is_set():
                answers.append(embedded(own))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        promoted = time.monotonic()
        store.promote("legal@2")
        wait_for(lambda: embedded(client)["system_fingerprint"].startswith("legal@2"))
        assert time.monotonic() - promoted < 2 + 3  # other tests may be running
        count = len(answers)
        wait_for(lambda: len(answers) > count + 1)
    finally:
        done.set()
        asking.join()
    for answer in answers:
        version = answer["system_fingerprint"].partition("-")[0]
        np.testing.assert_allclose(answer["data"][0]["embedding"], by_version[version], atol=1e-4)
    assert {answer["system_fingerprint"].partition("-")[0] for answer in answers} == {"legal@1", "legal@2"}
    np.testing.assert_allclose(embedded(client, "legal@1")["data"][0]["embedding"], by_version["legal@1"], atol=1e-4)
    assert client.post("/v1/route", json={"query": QUERY}).json()["model_version"] != "legal@1"


def test_answers_whose_contract_has_no_place_for_it_name_the_versions_too(live, store, other_legal):
    client, _ = live
    questions = {"q": {"type": "choice", "criteria": {"legal": None, "general": None}}}
    asked = {
        "/classify": {"inputs": QUERY},
        "/routes/classify": {"inputs": [QUERY]},
        "/embed": {"inputs": QUERY},
        "/v1/systemone": {"state": QUERY, "questions": questions},
    }
    call = {"params": {"name": "classify_text", "arguments": {"text": QUERY}}}

    def named():
        answers = [client.post(path, json=body) for path, body in asked.items()]
        called = json.loads(client.post("/mcp/vsr/tools/call", json=call).json()["content"][0]["text"])
        return [each.headers["X-Domain-Router-Versions"].split(", ") for each in answers] + [called["versions"]]

    before = client.get("/v1/models/domain-routed").json()["version"].split(", ")
    assert "legal@1" in before and named() == [before] * 5
    publish(other_legal, store, force=True)
    store.promote("legal@2")
    wait_for(lambda: named() == [["legal@2" if each == "legal@1" else each for each in before]] * 5)


def damage(store, version):
    """Change a byte of a version's weights."""
    (weights,) = store.fetch(version).rglob("model.safetensors")
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")


def test_a_version_that_cannot_be_loaded_does_not_hold_back_those_of_other_domains(
    live, store, other_legal, tiny_models, tmp_path
):
    client, service = live
    damage(store, publish(other_legal, store, force=True))
    copy = shutil.copytree(tiny_models["medical"], tmp_path / "medical")
    (copy / "README.md").write_text("another version", encoding="utf-8")
    publish(copy, store, force=True)
    store.promote("legal@2")
    store.promote("medical@2")
    wait_for(lambda: service.champions.unloaded)
    wait_for(lambda: embedded(client, "medical")["system_fingerprint"].startswith("medical@2"))
    assert embedded(client)["system_fingerprint"].startswith("legal@1")
    assert list(service.champions.unloaded) == ["legal@2"]
    store.rollback("legal")
    wait_for(lambda: not service.champions.unloaded)
    assert embedded(client, "medical")["system_fingerprint"].startswith("medical@2")


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_serving(live, store, other_legal):
    client, service = live
    before = embedded(client)["system_fingerprint"]
    damage(store, publish(other_legal, store, force=True))
    store.promote("legal@2")
    wait_for(lambda: service.champions.unloaded)
    assert embedded(client)["system_fingerprint"] == before
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["warning"] == "legal@2 could not be loaded: the server's log says why"
    assert "domain_router_reload_failures_total 1.0" in client.get("/metrics").text
    store.rollback("legal")
    wait_for(lambda: not service.champions.unloaded)
    assert client.get("/health/ready").json()["warning"] is None


def test_a_registry_that_is_gone_for_a_while_does_not_stop_the_server(live, store, tmp_path):
    client, service = live
    with closing(sqlite3.connect(tmp_path / "registry" / "registry.db")) as database:
        database.execute("ALTER TABLE generation RENAME TO gone")
        wait_for(lambda: service.champions.unread)
        assert client.post("/v1/route", json={"query": QUERY}).status_code == 200
        warning = client.get("/health/ready").json()["warning"]
        assert warning == "the registry cannot be read: the server's log says why"
        counted = client.get("/metrics").text
        assert "domain_router_registry_failures_total 1.0" in counted
        assert "domain_router_reload_failures_total 0.0" in counted
        database.execute("ALTER TABLE gone RENAME TO generation")
    wait_for(lambda: not service.champions.unread, 15)
    assert client.get("/health/ready").json()["warning"] is None

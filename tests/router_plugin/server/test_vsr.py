"""What vLLM Semantic Router (VSR) sends, byte for byte as Go's client writes it, and what it demands of the answers.

Read in VSR's code: ``pkg/embedding/openai_provider.go``, ``pkg/classification/http_classifier.go`` and
``embedding_classifier*.go``, ``pkg/modelruntime/connector``.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import numpy as np
import pytest

from router_plugin import DomainRouter, JointSpace, load_routes
from router_plugin.exports.vsr import category_mapping, configuration
from router_plugin.exports.vsr_options import VsrOptions
from router_plugin.server.protection.keys import Keys
from tests.conftest import EXAMPLES
from tests.router_plugin.server.conftest import running

PROBE = "semantic router embedding probe"
QUERIES = ["what are the side effects of this medicine", "can I pay back my loan early", "what does my blood test mean"]
ODD = 'is 5 < 6 & "quotes" > \\ \N{LINE SEPARATOR} 🙂 两 \t\n\x01'
WORKERS = 16
"""Requests at the same time while VSR starts on a machine with eight processors."""


def go_json(value):
    """What Go's ``json.Marshal`` makes of a value: compact, and without characters that HTML gives a meaning."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for each in "<>&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}":
        text = text.replace(each, f"\\u{ord(each):04x}")
    return text.encode()


class Client:
    """Go's ``net/http`` with one connection that is kept."""

    def __init__(self, url, key=None):
        self.address, self.key = urlsplit(url).netloc, key
        self.connection = socket.create_connection(tuple(self.address.split(":")), 20)

    def send(self, path, body, accept=False):
        headers = [f"POST {path} HTTP/1.1", f"Host: {self.address}", "User-Agent: Go-http-client/1.1"]
        headers += [f"Content-Length: {len(body)}", *(["Accept: application/json"] if accept else [])]
        headers += [f"Authorization: Bearer {self.key}"] if self.key else []
        headers += ["Content-Type: application/json", "Accept-Encoding: gzip", "", ""]
        self.connection.sendall("\r\n".join(headers).encode() + body)

    def post(self, path, body, accept=False):
        """The status, and the content of the answer."""
        self.send(path, body, accept)
        answer = http.client.HTTPResponse(self.connection, method="POST")
        answer.begin()
        assert answer.headers["Content-Encoding"] is None
        return answer.status, json.loads(answer.read())

    def embed(self, texts, model, dimensions=0, expected=0):
        """Vectors, checked as VSR checks them: their number, indices and dimension."""
        asked = {"model": model, "input": texts, **({"dimensions": dimensions} if dimensions > 0 else {})}
        status, answer = self.post("/v1/embeddings", go_json(asked))
        assert status == 200 and not answer.get("error"), answer
        assert [each["index"] for each in answer["data"]] == list(range(len(texts)))
        vectors = np.array([each["embedding"] for each in answer["data"]], dtype=np.float32)
        assert np.issubdtype(np.array(answer["data"][0]["embedding"]).dtype, np.floating)
        assert vectors.shape[1] == (expected or dimensions or vectors.shape[1])
        return vectors

    def classify(self, text, labels):
        """A score for each label, checked as VSR checks them."""
        status, answer = self.post("/classify", go_json({"inputs": text}), accept=True)
        assert status == 200, answer
        assert sorted(each["label"] for each in answer) == sorted(labels)
        scores = {each["label"]: np.float32(each["score"]) for each in answer}
        assert all(np.isfinite(score) and 0 <= score <= 1 for score in scores.values())
        assert abs(float(np.float32(sum(scores.values()))) - 1) <= 0.02
        return {label: float(score) for label, score in scores.items()}

    def close(self):
        self.connection.close()


@pytest.fixture(scope="module")
def vsr_router(served_domains):
    """A router with one encoder and the example routes."""
    routes = load_routes(EXAMPLES / "routes.yaml")
    settings = served_domains.settings.replace(strategy="single", single_domain="medical")
    return DomainRouter.over(served_domains, routes, settings)


@pytest.fixture(scope="module")
def asked(vsr_router):
    """A server that needs a key: its URL, what answers, the URL of its second listener, and the key."""
    keys, secret = Keys().with_new("vsr", ("route", "embed"))
    for_routes = socket.create_server(("127.0.0.1", 0))
    with running(vsr_router, keys=keys, for_routes=for_routes) as (url, service):
        yield url, service, f"http://127.0.0.1:{for_routes.getsockname()[1]}", secret


@pytest.fixture
def vsr(asked):
    """VSR as a client of the server."""
    with closing(Client(asked[0], asked[3])) as client:
        yield client


@pytest.fixture
def vsr_of_routes(asked):
    """VSR as a client of the second listener."""
    with closing(Client(asked[2], asked[3])) as client:
        yield client


def options(asked, **given):
    port = int(asked[2].rpartition(":")[2])
    given |= {} if given.get("signals") == "embeddings" else {"routes_port": port}
    return VsrOptions(server=asked[0], **given)


def test_the_probe_and_texts_with_odd_characters_are_embedded(vsr, served_domains):
    for text in (PROBE, ODD, ""):
        (vector,) = vsr.embed([text], "medical@1", expected=32)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(vsr.embed([ODD], "medical@1"), served_domains.embed([("medical", ODD)]), atol=1e-5)


def test_dimensions_are_sent_where_they_are_set(vsr, served_domains):
    assert vsr.embed(QUERIES, "medical@1", dimensions=8).shape == (3, 8)
    size = JointSpace(served_domains).dimension
    assert vsr.embed([PROBE], "domain-routed", dimensions=size, expected=size).shape == (1, size)
    status, answer = vsr.post("/v1/embeddings", go_json({"model": "medical", "input": [PROBE], "dimensions": 768}))
    assert status == 422 and answer["error"]["message"]  # VSR does not try such a request again


def test_a_burst_of_candidates_is_embedded_in_a_few_passes(asked, served_domains, monkeypatch):
    texts = sorted({text for route in load_routes(EXAMPLES / "routes.yaml") for text in route.utterances}) * 4
    passes = []
    monkeypatch.setattr(asked[1].batcher, "_observe", lambda *given: passes.append(given))
    local = threading.local()
    clients = []

    def embed(text):
        if not hasattr(local, "client"):
            local.client = Client(asked[0], asked[3])
            clients.append(local.client)
        return local.client.embed([text], "finance@1", expected=32)[0]

    try:
        with ThreadPoolExecutor(WORKERS) as pool:
            found = list(pool.map(embed, texts))
    finally:
        for client in clients:
            client.close()
    np.testing.assert_allclose(found, served_domains.embed([("finance", text) for text in texts]), atol=1e-5)
    assert len(passes) < len(texts) / 2


def test_every_domain_has_its_label_once(vsr, served_domains):
    mapping = category_mapping(served_domains.names)
    for text in (*QUERIES, ODD, "", PROBE):
        vsr.classify(text, mapping["category_to_idx"])


def test_every_route_has_its_label_once_on_the_second_listener(vsr_of_routes, vsr_router):
    (rule,) = configuration(vsr_router.state, VsrOptions(server="http://x"))["routing"]["signals"]["classifiers"]
    for text in (*QUERIES, ODD, "", PROBE):
        vsr_of_routes.classify(text, rule["labels"])


def test_decisions_by_probabilities_are_those_of_the_router_where_it_is_sure(asked, vsr_of_routes, vsr_router):
    config = configuration(vsr_router.state, options(asked))
    (rule,) = config["routing"]["signals"]["classifiers"]
    (external,) = (each for each in config["global"]["model_catalog"]["external"] if each["name"] == rule["model"])
    assert "http://{address}:{port}".format(**external["llm_endpoint"]) == asked[2]
    utterances = [route.utterances[0] for route in vsr_router.routes]
    chosen = []
    for text in (*utterances, *QUERIES, "", ODD):
        scores = vsr_of_routes.classify(text, rule["labels"])
        met = [
            decision["name"]
            for decision in config["routing"]["decisions"]
            for condition in decision["rules"]["conditions"]
            if scores[condition["label"]] >= condition["predicate"]["gte"]
        ]
        assert len(met) <= 1
        sure = vsr_router.route(text)
        if sure.confidence > 0.5:
            assert met == ([sure.route] if sure.route else [])
        chosen += met
    assert len(set(chosen)) > 2


def test_decisions_by_embeddings_are_those_of_a_router_with_one_encoder(asked, vsr, vsr_router):
    config = configuration(vsr_router.state, options(asked, signals="embeddings"))
    semantic = config["global"]["model_catalog"]["embeddings"]["semantic"]
    assert semantic["endpoint"]["base_url"] == f"{asked[0]}/v1"
    model, size = semantic["endpoint"]["model"], semantic["embedding_config"]["target_dimension"]
    banks = {
        rule["name"]: (
            rule["threshold"],
            np.vstack([vsr.embed([each], model, expected=size) for each in rule["candidates"]]),
        )
        for rule in config["routing"]["signals"]["embeddings"]
    }
    for text in (*QUERIES, "tell me a joke", "I forgot my pills"):
        (query,) = vsr.embed([text], model, expected=size)
        scores = {name: (bank @ query).max() for name, (least, bank) in banks.items() if (bank @ query).max() >= least}
        assert max(scores, key=scores.__getitem__, default=None) == vsr_router.route(text).route


def test_vectors_of_another_joint_space_are_refused(vsr, served_domains):
    identifier = JointSpace(served_domains).identifier
    np.testing.assert_array_equal(
        vsr.embed([PROBE], f"domain-routed@{identifier}"), vsr.embed([PROBE], "domain-routed")
    )
    status, answer = vsr.post("/v1/embeddings", go_json({"model": "domain-routed@0123", "input": [PROBE]}))
    assert status == 404 and "embed all texts again" in answer["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/embeddings", "/classify"])
def test_what_was_too_much_is_answered_when_it_is_sent_again(asked, vsr, monkeypatch, path):
    body = go_json({"model": "medical", "input": [PROBE]} if path != "/classify" else {"inputs": PROBE})
    monkeypatch.setattr(asked[1].batcher, "_max_waiting", 0)
    assert vsr.post(path, body)[0] == 429
    monkeypatch.undo()
    time.sleep(0.05)  # as VSR waits
    assert vsr.post(path, body)[0] == 200


def test_a_wrong_key_is_refused_with_a_status_that_is_not_tried_again(asked):
    for key in (None, "wrong"):
        for url, path in ((asked[0], "/v1/embeddings"), (asked[0], "/classify"), (asked[2], "/classify")):
            with closing(Client(url, key)) as client:
                assert client.post(path, go_json({"inputs": PROBE}))[0] == 401


def test_a_client_that_gives_up_at_its_deadline_harms_nobody(asked, vsr, vsr_router):
    for _ in range(20):
        with closing(Client(asked[0], asked[3])) as client:
            client.send("/classify", go_json({"inputs": QUERIES[0]}), accept=True)
    vsr.classify(QUERIES[0], vsr_router.domains)

"""Plain requests, which FastAPI does not see, are answered as it would answer them, and counted alike."""

from __future__ import annotations

import time

import pytest

from router_plugin.server.endpoints.direct import ENDPOINTS

QUERY = "what are the side effects of this medicine"
BODIES = {
    "/v1/embeddings": [
        {"model": "medical", "input": QUERY},
        {"model": "domain-routed", "input": [QUERY, ""], "encoding_format": "base64"},
        {"model": "medical", "input": QUERY, "dimensions": 8, "user": "an unknown field"},
    ],
    "/v1/route": [{"query": QUERY}, {"query": "and then?", "history": [{"role": "user", "content": QUERY}]}],
    "/classify": [{"inputs": QUERY}, {"inputs": [QUERY, ""]}],
    "/routes/classify": [{"inputs": QUERY}],
    "/embed": [{"inputs": [QUERY]}],
}
REFUSED = [
    ("/v1/embeddings", {"model": "law", "input": QUERY}, 404),
    ("/v1/embeddings", {"model": "medical"}, 400),
    ("/v1/embeddings", {"model": "medical", "input": [1]}, 400),
    ("/v1/route", {"query": "x" * 20_001}, 422),
    ("/classify", {"inputs": 3}, 422),
    ("/embed", {"inputs": []}, 422),
]


def both(client, path, body):
    """The answers to a plain request, and to one with a content type that is not plain."""
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return client.post(path, json=body), client.post(path, json=body, headers=kind)


def known(answer):
    """What of an answer does not depend on the time."""
    found = answer.json()
    return {**found, "timings_ms": found["timings_ms"].keys()} if "timings_ms" in found else found


@pytest.mark.parametrize(("path", "body"), [(path, body) for path, bodies in BODIES.items() for body in bodies])
def test_plain_requests_are_answered_as_by_fastapi(client, path, body):
    plain, other = both(client, path, body)
    assert plain.status_code == other.status_code == 200
    assert known(plain) == known(other)
    assert plain.headers["Content-Type"] == other.headers["Content-Type"]


@pytest.mark.parametrize(("path", "body", "status"), REFUSED)
def test_plain_requests_are_refused_as_by_fastapi(client, path, body, status):
    plain, other = both(client, path, body)
    assert plain.status_code == other.status_code == status
    assert plain.json() == other.json()


@pytest.mark.parametrize("path", ENDPOINTS)
def test_bodies_are_those_of_the_document(client, path):
    operation = client.get("/openapi.json").json()["paths"][path]["post"]
    (described,) = operation["requestBody"]["content"].values()
    assert described["schema"]["$ref"].rpartition("/")[2] == ENDPOINTS[path].body.__name__


@pytest.mark.parametrize("path", ENDPOINTS)
def test_plain_requests_are_counted_under_their_path(client, path):
    def counted():
        lines = client.get("/metrics").text.splitlines()
        name = f'domain_router_requests_total{{path="{path}",status="200"}} '
        return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0.0)

    before = counted()
    for answer in both(client, path, BODIES[path][0]):
        assert answer.status_code == 200
    until = time.monotonic() + 10  # a request is counted when its answer is on the way
    while counted() != before + 2:
        assert time.monotonic() < until

"""What is too large, too slow, broken, or asked by nobody any more is refused, and the server goes on unharmed."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest

from router_plugin import Route
from router_plugin.server.options import ServerOptions
from router_plugin.server.protection import connections
from tests.router_plugin.server.conftest import running

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def connect(serving):
    """A function that opens a connection to the server and sends bytes."""
    address = urlsplit(serving[0])

    def send(data=b""):
        connection = socket.create_connection((address.hostname, address.port), 20)
        connection.sendall(data)
        return connection

    return send


@pytest.fixture(autouse=True)
def unharmed(client):
    """After each test the server answers."""
    yield
    assert client.post("/v1/route", json={"query": "hello"}).status_code == 200


def head(length):
    lines = "POST /v1/route HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {length}"
    return "\r\n".join([*lines, "", ""]).encode()


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(connect):
    connection = connect(head(100_000_000))
    assert b" 413 " in connection.recv(1000)


def test_a_body_of_unknown_length_is_refused_where_it_is_too_large(client):
    def endless():
        for _ in range(1000):
            yield b"x" * 10_000

    with suppress(httpx.WriteError, httpx.RemoteProtocolError):  # the server may close the connection before the end
        assert client.post("/v1/route", content=endless(), headers=JSON).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"query": "\xff"}',
        b'{"query": "\\ud800"}',
        b"[" * 40_000,
        b'{"query": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001,
        b'{"query": 1e999}',
        b'{"query": "a", "history": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b"null",
        b'{"query": null}',
    ],
)
def test_a_body_that_is_no_question_is_refused(client, body):
    answer = client.post("/v1/route", content=body, headers=JSON)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_client_that_sends_nothing_is_given_up(over_all):
    from router_plugin import DomainRouter

    router = DomainRouter.over(over_all.served_domains, [Route(name="any", utterances=("anything",))])
    with running(router, ServerOptions(timeout_s=0.3)) as (url, _):
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port), 20) as connection:
            connection.sendall(head(1000) + b'{"query": ')
            assert b" 504 " in connection.recv(1000)


def test_clients_may_say_how_long_they_wait(client, serving, monkeypatch):
    monkeypatch.setattr(serving[1].router, "route_many", lambda *_, **__: time.sleep(0.5))
    answer = client.post("/v1/route", json={"query": "hello"}, headers={"X-Request-Timeout": "0.05"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")
    time.sleep(0.6)


@pytest.mark.parametrize("seconds", ["nan", "-1", "0", "soon", "1e999", ""])
def test_a_timeout_that_is_none_does_no_harm(client, seconds):
    answer = client.post("/v1/route", json={"query": "hello"}, headers={"X-Request-Timeout": seconds})
    assert answer.status_code in (200, 504)


def test_what_a_client_that_left_had_asked_is_not_answered(connect, serving, monkeypatch):
    service, asked = serving[1], []
    route_many, go_on = service.router.route_many, threading.Event()

    def waiting(texts, **options):
        asked.extend(texts)
        go_on.wait(10)
        return route_many(texts, **options)

    monkeypatch.setattr(service.router, "route_many", waiting)
    connections = []
    for number in range(3):  # two threads are busy, and one request waits
        body = json.dumps({"query": f"question {number}"}).encode()
        connections.append(connect(head(len(body)) + body))
        while len(asked) + service.batcher.waiting <= number:
            time.sleep(0.01)
    connections[-1].close()
    time.sleep(0.1)
    go_on.set()
    for connection in connections[:-1]:
        assert b" 200 " in connection.recv(1000)
        connection.close()
    assert sorted(asked) == ["question 0", "question 1"]


def test_a_fault_of_ours_is_told_without_details(client, serving, monkeypatch):
    def failing(*_, **__):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(serving[1].router, "route_many", failing)
    answer = client.post("/v1/route", json={"query": "hello"})
    assert answer.status_code == 500 and "secret" not in answer.text
    monkeypatch.undo()


def test_the_queue_is_bounded(client, serving, monkeypatch):
    monkeypatch.setattr(serving[1].batcher, "_max_waiting", 0)
    answer = client.post("/v1/route", json={"query": "hello"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert client.post("/classify", json={"inputs": "hello"}).json()["error_type"] == "Overloaded"
    monkeypatch.undo()


def test_metrics_count_what_happened(client):
    client.post("/v1/route", json={"query": "hello"})
    text = client.get("/metrics").text
    for name in (
        'domain_router_requests_total{path="/v1/route",status="200"}',
        'domain_router_batch_texts_bucket{le="1.0",work="route"}',
        'domain_router_serving{domain="medical",version="medical@1"} 1.0',
        'domain_router_query_embeddings_total{cached="false"}',
        'domain_router_stage_seconds_count{canary="",stage="classify"}',
        "domain_router_decisions_total{",
        "domain_router_waiting_texts 0.0",
    ):
        assert name in text


def test_the_openapi_document_names_every_endpoint(client):
    document = client.get("/openapi.json").json()
    assert {"/v1/embeddings", "/v1/route", "/classify", "/v1/systemone"} <= document["paths"].keys()


HEAD = b"POST /v1/route HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n"
BODY = b'{"query": "x"}'


@pytest.fixture
def impatient(monkeypatch):
    """Let the server wait for heads for a moment only."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)


def answer_of(connection):
    """The answer to a request; nothing where the connection was closed."""
    answer = b""
    while b'"read_as"' not in answer and (part := connection.recv(10_000)):
        answer += part
    return answer


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"POST /v1/ro", HEAD[:-2]])
def test_a_connection_is_closed_where_the_head_of_a_request_does_not_come(connect, impatient, sent):
    assert answer_of(connect(sent)) == b""
    connection = connect(HEAD + BODY)
    assert b" 200 " in answer_of(connection)
    time.sleep(0.5)  # between requests there is more time
    connection.sendall(HEAD + BODY)
    assert b" 200 " in answer_of(connection)
    connection.sendall(sent or b"G")
    assert answer_of(connection) == b""


def test_a_connection_is_not_closed_where_the_head_has_come(connect, impatient):
    connection = connect(HEAD[:20])
    time.sleep(0.1)
    connection.sendall(HEAD[20:])
    time.sleep(0.5)
    connection.sendall(BODY)
    assert b" 200 " in answer_of(connection)


def test_a_connection_is_closed_where_a_head_comes_byte_by_byte(connect, impatient):
    connection = connect()
    with pytest.raises(OSError):
        for number in range(50):
            connection.sendall(HEAD[number : number + 1])
            time.sleep(0.05)

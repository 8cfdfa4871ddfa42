"""The Python client against a real server, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import certifi
import numpy as np
import pytest

from router_plugin import (
    AsyncDomainRouterClient,
    DomainRouter,
    DomainRouterClient,
    JointSpace,
    QueryError,
    Route,
    SettingsError,
    explain,
)
from router_plugin.client import RefusedError, UnavailableError, UnexpectedAnswerError, clients
from router_plugin.server.protection.keys import Keys
from tests.router_plugin.server.conftest import running

QUERY = "what are the side effects of this medicine"
TEXTS = [QUERY, "", "the landlord keeps my deposit"]
DECISION = {
    **{"query": "x", "route": None, "score": 0.5, "domain": "general", "domains": {"general": 1.0}},
    **{"model_version": "base", "timings_ms": {}},
}


@pytest.fixture(scope="module", autouse=True)
def one_authority(tmp_path_factory):
    """One certificate authority in place of all, which take a tenth of a second for each client."""
    file = tmp_path_factory.mktemp("authorities") / "one.pem"
    end = "-----END CERTIFICATE-----\n"
    file.write_text(Path(certifi.where()).read_text(encoding="utf-8").partition(end)[0] + end, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture
def pauses(monkeypatch):
    """The seconds that clients wanted to wait before they asked again, which they do at once."""
    found = []

    async def sleep(seconds):
        found.append(seconds)

    monkeypatch.setattr(clients, "time", SimpleNamespace(sleep=found.append))
    monkeypatch.setattr(clients, "asyncio", SimpleNamespace(sleep=sleep))
    return found


@pytest.fixture(params=["blocking", "asynchronous"])
def ask(request, pauses):
    """A function that calls a method of one of the clients."""

    def blocking(url, method, *arguments, options={}, **named):  # noqa: B006
        with DomainRouterClient(url, **options) as client:
            return getattr(client, method)(*arguments, **named)

    async def asynchronous(url, method, *arguments, options={}, **named):  # noqa: B006
        async with AsyncDomainRouterClient(url, **options) as client:
            return await getattr(client, method)(*arguments, **named)

    if request.param == "blocking":
        return blocking
    return lambda *arguments, **named: asyncio.run(asynchronous(*arguments, **named))


def untimed(decision):
    return {name: value for name, value in decision.to_dict().items() if name != "timings_ms"}


def test_decisions_are_those_of_the_router(ask, serving, over_all):
    url = serving[0]
    assert untimed(ask(url, "route", QUERY)) == untimed(over_all.route(QUERY))
    history = [{"role": "user", "content": QUERY}, {"role": "assistant", "content": "It may make you sleepy."}]
    found = ask(url, "route", "and for children?", history)
    assert untimed(found) == untimed(over_all.route("and for children?", history))
    many = ask(url, "route_many", iter(TEXTS))
    assert [each.route for each in many] == [each.route for each in over_all.route_many(TEXTS)]
    assert ask(url, "route_many", []) == []


def test_explanations_are_those_of_the_router(ask, serving, over_all):
    found, wanted = ask(serving[0], "explain", QUERY, limit=2), explain(over_all, QUERY, 2)
    assert (found.evidence, found.threshold) == (wanted.evidence, wanted.threshold)
    assert [each.utterance for each in found.nearest] == [each.utterance for each in wanted.nearest]
    assert found.decision.domain == wanted.decision.domain


def test_feedback_is_recorded(ask, serving, over_all):
    url, path = serving[0], serving[1].feedback.path
    decision = over_all.route(QUERY)
    assert ask(url, "feedback", decision, accepted=False) is None
    ask(url, "feedback", "it hurts", corrected="symptoms")
    ask(url, "feedback", "it hurts", "medicines", corrected="symptoms")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[-3:]]
    assert [(row["query"], row["route"], row["accepted"], row["corrected"]) for row in rows] == [
        (QUERY, decision.route, False, None),
        ("it hurts", None, None, "symptoms"),
        ("it hurts", "medicines", None, "symptoms"),
    ]
    with pytest.raises(QueryError, match="a decision has its own"):
        ask(url, "feedback", decision, "medicines", accepted=False)
    with pytest.raises(RefusedError, match="feedback needs `accepted` or `corrected`"):
        ask(url, "feedback", decision)


def test_embeddings_are_those_of_the_encoders(ask, serving, served_domains):
    url, space = serving[0], JointSpace(served_domains)
    found = ask(url, "embed", "medical", TEXTS)
    np.testing.assert_allclose(found.vectors, served_domains.embed([("medical", text) for text in TEXTS]), atol=1e-5)
    assert found.vectors.dtype == np.float32 and found.space.startswith("medical@1-")
    joint = ask(url, "embed", "domain-routed", TEXTS)
    np.testing.assert_allclose(joint.vectors, space.encode_queries(TEXTS), atol=1e-5)
    assert joint.space == space.identifier
    assert ask(url, "embed", "medical", TEXTS, dimensions=8).vectors.shape == (3, 8)


def test_labels_have_probabilities(ask, serving, over_all):
    domains, routes = (ask(serving[0], method, TEXTS) for method in ("classify", "classify_routes"))
    for each in domains:
        assert sorted(each) == sorted(over_all.domains)
        assert sum(each.values()) == pytest.approx(1)
    decisions = over_all.route_many(TEXTS)
    assert domains[0] == pytest.approx(decisions[0].domains)
    assert [each[decision.route or "none"] for each, decision in zip(routes, decisions, strict=True)] == pytest.approx(
        [decision.confidence for decision in decisions]
    )


def test_models_have_versions(ask, serving, monkeypatch):
    assert ask(serving[0], "models").items() >= {"medical": "medical@1", "finance": "finance@1"}.items()
    assert ask(serving[0], "ready") is True
    monkeypatch.setattr(serving[1], "ready", False)
    assert ask(serving[0], "ready") is False


@pytest.mark.parametrize(
    ("method", "arguments", "status", "code", "said"),
    [
        ("embed", ("law", ["x"]), 404, "model_not_found", r"/v1/embeddings: unknown model 'law'.*\(HTTP 404\)"),
        ("embed", ("medical", []), 400, "invalid_request", "`input` is empty"),
        ("classify", (["x"] * 51,), 422, "Validation", "51 texts in a request: expected at most 50"),
        ("route", (3,), 400, "invalid_request", "`query`: Input should be a valid string"),
    ],
)
def test_what_the_server_refuses_is_told(ask, serving, method, arguments, status, code, said):
    with pytest.raises(RefusedError, match=said) as refused:
        ask(serving[0], method, *arguments)
    assert (refused.value.status, refused.value.code) == (status, code)


@pytest.mark.parametrize("query", [b"x", "\ud800", float("nan")])
def test_what_is_not_text_is_refused_before_it_is_sent(ask, query):
    with pytest.raises(QueryError):
        ask("http://127.0.0.1:1", "route", query)


def test_a_single_text_is_not_taken_for_its_characters(ask):
    for method, arguments in (("route_many", ()), ("classify", ()), ("embed", ("medical",))):
        with pytest.raises(QueryError, match="put a single one into a list"):
            ask("http://127.0.0.1:1", method, *arguments, "hello")


def test_a_key_is_sent(ask, served_domains, monkeypatch):
    keys, secret = Keys().with_new("gateway", ("route",))
    router = DomainRouter.over(served_domains, [Route(name="any", utterances=("anything",))])
    with running(router, keys=keys) as (url, _):
        with pytest.raises(RefusedError, match="expected a header 'Authorization") as refused:
            ask(url, "route", "x")
        assert refused.value.status == 401
        ask(url, "route", "x", options={"api_key": secret})
        with pytest.raises(RefusedError, match="needs the scope 'embed'"):
            ask(url, "models", options={"api_key": secret})
        monkeypatch.setenv("DOMAIN_ROUTER_API_KEY", f"{secret}\n")
        ask(url, "route", "x")
        with pytest.raises(RefusedError):
            ask(url, "route", "x", options={"api_key": ""})


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("localhost:8700", {}, "`base_url` 'localhost:8700': expected an address like http://127.0.0.1:8700"),
        ("", {}, "expected an address"),
        ("ftp://host", {}, "expected an address"),
        ("http://host:port", {}, "`base_url`"),
        ("http://host", {"timeout": 0}, "`timeout` 0"),
        ("http://host", {"timeout": float("nan")}, "`timeout`"),
        ("http://host", {"retries": -1}, "`retries` -1"),
        ("http://host", {"api_key": "dr-é"}, "`api_key`"),
        ("http://host", {"api_key": "dr-a\ndr-b"}, "`api_key`"),
    ],
)
def test_options_that_cannot_be_used_are_refused(url, options, said):
    for kind in (DomainRouterClient, AsyncDomainRouterClient):
        with pytest.raises(SettingsError, match=said):
            kind(url, **options)


class Handler(BaseHTTPRequestHandler):
    """Answers with the next of the server's answers; an exception in place of one breaks the connection."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(self)
        answer = self.server.answers.pop(0)
        if answer is ConnectionResetError:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        status, body, *headers = answer
        if isinstance(body, float):
            self.server.ended.wait(body)
            body = {}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", len(content))):
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


@contextmanager
def misbehaving(*answers):
    """A server with these answers, each a status, a body, and headers; yields its URL and the requests it got."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers, server.asked, server.ended = list(answers), [], threading.Event()
    server.handle_error = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.asked
    finally:
        server.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


OVERLOADED = {"error": {"message": "the server is overloaded", "code": "overloaded"}}
RIGHT = (200, DECISION)


@pytest.mark.parametrize(
    "fault",
    [(429, OVERLOADED), (503, b""), (503, b"<html>", ("Retry-After", "soon")), ConnectionResetError],
    ids=str,
)
def test_a_call_is_repeated_where_that_may_help(ask, fault):
    with misbehaving(fault, fault, RIGHT) as (url, asked):
        assert ask(url, "route", "x").score == 0.5
    assert len(asked) == 3
    with misbehaving(fault, fault, fault, RIGHT) as (url, asked), pytest.raises(UnavailableError):
        ask(url, "route", "x")
    assert len(asked) == 3
    with misbehaving(fault, RIGHT) as (url, asked), pytest.raises(UnavailableError):
        ask(url, "route", "x", options={"retries": 0})


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500, 502, 504, 301])
def test_a_call_is_not_repeated_where_that_does_not_help(ask, status):
    with misbehaving((status, b"")) as (url, asked), pytest.raises((RefusedError, UnavailableError)) as failed:
        ask(url, "route", "x")
    assert (len(asked), failed.value.status) == (1, status)
    assert isinstance(failed.value, UnavailableError) == (status >= 500)


def test_feedback_is_repeated_only_if_it_was_not_taken(ask):
    recorded = (200, {"status": "recorded"})
    with misbehaving((429, b""), (503, b""), recorded) as (url, asked):
        ask(url, "feedback", "x", accepted=True)
    assert len(asked) == 3
    with misbehaving(ConnectionResetError, recorded) as (url, asked), pytest.raises(UnavailableError):
        ask(url, "feedback", "x", accepted=True)
    assert len(asked) == 1


def test_a_server_that_is_not_there_is_asked_again(ask, pauses):
    with misbehaving() as (url, _):
        pass
    for method, arguments in (("route", ("x",)), ("feedback", ("x",))):
        with pytest.raises(UnavailableError, match=f"^{url}/v1/{method} cannot be reached: ") as failed:
            ask(url, method, *arguments)
        assert failed.value.status is None
    assert ask(url, "ready") is False
    assert pauses == [pytest.approx(0.25, rel=0.25), pytest.approx(0.5, rel=0.25)] * 2


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("7", 7, 7),
        ("0", 0.1, 0.4),
        ("soon", 0.1, 0.4),
        ("-7", 0.1, 0.4),
        (-60, 0.1, 0.4),
        (600, 300, 600),
    ],
    ids=["seconds", "at once", "no number", "a negative number", "a date that is past", "a date"],
)
def test_the_server_says_when_to_ask_again(ask, pauses, said, least, most):
    if isinstance(said, int):
        said = formatdate(time.time() + said, usegmt=True)
    with misbehaving((429, b"", ("Retry-After", said)), RIGHT) as (url, _):
        ask(url, "route", "x", options={"timeout": 1000})
    assert least <= pauses[0] <= most


def test_a_call_ends_in_time(ask):
    started = time.monotonic()
    with misbehaving((429, OVERLOADED, ("Retry-After", "3600")), RIGHT) as (url, asked):
        with pytest.raises(UnavailableError, match=r"the server is overloaded \(HTTP 429\)") as failed:
            ask(url, "route", "x", options={"timeout": 5})
        assert (len(asked), failed.value.code) == (1, "overloaded")
    with misbehaving((200, 20.0)) as (url, asked):
        with pytest.raises(UnavailableError, match=f"^{url}/v1/route: no answer within 0.3 s"):
            ask(url, "route", "x", options={"timeout": 0.3})
        assert 0.2 < float(asked[0].headers["X-Request-Timeout"]) <= 0.3
    assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    ("method", "arguments", "answer", "said"),
    [
        ("route", ("x",), b"<html>", "Invalid JSON"),
        ("route", ("x",), b"\xff", "Invalid JSON"),
        ("route", ("x",), [], "should be an object"),
        ("route", ("x",), {**DECISION, "domains": []}, "domains: "),
        ("route", ("x",), {"query": "x"}, "route: Field required"),
        ("route_many", (["x"],), {"decisions": []}, "expected 1 results, but found 0"),
        ("route_many", (["x"],), {"decisions": [{**DECISION, "score": "0.5"}]}, "decisions.0.score: "),
        ("explain", ("x",), DECISION, "decision: Field required"),
        ("feedback", ("x",), {"status": "lost"}, "expected the status 'recorded', but found 'lost'"),
        ("embed", ("m", ["x"]), {"data": []}, "system_fingerprint: Field required"),
        ("classify", (["x"],), [{"label": "a", "score": 1}], "0: Input should be a valid array"),
        ("classify_routes", (["x"],), [[], []], "expected 1 results, but found 2"),
        ("models", (), {"data": [{"id": "a"}]}, "data.0.version: Field required"),
        ("ready", (), {"status": "fine"}, "expected the status 'ready'"),
    ],
)
def test_an_answer_that_is_none_is_told(ask, method, arguments, answer, said):
    expected = pytest.raises(UnexpectedAnswerError, match=f"^http.*/[a-z0-9/]+: unexpected answer: .*{said}")
    with misbehaving((200, answer)) as (url, asked), expected as failed:
        ask(url, method, *arguments)
    assert (len(asked), failed.value.status) == (1, 200)


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (["AAAAAA==", "AAAAAAAAAAA="], "same shape"),
        (["AAAA", "AAAA"], "buffer size must be a multiple"),
        (["*", "*"], "base64"),
        (["AAAAAA=="], "expected 2 results, but found 1"),
    ],
)
def test_vectors_that_are_none_are_told(ask, vectors, said):
    data = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    answer = {"data": data, "system_fingerprint": "s"}
    with misbehaving((200, answer)) as (url, _), pytest.raises(UnexpectedAnswerError, match=said):
        ask(url, "embed", "m", ["x", "y"])


def test_vectors_come_in_the_order_of_their_texts(ask):
    first, second = ({"index": 1, "embedding": "AACAPw=="}, {"index": 0, "embedding": "AAAAAA=="})
    with misbehaving((200, {"data": [first, second], "system_fingerprint": "s"})) as (url, _):
        assert ask(url, "embed", "m", ["x", "y"]).vectors.tolist() == [[0.0], [1.0]]


def test_a_body_that_cannot_be_unpacked_is_told(ask):
    expected = pytest.raises(UnexpectedAnswerError, match="unexpected answer: ")
    with misbehaving((200, b"no gzip", ("Content-Encoding", "gzip"))) as (url, _), expected:
        ask(url, "route", "x")


def test_what_a_server_says_is_told_in_short_and_without_passwords(ask):
    expected = pytest.raises(UnavailableError, match="^http://127.*/v1/route: <html> bad gateway x+ ")
    with misbehaving((502, b"<html>\n  bad gateway " + b"x" * 1000)) as (url, _), expected as failed:
        ask(url.replace("//", "//me:secret@"), "route", "x")
    assert len(str(failed.value)) < 300 and "secret" not in str(failed.value)


def test_addresses_may_have_a_path(ask):
    with misbehaving(RIGHT) as (url, asked):
        ask(f"{url}/prefix/", "route", "x")
    assert asked[0].path == "/prefix/v1/route"

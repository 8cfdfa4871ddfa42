"""A candidate decides a share of the requests, or all of them unseen, and a report says what it would change."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from router_plugin import AsyncDomainRouterClient, DomainRouter, DomainRouterClient, QueryError, Route, ServerError
from router_plugin.client import RefusedError
from router_plugin.server.jsonl_file import JsonlFile
from router_plugin.server.options import ServerOptions
from router_plugin.server.service import Files, Service
from router_plugin.server.versions import champions
from router_plugin.server.versions.report import Example, Row, Side, read_report
from router_plugin.server.versions.trials import read_shares
from tests.router_plugin.server.conftest import running, wait_for
from training import publish

ROUTES = [Route(name="tenancy", utterances=("rent and deposit",)), Route(name="court", utterances=("a judge",))]
QUERIES = [f"question {number} about rent" for number in range(200)]
CANARY = "X-Domain-Router-Canary"


@pytest.fixture
def candidate(store, other_legal):
    """A candidate of the legal domain."""
    return publish(other_legal, store, force=True).name


@pytest.fixture
def serve(store, tmp_path):
    """A function that serves that registry with some options."""
    file = JsonlFile(tmp_path / "shadow.jsonl", "shadow_log")

    def start(logged=False, **options):
        router = DomainRouter(ROUTES, tmp_path / "registry")
        files = Files(shadow=file if logged else None)
        return running(router, ServerOptions(**options), files=files)

    return start


def test_a_share_of_requests_is_decided_by_the_candidate(serve, candidate):
    with serve(canary=("legal=0.2",)) as (url, _), httpx.Client(base_url=url, timeout=20) as client:
        answers = [client.post("/v1/route", json={"query": query}) for query in QUERIES]
        by = [answer.headers.get(CANARY) for answer in answers]
        assert set(by) == {None, candidate}
        assert 20 <= by.count(candidate) <= 60
        for answer, version in zip(answers, by, strict=True):
            if answer.json()["domain"] == "legal":
                assert answer.json()["model_version"] == (version or "legal@1")
        assert [client.post("/v1/route", json={"query": query}).headers.get(CANARY) for query in QUERIES[:20]] == by[
            :20
        ]
        counted = client.get("/metrics").text
        assert f'domain_router_stage_seconds_count{{canary="{candidate}",stage="classify"}}' in counted
        decisions = [line for line in counted.splitlines() if line.startswith("domain_router_decisions_total")]
        assert any(f'canary="{candidate}"' in line for line in decisions)
        embedded = client.post("/v1/embeddings", json={"model": "legal", "input": QUERIES[0]}).json()
        assert embedded["system_fingerprint"].startswith("legal@1-")


def test_clients_may_ask_for_the_candidate_or_the_champions(serve, store, candidate):
    with serve(canary=("legal=0.5",)) as (url, _), httpx.Client(base_url=url, timeout=20) as client:

        def ask(wanted):
            return client.post("/v1/route/batch", json={"queries": QUERIES}, headers={CANARY: wanted})

        assert ask("legal").headers[CANARY] == candidate
        talk = {"query": "and the rent?", "history": [{"role": "user", "content": QUERIES[0]}]}
        assert client.post("/v1/route", json=talk, headers={CANARY: "legal"}).headers[CANARY] == candidate
        assert CANARY not in client.post("/v1/route", json=talk, headers={CANARY: "none"}).headers
        assert CANARY not in ask("none").headers
        assert (ask("medical").status_code, ask("law").status_code) == (400, 400)
        store.promote(candidate)  # and then there is no candidate
        wait_for(lambda: ask("legal").status_code == 400)
        assert CANARY not in client.post("/v1/route", json={"query": "x"}).headers


def weights_in(folder):
    (file,) = folder.rglob("model.safetensors")
    file.chmod(0o644)
    return file


def test_a_candidate_that_cannot_be_loaded_leaves_the_others_and_the_earlier_one(
    serve, store, candidate, tiny_models, other_legal, monkeypatch
):
    monkeypatch.setattr(champions, "RETRY", 0.2)
    damaged = weights_in(store.fetch(store.get(candidate)))
    right = damaged.read_bytes()
    damaged.write_bytes(right[:-1] + b"\0")
    medical = publish(tiny_models["medical"], store, force=True).name
    with serve(canary=("legal=0.5", "medical=0.5")) as (url, _), httpx.Client(base_url=url, timeout=20) as client:

        def decided_by(wanted):
            return client.post("/v1/route", json={"query": "x"}, headers={CANARY: wanted}).headers.get(CANARY)

        def warning():
            return client.get("/health/ready").json()["warning"]

        assert (decided_by("legal"), decided_by("medical")) == (None, medical)
        assert warning() == f"{candidate} could not be loaded: the server's log says why"
        damaged.write_bytes(right)
        wait_for(lambda: decided_by("legal") == candidate)
        wait_for(lambda: warning() is None)
        own = weights_in(other_legal)
        own.write_bytes(own.read_bytes()[:-4] + b"\0\0\0\0")
        after = publish(other_legal, store, force=True)
        weights_in(store.fetch(after)).write_bytes(b"")
        wait_for(lambda: warning() == f"{after.name} could not be loaded: the server's log says why")
        assert decided_by("legal") == candidate


def test_the_python_client_may_ask_for_the_candidate_or_the_champions(serve, candidate):
    async def ask(url, **options):
        async with AsyncDomainRouterClient(url) as client:
            await client.route(QUERIES[0], **options)
            await client.route_many(QUERIES[:9], **options)

    def decided(url, by):
        lines = httpx.get(f"{url}/metrics").text.splitlines()
        found = [
            line for line in lines if line.startswith("domain_router_decisions_total") and f'canary="{by}"' in line
        ]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    with serve(canary=("legal=0.5",)) as (url, _), DomainRouterClient(url) as client:
        client.route(QUERIES[0], canary="legal")
        client.route_many(QUERIES[:9], canary="legal")
        asyncio.run(ask(url, canary="legal"))
        assert (decided(url, candidate), decided(url, "")) == (20, 0)
        client.route(QUERIES[0], canary="none")
        client.route_many(QUERIES[:9], canary="none")
        asyncio.run(ask(url, canary="none"))
        assert (decided(url, candidate), decided(url, "")) == (20, 20)
        with pytest.raises(RefusedError, match="no canary of the domain 'medical'"):
            client.route(QUERIES[0], canary="medical")
        with pytest.raises(QueryError, match="expected the name of a domain"):
            client.route(QUERIES[0], canary="legal\r\nX-Other: 1")


def test_a_candidate_decides_in_the_shadow_and_a_report_says_what_it_would_change(serve, candidate, tmp_path, cli):
    log = tmp_path / "shadow.jsonl"
    with serve(True, shadow=("legal",)) as (url, _):
        answer = httpx.post(f"{url}/v1/route/batch", json={"queries": QUERIES[:30]}, timeout=20)
        assert CANARY not in answer.headers
        wait_for(lambda: len(log.read_text().splitlines()) == 30)
    (found,) = read_report(log)
    assert (found.candidate, found.queries) == (candidate, 30)
    assert sum(each.queries for each in found.differences) == round(30 * (1 - found.same))
    assert [row["champion"]["route"] for row in map(json.loads, log.read_text().splitlines())] == [
        each["route"] for each in answer.json()["decisions"]
    ]
    status, printed, _ = cli("canary", "report", log)
    assert status == 0 and candidate in printed
    assert json.loads(cli("canary", "report", log, "--json")[1])[0]["queries"] == 30


def test_conversations_are_decided_in_the_shadow_as_conversations(serve, candidate, tmp_path, monkeypatch):
    log, route = tmp_path / "shadow.jsonl", DomainRouter.route
    read = []
    monkeypatch.setattr(
        DomainRouter, "route", lambda *asked: read.append((decision := route(*asked)).read_as) or decision
    )
    history = [{"role": "user", "content": QUERIES[0]}]
    with serve(True, shadow=("legal",)) as (url, _):
        httpx.post(f"{url}/v1/route", json={"query": "and if not?", "history": history}, timeout=20)
        wait_for(log.read_text)
    assert json.loads(log.read_text())["query"] == "and if not?"
    assert read == [f"{QUERIES[0]} and if not?"] * 2


def row(number, champion, candidate):
    """A line of a log."""
    sides = [Side(version="v", domain="legal", route=route, confidence=0.5) for route in (champion, candidate)]
    trial = {"candidate_of": "legal", "candidate_version": "legal@2"}
    return Row(time="", query=f"q{number}", champion=sides[0], candidate=sides[1], **trial)


def test_a_report_counts_differences_by_route(tmp_path):
    rows = [row(0, "a", "a"), row(1, "a", "b"), row(2, "a", "b"), row(3, None, "b")]
    (tmp_path / "log").write_text("\n".join(each.model_dump_json() for each in rows))
    (found,) = read_report(tmp_path / "log")
    assert found.same == 0.25
    assert [(each.champion, each.candidate, each.queries) for each in found.differences] == [
        ("a", "b", 2),
        (None, "b", 1),
    ]
    assert found.differences[0].examples == (Example("q1", 0.5, 0.5), Example("q2", 0.5, 0.5))


def test_of_a_large_log_the_end_is_read_from_a_whole_line_on(tmp_path):
    lines = [f"{row(number, 'a', 'b').model_dump_json()}\n" for number in range(9)]
    log, length = tmp_path / "log", len(lines[0])
    log.write_text("".join(lines))
    for most_bytes, queries in ((length, 1), (3 * length - 1, 2), (3 * length, 3), (3 * length + 1, 3), (10**6, 9)):
        assert read_report(log, most_bytes)[0].queries == queries
    with pytest.raises(ServerError, match="no query was decided yet"):
        read_report(log, length - 1)
    log.write_text("".join((*lines, "{}\n", lines[0])))
    with pytest.raises(ServerError, match=f"from byte {8 * length} on, line 2: is not what"):
        read_report(log, 2 * length + 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [(b"", "no query"), (b"{}", "log:1: is not what"), (b"\xff", "log:1: is not what"), (None, "cannot be read")],
)
def test_a_log_that_is_wrong_is_refused(tmp_path, text, said):
    if text is not None:
        (tmp_path / "log").write_bytes(text)
    with pytest.raises(ServerError, match=said):
        read_report(tmp_path / "log")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("medical",), "expected a domain and a share"),
        (("medical=2",), "above 0 and at most 1"),
        (("medical=nan",), "above 0 and at most 1"),
        (("law=0.1",), "unknown domain"),
        (("general=0.1",), "unknown domain"),
        (("medical=0.6", "legal=0.6"), "together 1.2"),
    ],
)
def test_shares_are_checked(given, said):
    with pytest.raises(ServerError, match=said):
        read_shares(given, ("general", "medical", "legal"))


def test_a_shadow_needs_a_log(make_router):
    with pytest.raises(ServerError, match="are used together"):
        Service(make_router(), ServerOptions(shadow=("legal",)), 1)

"""The tools over the Model Context Protocol, as its own client and as the router of vLLM ask for them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from datetime import datetime, timezone
from types import SimpleNamespace
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters

from router_plugin import DomainRouter, Route
from router_plugin.server import app
from router_plugin.server.mcp.categories import Categories
from router_plugin.server.mcp.tools import TOOLS, Tools
from router_plugin.server.options import ServerOptions
from router_plugin.server.service import Service
from router_plugin.server.versions.champions import _by_age
from tests import warm
from tests.conftest import EXAMPLES
from tests.router_plugin.server.conftest import running

QUERY = "what are the side effects of this medicine"
STDIO = ["mcp", "--routes", str(EXAMPLES / "routes.yaml"), "--registry"]
BOTH = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


def with_client(server, ask, mode="auto"):
    """What the standard's own client finds out from a server."""

    async def connected():
        async with Client(server, mode=mode) as client:
            return await ask(client)

    return asyncio.run(connected())


def answered(result):
    """What a tool answered, which it says twice."""
    assert not result.is_error, result
    (content,) = result.content
    assert json.loads(content.text) == result.structured_content
    return result.structured_content


async def every_answer(client):
    """The names of the tools, and an answer of each."""
    names = [tool.name for tool in (await client.list_tools()).tools]
    categories = answered(await client.call_tool("list_categories", {}))
    classified = answered(await client.call_tool("classify_text", {"text": QUERY, "with_probabilities": True}))
    return names, categories, classified, answered(await client.call_tool("route", {"query": QUERY}))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_tools_answer_over_http_what_the_endpoints_answer(client, serving, mode):
    names, categories, classified, decision = with_client(f"{serving[0]}/mcp", every_answer, mode)
    assert names == ["list_categories", "classify_text", "route"]
    scores = {each["label"]: each["score"] for each in client.post("/classify", json={"inputs": QUERY}).json()}
    assert sorted(categories["categories"]) == sorted(scores) == sorted(categories["category_descriptions"])
    assert categories["category_system_prompts"] == {}
    assert dict(zip(categories["categories"], classified["probabilities"], strict=True)) == pytest.approx(scores)
    assert categories["categories"][classified["class"]] == max(scores, key=scores.__getitem__)
    assert classified["confidence"] == pytest.approx(max(scores.values()))
    assert 0 <= classified["entropy"] <= 2
    again = client.post("/v1/route", json={"query": QUERY}).json()
    for each in (decision, again):
        each.pop("timings_ms")
    assert decision == again


@pytest.mark.slow
def test_tools_answer_over_standard_streams(served, over_all):
    command = StdioServerParameters(
        command=str(warm.command("domain-router")), args=[*STDIO, str(served)], env=dict(os.environ)
    )
    names, categories, classified, decision = with_client(command, every_answer)
    assert names == list(TOOLS)
    assert categories["categories"][classified["class"]] == "medical"
    assert decision["query"] == QUERY


@pytest.mark.slow
def test_the_client_of_vllm_gets_answers_over_standard_streams(served):
    """Its frames by mcp-go, which knows no version of the protocol after 2025-06-18; nothing else is printed."""
    frames = [
        '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"","clientInfo":{"name":"",'
        '"version":""},"capabilities":{}}}',
        '{"jsonrpc":"2.0","method":"notifications/initialized","params":{}}',
        '{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}',
        '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"classify_text","arguments":{"text":"loan"}}}',
    ]
    command = [str(warm.command("domain-router")), *STDIO, str(served)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write("\n".join(frames) + "\n")
        process.stdin.flush()
        initialized, listed, called = (json.loads(process.stdout.readline()) for _ in range(3))
        rest, _ = process.communicate()
    assert initialized["result"]["protocolVersion"] == "2024-11-05"
    assert [tool["name"] for tool in listed["result"]["tools"]] == list(TOOLS)
    assert json.loads(called["result"]["content"][0]["text"])["class"] in range(4)
    assert (rest, process.returncode) == ("", 0)


def test_what_cannot_be_answered_is_told_to_the_model(serving, monkeypatch):
    def failing(*_, **__):
        raise RuntimeError("secret detail")

    async def told(client):
        calls = [("route", {"query": "x" * 20_001}), ("route", {"text": QUERY}), ("route", {"query": QUERY})]
        found = [await client.call_tool(*call) for call in calls]
        assert all(each.is_error for each in found)
        with pytest.raises(MCPError, match="unknown tool 'rout': expected list_categories, classify_text, route"):
            await client.call_tool("rout", {})
        return [each.content[0].text for each in found]

    monkeypatch.setattr(serving[1].router, "route_many", failing)
    assert with_client(f"{serving[0]}/mcp", told) == [
        "the texts of a request have together at most 20000 characters",
        "route: query: Field required",
        "internal error: the server's log says more",
    ]


def rpc(client, method, headers=None, **params):
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return client.post("/mcp", json=body, headers={**BOTH, **(headers or {})})


def test_requests_end_in_time_without_a_session(client, serving, monkeypatch):
    assert client.get("/mcp", headers={"Accept": "text/event-stream"}).status_code == 405
    assert client.delete("/mcp").status_code == 405
    found = rpc(client, "tools/list")
    assert found.headers["content-type"] == "application/json" and "mcp-session-id" not in found.headers
    assert 'domain_router_requests_total{path="/mcp",status="200"}' in client.get("/metrics").text

    monkeypatch.setattr(serving[1].batcher, "_free", 0)
    found = rpc(client, "tools/call", {"X-Request-Timeout": "0.05"}, name="route", arguments={"query": "late"})
    assert (found.status_code, found.json()["error"]["message"]) == (504, "the request took longer than 0.05 s")
    monkeypatch.undo()
    route_many, asked = serving[1].router.route_many, []
    monkeypatch.setattr(
        serving[1].router, "route_many", lambda texts, **state: asked.extend(texts) or route_many(texts, **state)
    )
    assert rpc(client, "tools/call", name="route", arguments={"query": QUERY}).status_code == 200
    assert asked == [QUERY]


def test_pages_of_other_sites_are_refused_where_no_key_is_needed(client, serving):
    assert rpc(client, "ping", {"Host": "localhost"}).status_code == 200
    assert rpc(client, "ping", {"Origin": "http://localhost:3000"}).status_code == 200
    assert rpc(client, "ping", {"Host": "rebound.example"}).status_code == 421
    assert rpc(client, "ping", {"Origin": "https://other.example"}).status_code == 403


def test_with_keys_the_server_may_have_any_name(served_domains):
    from router_plugin.server.protection.keys import Keys

    keys, secret = Keys().with_new("agent", ("route",))
    router = DomainRouter.over(served_domains, [Route(name="any", utterances=("anything",))])
    with running(router, keys=keys) as (url, _), httpx.Client(base_url=url, timeout=20) as client:
        refused = rpc(client, "ping", {"Host": "router.example"})
        assert refused.status_code == 401 and refused.json()["jsonrpc"] == "2.0"
        assert rpc(client, "ping", {"Host": "router.example", "Authorization": f"Bearer {secret}"}).status_code == 200


def test_without_the_library_there_is_the_dialect_only(served_domains, monkeypatch):
    monkeypatch.setattr(app, "find_spec", lambda _: None)
    built = app.create_app(Service(DomainRouter.over(served_domains, []), ServerOptions(console=False), 1))
    assert built._app._app._app.url_path_for("call_tool") == "/mcp/vsr/tools/call"
    assert not any(getattr(route, "path", "") == "/mcp" for route in built._app._app._app.routes)


def test_the_command_says_what_is_not_installed(cli, monkeypatch):
    monkeypatch.setattr("router_plugin.cli.opening.find_spec", lambda _: None)
    for command in ("mcp", "serve"):
        status, _, error = cli(command)
        assert status == 2 and f"pip install 'domain-router[{command.replace('serve', 'server')}]'" in error


def dialect(client, method, body):
    """What the client of vLLM's router gets for the bytes that it sends."""
    headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "Go-http-client/1.1"}
    answer = client.post(f"/mcp/vsr/{method}", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_client_of_vllm_gets_answers_over_http(client):
    hello = (
        b'{"method":"","params":{"protocolVersion":"2024-11-05","capabilities":{"roots":{}},'
        b'"clientInfo":{"name":"http-mcp-client","version":"1.0.0"}}}'
    )
    assert dialect(client, "initialize", hello)["protocolVersion"] == "2024-11-05"
    nothing = b'{"method":"","params":{}}'
    tools = dialect(client, "tools/list", nothing)["tools"]
    assert [tool["name"] for tool in tools] == list(TOOLS)
    assert all(tool["inputSchema"]["type"] == "object" and tool["description"] for tool in tools)
    assert dialect(client, "resources/list", nothing) == {"resources": []}
    assert dialect(client, "prompts/list", nothing) == {"prompts": []}
    assert dialect(client, "ping", b"") == {}

    listed = dialect(client, "tools/call", b'{"method":"","params":{"name":"list_categories","arguments":{}}}')
    categories = json.loads(listed["content"][0]["text"])["categories"]
    arguments = json.dumps({"text": QUERY, "with_probabilities": True}).encode()
    body = b'{"method":"","params":{"name":"classify_text","arguments":' + arguments + b"}}"
    called = dialect(client, "tools/call", body)
    assert called["content"][0]["type"] == "text" and called["isError"] is False
    classified = json.loads(called["content"][0]["text"])
    assert categories[classified["class"]] == "medical"
    assert len(classified["probabilities"]) == len(categories)
    assert sum(classified["probabilities"]) == pytest.approx(1)


def test_the_dialect_refuses_with_a_status(client, serving, monkeypatch):
    def status(**params):
        return client.post("/mcp/vsr/tools/call", json={"params": params}).status_code

    assert status(name="rout", arguments={}) == 404
    assert status(name="route", arguments={"text": QUERY}) == 400
    assert status(name="route", arguments={"query": "x" * 20_001}) == 422
    assert status(arguments={}) == 400
    assert client.post("/mcp/vsr/resources/read", json={}).status_code == 404
    monkeypatch.setattr(serving[1].batcher, "_max_waiting", 0)
    assert status(name="route", arguments={"query": QUERY}) == 429


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from([*TOOLS, "text", "with_probabilities", "query"]) | st.text(max_size=8)
calls = st.fixed_dictionaries(
    {"name": names | values, "arguments": st.dictionaries(names, values, max_size=3) | values},
    optional={"_meta": values, "cursor": values},
)
bodies = values | st.fixed_dictionaries({"method": values, "params": calls | values})
methods = st.sampled_from(["initialize", "tools/list", "tools/call", "resources/list", "prompts/list", "ping"])


@pytest.mark.slow
@settings(max_examples=60)
@given(methods | st.text(min_size=1, max_size=12), bodies.map(json.dumps).map(str.encode) | st.binary(max_size=30))
def test_the_dialect_answers_anything_with_json_and_no_fault_of_ours(client, method, body):
    answer = client.post(f"/mcp/vsr/{quote(method)}", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code < 500, answer.text
    assert isinstance(answer.json(), dict)


requests = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "id": st.integers(0, 9) | values, "method": methods | st.text(max_size=12)},
    optional={"params": calls | values},
)


@pytest.mark.slow
@settings(max_examples=60)
@given((requests | values).map(json.dumps), st.sampled_from([None, "2024-11-05", "2025-11-25", "2026-07-28", "x"]))
def test_the_standard_answers_anything_without_a_fault_of_ours(client, body, version):
    headers = {**BOTH, "MCP-Protocol-Version": version} if version else BOTH
    answer = client.post("/mcp", content=body, headers=headers)
    assert answer.status_code < 500, answer.text


def test_a_domain_keeps_its_index_whatever_comes_and_goes():
    known = Categories()
    assert known.including(["general", "medical"]) == ["general", "medical"]
    assert known.including(["finance", "general", "medical"]) == ["general", "medical", "finance"]
    assert known.including(["general", "law"]) == ["general", "medical", "finance", "law"]
    assert known.including([]) == ["general", "medical", "finance", "law"]


def test_indices_are_in_the_order_of_registration_so_that_a_restart_changes_none(client, served_domains):
    first = sorted(served_domains.champions.values(), key=lambda each: each.created)
    body = b'{"method":"","params":{"name":"list_categories","arguments":{}}}'
    listed = json.loads(dialect(client, "tools/call", body)["content"][0]["text"])["categories"]
    assert listed == ["general", *(each.domain for each in first)]

    def after_a_restart(*names):
        ages = {"medical": 1, "law": 2, "art": 3}
        versions = {
            name: SimpleNamespace(created=datetime.fromtimestamp(age, timezone.utc)) for name, age in ages.items()
        }
        domains = SimpleNamespace(
            champions={name: versions[name] for name in names}, registered=lambda name: versions[name.partition("@")[0]]
        )
        return _by_age(domains, ["general", *sorted(names), "extra"])

    assert after_a_restart("law", "medical") == ["general", "extra", "medical", "law"]
    assert after_a_restart("art", "law", "medical") == ["general", "extra", "medical", "law", "art"]


def test_a_domain_that_is_served_no_more_has_probability_zero():
    async def classify(*_):
        return [served]

    async def by_age(names):
        return names

    state = SimpleNamespace(domains=SimpleNamespace(versions=lambda: {"law": "law@1"}))
    champions = SimpleNamespace(versions=lambda: dict.fromkeys(served, ""), by_age=by_age)
    tools = Tools(SimpleNamespace(classify=classify, champions=champions, router=SimpleNamespace(state=state)))
    served = {"general": 0.25, "medical": 0.75}
    asyncio.run(tools.call("list_categories", {}))
    served = {"law": 0.5, "general": 0.5}
    found = asyncio.run(tools.call("classify_text", {"text": "x", "with_probabilities": True}))
    short = {"class": 0, "confidence": 0.5, "versions": ["law@1"]}
    assert found == {**short, "probabilities": [0.5, 0.0, 0.5], "entropy": 1.0}
    assert asyncio.run(tools.call("list_categories", {}))["categories"] == ["general", "medical", "law"]
    assert asyncio.run(tools.call("classify_text", {"text": "x"})) == short

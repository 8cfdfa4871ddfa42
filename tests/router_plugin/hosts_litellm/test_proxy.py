"""Chat requests to LiteLLM's proxy arrive at the model that our server decides for; embeddings are ours."""

from __future__ import annotations

import socket
import subprocess
import time

import httpx
import pytest
import yaml

from router_plugin import DomainRouter, Route, load_routes
from router_plugin.exports.litellm import CHOOSING, configuration
from router_plugin.exports.litellm_options import LitellmOptions
from tests.conftest import EXAMPLES
from tests.router_plugin.hosts_litellm.conftest import MODELS

pytestmark = pytest.mark.hosts

QUERIES = [
    "my knee swells up after running",
    "can I take ibuprofen together with my blood thinner",
    "what does a high white cell count mean",
    "can I pay back a loan early",
    "what does it cost to hold a fund",
    "zzz qqq",
    "Classify this message: is my loan too dear?",
]


def chat(proxied, messages):
    """The model that a request arrived at, after how many seconds."""
    begun, before = time.monotonic(), len(proxied.llm.asked)
    body = {"model": CHOOSING, "messages": messages}
    answer = httpx.post(f"{proxied.url}/v1/chat/completions", json=body, headers=proxied.headers, timeout=30)
    assert answer.status_code == 200, answer.text
    (asked,) = proxied.llm.asked[before:]
    assert asked["messages"] == messages
    assert f"I am {asked['model']}." in answer.json()["choices"][0]["message"]["content"]
    return asked["model"], time.monotonic() - begun


def user(text):
    return {"role": "user", "content": text}


def decided(proxied, query):
    """The model that our server decides for."""
    asked = {"json": {"query": query}, "headers": proxied.server_headers, "timeout": 30}
    answer = httpx.post(f"{proxied.server_url}/v1/route", **asked)
    return MODELS.get(answer.raise_for_status().json()["route"], "general-model")


def test_each_request_arrives_at_the_model_of_its_route(proxied):
    expected = [decided(proxied, query) for query in QUERIES]
    assert set(expected) == {"general-model", *MODELS.values()}
    assert [chat(proxied, [user(query)])[0] for query in QUERIES] == expected


def test_instructions_parts_and_earlier_messages_do_not_change_the_route(proxied):
    for query in QUERIES[:4]:
        parts = [{"type": "text", "text": query}]
        system = {"role": "system", "content": "You help with loans.\n\nBe short."}
        earlier = [user("what does it cost to hold a fund"), {"role": "assistant", "content": "Not much."}]
        for messages in ([system, user(query)], [user(parts)], [*earlier, user(query)]):
            assert chat(proxied, messages)[0] == decided(proxied, query)


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings_through_the_proxy_are_ours(proxied, encoding):
    body = {"model": "domain-routed", "input": QUERIES, "encoding_format": encoding}
    asked = ((proxied.server_url, proxied.server_headers), (proxied.url, proxied.headers))
    ours, theirs = (
        httpx.post(f"{url}/v1/embeddings", json=body, headers=headers, timeout=30).raise_for_status().json()["data"]
        for url, headers in asked
    )
    assert [each["embedding"] for each in theirs] == [each["embedding"] for each in ours]


CHECK = """
import sys, yaml
from litellm import Router
for path in sys.argv[1:]:
    router = Router(model_list=yaml.safe_load(open(path))["model_list"])
    ((_, strategy),) = [(each.tags, each.strategy) for each in router.complexity_routers["domain-router"]]
    config = strategy.config
    print(config.classifier_type, *config.tier_names(), sep="|")
"""


def test_the_released_router_takes_the_configurations(environment, isolated, served_domains, tmp_path):
    odd = [Route(name=f'a "route": {number} $ \u4e24', utterances=("no: $5 & #6", "on")) for number in range(7)]
    routes = [*load_routes(EXAMPLES / "routes.yaml"), *odd]
    state = DomainRouter.over(served_domains, routes).state
    many = tuple(f"{route.name}=gpt {number}" for number, route in enumerate(odd))
    options = [{"model_refs": many}, {"tiers": "domains", "model": "medical", "model_refs": ("legal=openai/gpt-5",)}]
    files = [tmp_path / "routes.yaml", tmp_path / "domains.yaml"]
    for file, given in zip(files, options, strict=True):
        file.write_text(yaml.safe_dump(configuration(state, LitellmOptions(server="http://x:1", **given))))
    command = [environment / "python", "-c", CHECK, *files]
    done = subprocess.run(command, capture_output=True, text=True, env=isolated, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = "|".join(route.name for route in odd)
    assert done.stdout.splitlines() == [f"oss_classifier|{names}|none", "oss_classifier|legal|general"]


def test_the_default_model_answers_soon_while_the_server_does_not(proxied):
    (query,) = [each for each in QUERIES[:1] if decided(proxied, each) != "general-model"]
    proxied.server.kill()
    proxied.server.wait()
    model, seconds = chat(proxied, [user(query)])
    assert model == "general-model" and seconds < 2
    port = int(proxied.server_url.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):  # takes requests, and answers none
        model, seconds = chat(proxied, [user(query)])
        assert model == "general-model" and 0.9 < seconds < 3
        model, seconds = chat(proxied, [user(query)])  # does not ask again for half a minute
        assert model == "general-model" and seconds < 0.9
    assert "routing to fallback_tier none" in proxied.log.read_text()

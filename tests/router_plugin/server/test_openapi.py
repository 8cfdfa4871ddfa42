"""The OpenAPI document is valid, and describes what every endpoint answers."""

from __future__ import annotations

import json

import httpx
import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from router_plugin.server.protection.access import OPEN

from .test_runs import a_run

QUERY = "what are the side effects of this medicine"
QUESTIONS = {
    "which": {"type": "choice", "criteria": {"medical": None, "legal": None}},
    "whether": {"type": "noul", "instructions": "Is it about health?"},
    "how much": {"type": "score", "criteria": ["rent", QUERY]},
}
TURNS = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": [{"type": "text", "text": "hi"}]}]
RIGHT = [
    ("post", "/v1/route", {"query": QUERY}),
    ("post", "/v1/route", {"query": "", "history": TURNS}),
    ("post", "/v1/route/batch", {"queries": [QUERY, ""]}),
    ("post", "/v1/explain", {"query": QUERY}),
    ("post", "/v1/explain", {"query": "", "limit": 0}),
    ("post", "/v1/feedback", {"query": QUERY, "route": None, "corrected": "medicines"}),
    ("post", "/v1/embeddings", {"model": "medical", "input": QUERY}),
    ("post", "/v1/embeddings", {"model": "domain-routed", "input": [QUERY], "encoding_format": "base64"}),
    ("get", "/v1/models", None),
    ("get", "/v1/models/{name}", None),
    ("post", "/classify", {"inputs": QUERY}),
    ("post", "/classify", {"inputs": [QUERY, ""]}),
    ("post", "/routes/classify", {"inputs": [QUERY]}),
    ("post", "/embed", {"inputs": [QUERY]}),
    ("post", "/v1/systemone", {"state": QUERY, "questions": QUESTIONS}),
    ("post", "/v1/decisions", {"state": TURNS, "model": "any", "questions": QUESTIONS}),
    ("post", "/mcp/vsr/initialize", None),
    ("post", "/mcp/vsr/tools/list", None),
    ("post", "/mcp/vsr/tools/call", {"params": {"name": "route", "arguments": {"query": QUERY}}}),
    ("post", "/mcp/vsr/resources/list", None),
    ("post", "/mcp/vsr/prompts/list", None),
    ("post", "/mcp/vsr/ping", None),
    ("put", "/v1/runs/{id}", a_run()),
    ("put", "/v1/runs/{id}/page", {"html": "<p>report</p>"}),
    ("get", "/health/live", None),
    ("get", "/health/ready", None),
    ("get", "/version", None),
    ("get", "/metrics", None),
]
"""A request that is answered for every endpoint, and for every shape of its answers."""

WRONG = [
    ("post", "/v1/route", {"query": 3}),
    ("post", "/v1/route/batch", {"queries": ["x"] * 51}),
    ("post", "/v1/feedback", {"query": "x", "route": None}),
    ("post", "/v1/embeddings", {"model": "law", "input": "x"}),
    ("post", "/v1/embeddings", {"model": "medical", "input": [1]}),
    ("post", "/classify", {"inputs": []}),
    ("post", "/embed", {"inputs": ["x"] * 51}),
    ("post", "/routes/classify", {}),
    ("post", "/v1/systemone", {"state": "x", "questions": {}}),
    ("post", "/mcp/vsr/tools/call", {"params": {"name": "route", "arguments": {"query": 3}}}),
    ("post", "/mcp/vsr/tools/call", {"params": {"name": "none"}}),
    ("put", "/v1/runs/{id}", {"name": "law"}),
]


@pytest.fixture(scope="module")
def document(serving):
    """The document of a server."""
    return httpx.get(f"{serving[0]}/openapi.json").json()


def closed(schema):
    """A schema in which objects have only the properties that it names."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    only_these = {"additionalProperties": False} if "properties" in schema else {}
    return {name: closed(each) for name, each in schema.items()} | only_these


def check(document, described, value):
    """Make sure that JSON is what the document says of a body."""
    schema = described["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator(closed({**schema, "components": document["components"]}))
    validator.validate(value)


def asked(client, method, path, body):
    return client.request(method, path.replace("{name}", "medical").replace("{id}", "0" * 32), json=body)


def test_the_document_is_valid(document):
    OpenAPIV31SpecValidator(document).validate()
    assert document["info"]["title"] == "domain-router"


def test_the_document_has_every_endpoint_and_each_is_tried(document):
    assert {(method, path) for path, each in document["paths"].items() for method in each} == {
        (method, path) for method, path, _ in RIGHT
    }


def test_the_document_says_which_endpoints_need_a_key(document):
    operations = [(path, each) for path, methods in document["paths"].items() for each in methods.values()]
    assert {path for path, each in operations if "security" not in each} == OPEN - {"/openapi.json"}


@pytest.mark.parametrize(("method", "path", "body"), RIGHT)
def test_answers_are_as_described(client, document, method, path, body):
    operation = document["paths"][path][method]
    if body is not None:
        check(document, operation["requestBody"], body)
    answer = asked(client, method, path, body)
    described = operation["responses"][str(answer.status_code)]
    assert answer.is_success and answer.headers["Content-Type"].partition(";")[0] in described["content"]
    if path != "/metrics":
        check(document, described, answer.json())


@pytest.mark.parametrize(("method", "path", "body"), WRONG)
def test_errors_are_as_described(client, document, method, path, body):
    answer = asked(client, method, path, body)
    assert answer.is_client_error
    check(document, document["paths"][path][method]["responses"][str(answer.status_code)], answer.json())


def test_a_server_that_is_loading_says_so_as_described(client, document, serving, monkeypatch):
    monkeypatch.setattr(serving[1], "ready", False)
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    check(document, document["paths"]["/health/ready"]["get"]["responses"]["503"], answer.json())
    assert json.loads(answer.content)["status"] == "loading"

"""The page of the HTTP API, made of the server's OpenAPI document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from unittest.mock import Mock

from docs_build.markdown import cell, table

INTRODUCTION = """# HTTP API

Every endpoint of `domain-router serve`, and the objects of its requests and answers. This page is generated from the
OpenAPI document, which a server gives at `/openapi.json`. [Serve over HTTP](../serve.md) says what they are for, and
which [keys](../serve.md#keys) they need.
"""


def document() -> dict[str, Any]:
    """The OpenAPI document of the server. No model is loaded, as nothing is asked."""
    from router_plugin.server.app import create_app
    from router_plugin.server.options import ServerOptions

    app: Any = create_app(Mock(options=ServerOptions(console=False)))
    while not hasattr(app, "openapi"):
        app = next(inner for name in ("app", "_app") if (inner := vars(app).get(name)) is not None)
    found: dict[str, Any] = app.openapi()
    return found


def page() -> str:
    """The page, in Markdown."""
    found = document()
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, by in found["paths"].items()
        for method, operation in by.items()
    ]
    usual = _usual(operation for _, operation in operations)
    lines = [INTRODUCTION, "## Errors\n", "What a status means, unless an endpoint says otherwise:\n"]
    lines += [table(("status", "meaning"), [(code, cell(text)) for code, text in usual.items()]), "## Endpoints\n"]
    for name, operation in operations:
        lines += _endpoint(name, operation, usual)
    lines.append("## Objects\n")
    for name, schema in found["components"]["schemas"].items():
        lines += _object(name, schema)
    return "\n".join(lines)


def _usual(operations: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """What each status of an error means for most endpoints."""
    meanings: dict[str, Counter[str]] = {}
    for operation in operations:
        for code, answer in operation["responses"].items():
            if not code.startswith("2"):
                meanings.setdefault(code, Counter())[answer["description"]] += 1
    return {code: meanings[code].most_common(1)[0][0] for code in sorted(meanings)}


def _endpoint(name: str, operation: Mapping[str, Any], usual: Mapping[str, str]) -> Iterator[str]:
    yield f"### {name}\n"
    yield operation.get("description", operation["summary"]).replace("``", "`") + "\n"
    if "security" not in operation:
        yield "Needs no key.\n"
    rows = [(f"`{each['name']}`", each["in"], _type(each["schema"])) for each in operation.get("parameters", ())]
    yield table(("parameter", "in", "type"), rows)
    if "requestBody" in operation:
        yield f"Request: {_bodies(operation['requestBody'])}\n"
    errors: dict[str, list[str]] = {}
    for code, answer in operation["responses"].items():
        if code.startswith("2"):
            yield f"Answer: {_bodies(answer) or answer['description']}\n"
        else:
            special = "" if answer["description"] == usual[code] else f" ({cell(answer['description'])})"
            errors.setdefault(_bodies(answer), []).append(code + special)
    for body, codes in errors.items():
        yield f"Errors: {', '.join(codes)}" + (f", each as {body}\n" if body else "\n")


def _object(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}\n"
    if "description" in schema:
        yield schema["description"].replace("``", "`") + "\n"
    required = schema.get("required", ())
    rows = []
    for field, each in schema.get("properties", {}).items():
        default = "required" if field in required else f"`{each['default']!r}`" if "default" in each else ""
        rows.append((f"`{field}`", _type(each), default, cell(each.get("description", ""))))
    yield table(("field", "type", "default", "meaning"), rows)


def _bodies(each: Mapping[str, Any]) -> str:
    kinds = dict.fromkeys(_type(body.get("schema", {})) for body in each.get("content", {}).values())
    return " or ".join(kinds)


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in words; objects are links to their section."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_type, several)))
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return str(schema.get("type", "any"))

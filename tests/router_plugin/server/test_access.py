"""Every route of the server needs a key with the right scope, but for those that are open to all."""

from __future__ import annotations

import stat

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Mount, Router
from starlette.routing import Route as PlainRoute

from router_plugin import KeysError
from router_plugin.server.app import create_app
from router_plugin.server.options import ServerOptions
from router_plugin.server.protection.access import OPEN, SCOPES, scope_of
from router_plugin.server.protection.keys import Keys, RateLimits
from router_plugin.server.service import Service
from tests.router_plugin.server.conftest import running

SECRETS: dict[str, str] = {}


@pytest.fixture(scope="module")
def keys():
    """A key for each scope, and one that may be used twice a minute."""
    found = Keys()
    for scope in ("route", "embed", "train", "admin"):
        found, SECRETS[scope] = found.with_new(scope, (scope,))
    found, SECRETS["seldom"] = found.with_new("seldom", ("admin",), requests_per_minute=2)
    return found


@pytest.fixture(scope="module")
def guarded(served_domains, keys):
    """A client of a server that knows those keys."""
    from router_plugin import DomainRouter, Route

    router = DomainRouter.over(served_domains, [Route(name="any", utterances=("anything",))])
    with running(router, keys=keys) as (url, _), httpx.Client(base_url=url, timeout=20) as client:
        yield client


def routes_of(app, prefix="") -> list[tuple[str, str]]:
    """Method and path of all routes of an application: those of included routers and of mounted applications too.

    A mounted application that does not say what its routes are may answer anything below its path.
    """
    found = []
    for route in app.routes:
        included = getattr(route, "original_router", None)
        path = prefix + getattr(route, "path", "")
        if included is not None:
            found += routes_of(included, prefix)
        elif isinstance(route, Mount):
            found += routes_of(route, path) if route.routes else [("POST", f"{path}/any")]
        else:
            found += [(method, path) for method in sorted(route.methods or {"POST"})]
    return found


def every_route(served_domains):
    """Method and path of all routes of a server."""
    from router_plugin import DomainRouter

    app = create_app(Service(DomainRouter.over(served_domains, []), ServerOptions(console=False), 1))
    return routes_of(app._app._app._app)


def ask(guarded, method, path, secret=None):
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return guarded.request(method, path.replace("{name}", "medical"), headers=headers, json={}).status_code


def test_every_route_refuses_no_key_a_wrong_key_and_an_insufficient_key(guarded, served_domains):
    every = every_route(served_domains)
    paths = {path for _, path in every}
    assert paths >= {*OPEN, "/metrics"}
    assert all(any(f"{path}/".startswith(f"{each}/") for path in paths) for each in SCOPES)
    for method, path in every:
        if path in OPEN:
            assert ask(guarded, method, path) == 200
            continue
        insufficient = "embed" if scope_of(path) != "embed" else "route"
        assert ask(guarded, method, path) == 401, path
        assert ask(guarded, method, path, "dr-wrong") == 401, path
        assert ask(guarded, method, path, SECRETS[insufficient]) == 403, path
        for enough in (scope_of(path), "admin"):
            assert ask(guarded, method, path, SECRETS[enough]) in (200, 400, 404, 405, 422), path


def test_no_route_is_overlooked():
    def answer(*_): ...

    inner = Router([PlainRoute("/in", answer, methods=["PUT"]), Mount("/opaque", answer)])
    app = FastAPI(routes=[Mount("/mounted", inner), PlainRoute("/any", Router())], openapi_url=None)
    assert routes_of(app) == [("PUT", "/mounted/in"), ("POST", "/mounted/opaque/any"), ("POST", "/any")]


@pytest.mark.parametrize("path", ["/v1/route/", "//v1/route", "/V1/route", "/v1/route%2e", "/v1/../metrics", "/debug"])
def test_a_path_that_is_not_listed_needs_a_key(guarded, path):
    assert guarded.post(path, json={"query": "x"}).status_code == 401
    assert guarded.post(path, json={"query": "x"}, headers={"Authorization": f"Basic {SECRETS['admin']}"}).status_code


def test_a_key_can_be_used_as_often_as_it_may(guarded):
    found = [ask(guarded, "GET", "/v1/models", SECRETS["seldom"]) for _ in range(3)]
    assert found == [200, 200, 429]
    refused = guarded.get("/v1/models", headers={"Authorization": f"Bearer {SECRETS['seldom']}"})
    assert 1 <= int(refused.headers["Retry-After"]) <= 30


def test_requests_come_back_evenly(keys):
    (key,) = (each for each in keys.keys if each.name == "seldom")
    limits = RateLimits()
    assert [limits.wait(key, now) for now in (0, 0, 0, 29, 30, 31)] == pytest.approx([0, 0, 30, 1, 0, 29])


def test_a_file_of_keys_holds_no_key(keys, tmp_path):
    keys.save(tmp_path / "keys.json")
    assert Keys.load(tmp_path / "keys.json") == keys
    assert not any(secret in (tmp_path / "keys.json").read_text() for secret in SECRETS.values())
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert keys.find(SECRETS["route"]).name == "route"
    assert keys.without("route").find(SECRETS["route"]) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "cannot be read"), ("{", "is not what"), ('{"keys": [{"name": "a"}]}', "digest"), (b"\xff", "not UTF-8")],
)
def test_a_file_of_keys_that_is_wrong_is_refused(tmp_path, text, said):
    path = tmp_path / "keys.json"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(KeysError, match=said):
        Keys.load(path)


def test_names_of_keys_are_checked(keys):
    for name in ("route", "", "../x", "a b"):
        with pytest.raises(KeysError, match="name"):
            keys.with_new(name, ("route",))
    with pytest.raises(KeysError, match="unknown key"):
        keys.without("nobody")


def test_keys_are_managed_from_the_command_line(cli, tmp_path):
    file = tmp_path / "keys.json"
    status, said, _ = cli("keys", "add", "gateway", "--scope", "embed", "--file", file)
    secret = said.splitlines()[-1]
    assert (status, Keys.load(file).find(secret).name) == (0, "gateway")
    assert "shown only now" in said
    assert cli("keys", "add", "gateway", "--file", file)[0] == 2
    assert cli("keys", "add", "other", "--scope", "root", "--file", file)[0] == 2
    assert "gateway" in cli("keys", "list", "--file", file)[1]
    assert secret not in cli("keys", "list", "--json", "--file", file)[1]
    assert cli("keys", "remove", "gateway", "--file", file)[0] == 0
    assert cli("keys", "remove", "gateway", "--file", file)[0] == 2


def test_plugins_routes_need_the_scope_of_an_administrator():
    assert scope_of("/plugin") == scope_of("/") == scope_of("") == "admin"
    assert scope_of("/v1/models/medical") == "embed"

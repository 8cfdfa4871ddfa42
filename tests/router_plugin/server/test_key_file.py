"""Keys are added and revoked while a server runs, and a file of keys that is broken changes nothing."""

from __future__ import annotations

import logging

import httpx
import pytest

from router_plugin import DomainRouter, KeysError, Route
from router_plugin.server.options import ServerOptions
from router_plugin.server.protection.key_file import KeyFile
from router_plugin.server.protection.keys import Keys
from tests.router_plugin.server.conftest import running, wait_for


@pytest.fixture
def file(tmp_path):
    """A file with the key ``first``, and that key."""
    keys, secret = Keys().with_new("first", ("route",))
    keys.save(tmp_path / "keys.json")
    return tmp_path / "keys.json", secret


@pytest.fixture
def guarded(served_domains, file):
    """A client of a server that follows the file."""
    router = DomainRouter.over(served_domains, [Route(name="any", utterances=("anything",))])
    with (
        running(router, ServerOptions(reload_s=0.05), keys=file[0]) as (url, _),
        httpx.Client(base_url=url, timeout=20) as client,
    ):
        yield client


def status(client, secret):
    headers = {"Authorization": f"Bearer {secret}"}
    return client.post("/v1/route", json={"query": "hello"}, headers=headers).status_code


def test_keys_are_added_and_revoked_while_the_server_runs(guarded, file, cli):
    path, first = file
    second = cli("keys", "add", "second", "--scope", "route", "--file", path)[1].splitlines()[-1]
    wait_for(lambda: status(guarded, second) == 200)
    assert status(guarded, first) == 200
    cli("keys", "remove", "first", "--file", path)
    wait_for(lambda: status(guarded, first) == 401)
    assert status(guarded, second) == 200
    assert guarded.get("/health/ready").json() == {"status": "ready", "warning": None}


def test_a_broken_file_leaves_the_earlier_keys_valid_and_is_reported(guarded, file):
    path, first = file
    whole = path.read_bytes()
    for broken in (b"{", None):
        if broken is None:
            path.unlink()
        else:
            path.write_bytes(broken)
        wait_for(lambda: guarded.get("/health/ready").json()["warning"])
        warning = guarded.get("/health/ready").json()["warning"]
        assert warning == "changed keys could not be loaded: the server's log says why"
        assert (status(guarded, first), status(guarded, "dr-other")) == (200, 401)
        path.write_bytes(whole)
        wait_for(lambda: guarded.get("/health/ready").json()["warning"] is None)
        assert status(guarded, first) == 200


def test_a_fault_is_logged_once(file, caplog):
    path, first = file
    keys = KeyFile(path)
    path.write_text("{")
    with caplog.at_level(logging.ERROR):
        keys.look()
        keys.look()
    assert len(caplog.records) == 1 and str(path) in caplog.text
    assert keys.find(first).name == "first" and "is not what" in keys.fault


def test_a_server_does_not_start_with_a_broken_file(tmp_path):
    with pytest.raises(KeysError, match="cannot be read"):
        KeyFile(tmp_path / "keys.json")

"""Webhooks on the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from registry import Registry
from tests.registry.samples import make_record, write_model
from tests.registry.webhooks.receiver import receiving, wait_until

SECRET = "a shared secret"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry of its own, named by the environment."""
    monkeypatch.setenv("DOMAIN_ROUTER_REGISTRY", str(tmp_path / "registry"))
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    store = Registry.open()
    for number in (1, 2):
        store.publish(write_model(tmp_path / str(number), str(number)), make_record())
    store.close()
    return tmp_path


def test_a_webhook_is_added_listed_tried_told_and_removed(cli: Any, own: Path) -> None:
    with receiving() as receiver:
        added = cli("models", "webhooks", "add", "index", receiver.url, "--secret-variable", "HOOK_SECRET", "--json")
        assert added[0] == 0 and json.loads(added[1])["events"] == sorted(
            ["version-published", "alias-moved", "vector-space-changed"]
        )
        assert receiver.url in cli("models", "webhooks", "list")[1]
        assert "status 204" in cli("models", "webhooks", "test", "index")[1]
        assert cli("models", "promote", "medical@2")[0] == 0
        wait_until(lambda: len(receiver.came) >= 3)
        log = json.loads(cli("models", "webhooks", "deliveries", "--json")[1])
        assert {each["event"]["event"] for each in log} >= {"test", "alias-moved", "vector-space-changed"}
        assert "0 delivered, 0 failed" in cli("models", "webhooks", "deliver")[1]
        assert cli("models", "webhooks", "remove", "index")[0] == 0
        assert json.loads(cli("models", "webhooks", "list", "--json")[1]) == []
        assert "delivered" in cli("models", "webhooks", "deliveries")[1]


def test_a_test_that_is_not_taken_ends_with_1(cli: Any, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(500) as receiver:
        cli("models", "webhooks", "add", "index", receiver.url, "--secret-variable", "HOOK_SECRET")
        assert cli("models", "webhooks", "test", "index")[0] == 1
        monkeypatch.delenv("HOOK_SECRET")
        code, out, _ = cli("models", "webhooks", "test", "index")
        assert code == 1 and "not set" in out


@pytest.mark.parametrize("arguments", [("index", "ftp://x"), ("../x", "http://x"), ("index", "http://a:b@x")])
def test_a_mistake_is_one_line(cli: Any, own: Path, arguments: tuple[str, str]) -> None:
    code, _, err = cli("models", "webhooks", "add", *arguments, "--secret-variable", "HOOK_SECRET")
    assert code == 2 and err.count("\n") == 1 and "a:b" not in err


@pytest.mark.slow
def test_a_process_that_watches_sends_what_others_could_not(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys; sys.argv[0] = 'domain-router'; from router_plugin.cli import main; main()"
    command = [sys.executable, "-c", code, "models", "webhooks", "deliver", "--watch"]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    monkeypatch.delenv("HOOK_SECRET")
    try:
        with receiving() as receiver:
            store = Registry.open()
            store.webhooks.add("index", receiver.url, "HOOK_SECRET", ["vector-space-changed"])
            store.promote("medical@2")
            wait_until(lambda: receiver.came, 40)
            store.close()
    finally:
        watching.send_signal(signal.SIGTERM)
        out, err = watching.communicate(timeout=30)
    assert watching.returncode == 0, err
    assert "1 delivered" in out

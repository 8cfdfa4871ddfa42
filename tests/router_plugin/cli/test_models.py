"""``domain-router models``: promotion by a policy, history, differences, policies and keys on the command line."""

from __future__ import annotations

import json

import pytest

from registry import Registry
from tests.registry.gates.samples import publish, steady
from tests.router_plugin.cli.test_cli import mistake


@pytest.fixture
def store(tmp_path):
    """The options that name a registry with two versions of medical, the second of which is a little worse."""
    registry = Registry.open(str(tmp_path / "registry"))
    for value in (0.8, 0.7):
        publish(registry, tmp_path, steady(value))
    registry.close()
    (tmp_path / "policy.yaml").write_text("guards: true\nmetrics: [{test_set: test, lower_bound: -0.01}]\n")
    return ("--registry", tmp_path / "registry")


def test_promote_prints_every_verdict_and_moves_nothing_where_one_fails(cli, store, tmp_path):
    assert cli("models", "policy", "set", tmp_path / "policy.yaml", "--domain", "medical", *store)[0] == 0
    for command in ("gate", "promote"):
        status, out, err = cli("models", command, "medical", *store)
        assert status == 2
        lines = out.splitlines()
        assert lines[0].startswith("FAILED  metrics test mrr@5: -0.1000 against the champion medical@1")
        assert lines[1].startswith("passed  guards: ")
        assert ("--force and --why" in err) == (command == "promote")
    status, out, _ = cli("models", "promote", "medical", "--json", *store)
    assert status == 2 and [line["passed"] for line in json.loads(out)["verdicts"]] == [False, True]
    mistake(cli("models", "promote", "medical", "--force", *store), "--force needs --why")
    assert json.loads(cli("models", "show", "medical", *store, "--json")[1])["version"] == 1
    status, out, _ = cli("models", "promote", "medical", "--force", "--why", "better on doses", *store)
    assert status == 0 and "promoted by force" in out and "medical@2 is the champion" in out
    status, out, _ = cli("models", "history", "medical", "--alias", "champion", *store)
    assert status == 0 and "better on doses" in out and "1 of 2 passed, forced" in out
    assert "medical@2 was forced against metrics test mrr@5" in out
    last = json.loads(cli("models", "history", "medical", *store, "--json")[1])[-2]
    assert (last["previous"], last["version"], last["forced"], len(last["gate"])) == (1, 2, True, 2)


def test_the_history_is_asked_for_a_time(cli, store):
    status, out, _ = cli("models", "at", "medical", "2020-01-01T12:00", *store)
    assert status == 0 and out == "at 2020-01-01 12:00:00 UTC medical had no alias\n"
    status, out, _ = cli("models", "at", "medical", "2999-01-01T12:00+01:00", *store, "--json")
    assert json.loads(out) == {
        "time": "2999-01-01T11:00:00+00:00",
        "aliases": {"champion": 1, "candidate": 2},
    }
    for time in ("yesterday", "", "12:00", "9999-99-99", "0001-01-01T00:00+23:00"):
        mistake(cli("models", "at", "medical", time, *store), "expected a date and time, like 2026-11-01T12:00")


def test_versions_are_compared(cli, store):
    status, out, _ = cli("models", "diff", "medical@1", "medical@2", *store)
    assert status == 0 and "query_metrics.json" in out and "model.safetensors" in out and "real-questions" in out
    found = json.loads(cli("models", "diff", "medical@1", "medical@2", *store, "--json")[1])
    assert found["options"] == {} and set(found["files"]) == {"query_metrics.json", "model.safetensors"}
    mistake(cli("models", "diff", "medical@1", "medical@9", *store), "unknown model medical@9")


def test_a_key_is_shown_once_and_taken_from_a_file_or_the_environment(cli, store, tmp_path, monkeypatch):
    status, key, err = cli("models", "keys", "add", "release", *store)
    assert status == 0 and len(key.split()) == 1 and "shown only now" in err
    (tmp_path / "key").write_text(key)
    (tmp_path / "policy.yaml").write_text("protected: {champion: {key: release}}\n")
    assert cli("models", "policy", "set", tmp_path / "policy.yaml", *store)[0] == 0
    assert "champion" in cli("models", "policy", "show", "--domain", "medical", *store)[1]
    assert key.strip() not in cli("models", "keys", "list", "--json", *store)[1]
    mistake(cli("models", "promote", "medical", *store), "protected by the key release", "DOMAIN_ROUTER_PROMOTE_KEY")
    mistake(cli("models", "promote", "medical", "--key-file", tmp_path / "none", *store), "key cannot be read")
    assert cli("models", "promote", "medical", "--key-file", tmp_path / "key", *store)[0] == 0
    mistake(cli("models", "policy", "remove", *store), "protected by the key")
    mistake(cli("models", "keys", "remove", "release", *store), "names the key release")
    monkeypatch.setenv("DOMAIN_ROUTER_PROMOTE_KEY", key.strip())
    assert cli("models", "rollback", "medical", "--why", "wrong on doses", *store)[0] == 0
    assert cli("models", "policy", "remove", *store)[1] == "removed policy of the registry\n"
    assert cli("models", "policy", "remove", *store)[1] == "there is no policy of the registry\n"
    assert "no policy" in cli("models", "policy", "show", *store)[1]
    assert cli("models", "keys", "remove", "release", *store)[0] == 0


def test_a_mistake_in_a_policy_changes_nothing(cli, store, tmp_path):
    (tmp_path / "policy.yaml").write_text("guard: true\n")
    mistake(
        cli("models", "policy", "set", tmp_path / "policy.yaml", *store), "policy.yaml, line 1: guard: unknown rule"
    )
    assert json.loads(cli("models", "policy", "show", "--json", *store)[1]) == []

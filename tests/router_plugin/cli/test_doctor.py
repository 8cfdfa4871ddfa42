"""``doctor``: what it finds on healthy and on broken machines, and that it never fails itself or shows a secret."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections import namedtuple

import pytest

from router_plugin.cli.health import devices, findings, key_files, packages, places


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """A working folder and a home of its own, and no torch in another process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(devices, "devices", lambda: devices._described(CPU))


CPU = {"cuda": [], "built_for": None, "mps": False, "threads": 4, "bfloat16": True}


@pytest.fixture
def doctor(cli):
    """A function that runs it; returns the exit status and the findings by check."""

    def run(*arguments):
        status, out, err = cli("doctor", *arguments, "--json")
        assert err == ""
        return status, {each["check"]: (each["state"], each["found"], each["advice"]) for each in json.loads(out)}

    return run


def test_a_healthy_machine_has_no_fault(doctor, cli, served):
    status, found = doctor("--registry", served)
    assert status == 0 and not [each for each in found.values() if each[0] == "fault"]
    assert found["versions"][1] == "3; champions: finance@1, legal@1, medical@1"
    assert found["artifacts"][0] == found["packages"][0] == "ok"
    status, out, _ = cli("doctor", "--registry", served)
    assert status == 0 and "0 faults" in out and "device cpu" in out


def test_nothing_is_made_by_looking(doctor, tmp_path):
    status, found = doctor()
    assert status == 0 and "nothing is registered yet" in found["registry"][1]
    assert "made when it is needed" in found["home"][1] and not (tmp_path / "home").exists()


def test_missing_artifacts_are_a_fault_and_unused_ones_a_warning(doctor, served, tmp_path):
    own = shutil.copytree(served, tmp_path / "registry")
    first, second, _ = sorted(path for path in own.glob("artifacts/*") if len(path.name) == 64)
    shutil.move(first, first.with_name("f" * 64))
    status, found = doctor("--registry", own)
    assert status == 1 and found["artifacts"][:2] == ("fault", found["artifacts"][1])
    assert "@1" in found["artifacts"][1] and "models verify" in found["artifacts"][2]
    assert found["unused files"][0] == "warning" and second.exists()


def test_older_and_newer_tables_are_not_touched(doctor, served, tmp_path):
    own = shutil.copytree(served, tmp_path / "registry")
    for version, state in (("0001", "warning"), ("9999", "fault")):
        with sqlite3.connect(own / "registry.db") as database:
            database.execute("UPDATE alembic_version SET version_num = ?", (version,))
        database.close()
        assert doctor("--registry", own)[1]["registry"][0] == state
        with sqlite3.connect(own / "registry.db") as database:
            assert database.execute("SELECT version_num FROM alembic_version").fetchone() == (version,)
        database.close()


@pytest.mark.parametrize("url", ["postgresql+psycopg://me:hidden@127.0.0.1:1/x?artifacts=/y", "what://me:hidden@x/y"])
def test_a_registry_that_cannot_be_reached_is_a_fault_without_its_password(doctor, cli, url):
    status, found = doctor("--registry", url)
    assert status == 1 and found["registry"][0] == "fault"
    assert "hidden" not in str(found) and "hidden" not in "".join(map(str, cli("doctor", "--registry", url)))


def test_a_damaged_database_is_a_fault_and_no_traceback(doctor, tmp_path):
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "registry.db").write_bytes(b"no database" * 1000)
    status, found = doctor("--registry", tmp_path / "registry")
    assert status == 1 and found["registry"][0] == "fault"


def test_an_error_of_a_check_is_its_finding():
    def check():
        yield findings.Finding("a", "ok", "fine")
        raise RuntimeError("first\nsecond")

    found = list(findings.findings_of("checked", check))
    assert [(each.check, each.state, each.found) for each in found] == [
        ("a", "ok", "fine"),
        ("checked", "fault", "first"),
    ]


def test_packages_that_are_missing_or_old(monkeypatch):
    asked = ["real>=2", "absent; extra == 'one'", "real>=9; extra == 'two'", "domain-router[one]; extra == 'three'"]
    monkeypatch.setattr(packages, "requires", lambda _: asked)

    def version(name):
        if name == "absent":
            raise packages.PackageNotFoundError(name)
        return {"real": "1.5"}.get(name, "0")

    monkeypatch.setattr(packages, "version", version)
    monkeypatch.setattr(packages, "metadata", lambda _: FakeMetadata())
    assert [(each.state, each.found) for each in packages.core()] == [("fault", "real is 1.5, and >=2 is required")]
    found = {each.check: (each.state, each.found, each.advice) for each in packages.extras()}
    install = "if you need it: pip install 'domain-router[{}]'".format
    assert found == {
        "extra one": ("ok", "absent is not installed", install("one")),
        "extra three": ("ok", "absent is not installed", install("three")),
        "extra two": ("warning", "real is 1.5, and >=9 is required", "pip install 'domain-router[two]'"),
    }
    assert next(packages.python()).state == "fault"


class FakeMetadata(dict):
    def __init__(self):
        super().__init__({"Requires-Python": ">=99"})

    def get_all(self, _):
        return ["two", "one", "three", "dev"]


def test_devices_are_described(monkeypatch):
    found = list(devices._described({**CPU, "cuda": [["H100", 80e9, True]], "mps": True, "bfloat16": False}))
    assert [(each.check, each.found) for each in found] == [
        ("device cuda:0", "H100, 80.0 GB, bfloat16"),
        ("device mps", "Apple GPU"),
        ("device cpu", "4 threads, no bfloat16"),
    ]
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    assert next(devices._described(CPU)).state == "warning"


@pytest.mark.slow
def test_torch_is_asked_in_a_process_of_its_own(monkeypatch):
    monkeypatch.undo()
    assert {each.state for each in devices.devices()} <= {"ok", "warning"}
    monkeypatch.setattr(devices, "_ASK", "import sys; sys.exit('no driver')")
    (found,) = devices.devices()
    assert (found.state, found.found) == ("fault", "torch cannot be used: no driver")
    monkeypatch.setattr(devices, "_ASK", "import time; time.sleep(9)")
    monkeypatch.setattr(devices, "SECONDS", 0.1)
    assert next(devices.devices()).state == "fault"


def test_key_files_that_others_may_read_or_change(tmp_path, monkeypatch):
    (tmp_path / "keys.json").write_text("secret")
    (tmp_path / "key.pem").write_text("public")
    monkeypatch.setenv("DOMAIN_ROUTER_TRUSTED_KEYS", str(tmp_path / "key.pem"))
    for keys, pem, states in ((0o600, 0o644, ["ok", "ok"]), (0o644, 0o666, ["warning", "warning"])):
        (tmp_path / "keys.json").chmod(keys)
        (tmp_path / "key.pem").chmod(pem)
        found = list(key_files.key_files())
        assert [each.state for each in found] == states
        assert "secret" not in str(found)
    assert [each.advice for each in found] == ["chmod 600 keys.json", f"chmod 644 {tmp_path / 'key.pem'}"]


def test_places(tmp_path, monkeypatch):
    cache = tmp_path / "home" / "cache" / "candidates"
    cache.mkdir(parents=True)
    (cache / "kept").write_bytes(b"x" * 2000)
    found = {each.check: each for each in places.home()}
    assert found["cache"].found.startswith("2.0 kB in ") and found["home"].state == "ok"
    (tmp_path / "file").touch()
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "file" / "home"))
    assert next(places.home()).state == "fault"
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert next(places.home()).state == "warning"
    for free, state in ((1e12, "ok"), (1e9, "warning"), (1e6, "fault")):
        usage = namedtuple("usage", "free")(free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
        assert {each.state for each in places.disk()} == {state}
    assert [findings.in_units(size) for size in (999, 1000, 2.5e6, 3e12)] == [
        "999 bytes",
        "1.0 kB",
        "2.5 MB",
        "3000.0 GB",
    ]


def test_a_home_that_is_no_folders_name_is_a_fault(doctor, monkeypatch):
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", "https://example.com")
    status, found = doctor()
    assert status == 1 and found["home"][0] == found["disk"][0] == found["registry"][0] == "fault"

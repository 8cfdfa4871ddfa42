"""A router in its process: forks, copies, devices, the time that loading takes, and names of other people's files."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from router_plugin import CopyError, DomainRouter, JointSpace, Route, ServedDomains, Settings, SettingsError, Tuner
from router_plugin.encoders.pool import EncoderPool
from router_plugin.errors import ForkedError
from router_plugin.serving import domains
from tests import warm
from tests.conftest import ROOT

ROUTES = [Route(name="human", utterances=("let me talk to a person", "call me"), threshold=-1)]

FORKING = """
import json, multiprocessing, os, sys
import torch
from router_plugin import DomainRouter, Route

torch.set_num_threads(2)

def ask(query):
    try:
        return router.route(query).route
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def ask_another(query):
    with DomainRouter(routes, sys.argv[1]) as other:
        return other.route(query).route

def in_a_fork(task):
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map_async(task, ["please call me at night"]).get(60)[0]

routes = [Route(name="human", utterances=("let me talk to a person", "call me"), threshold=-1)]
router = DomainRouter(routes, sys.argv[1], base_model=sys.argv[2])
loaded = bool(router.loaded)
answers = {"unused": in_a_fork(ask), "here": ask("call me now"), "used": in_a_fork(ask)}
answers["another"] = in_a_fork(ask_another)
print(json.dumps({**answers, "after": ask("call me later"), "loaded": loaded}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no forks")
def test_a_router_works_in_a_fork_unless_its_models_were_loaded_before(tmp_path, real_base):
    """With two threads of torch, which is what hangs: with one, everything would work."""
    command = [warm.command("python"), "-c", FORKING, str(tmp_path / "registry"), str(real_base.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("loaded") is False
    used = found.pop("used")
    assert used.startswith("ForkedError: this process was forked when the router's models were in memory")
    assert "make a router in each process, after the fork" in used
    assert found == dict.fromkeys(("unused", "here", "another", "after"), "human")


def test_locks_that_another_thread_held_do_not_stop_a_fork(served_domains):
    pool = served_domains.renewed()._encoders
    assert pool is served_domains._encoders
    fresh = EncoderPool({"a": lambda: object()})
    fresh._lock.acquire()
    fresh.after_fork()
    assert not fresh.forked
    with fresh.use("a") as encoder:
        fresh.after_fork()
        assert encoder is not None and fresh.forked
    with pytest.raises(ForkedError), fresh.use("a"):
        pass


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_what_holds_models_says_why_it_cannot_be_copied_or_pickled(served_domains, router, copied):
    held = {
        "a router cannot be copied or pickled.*DomainRouter.over": (
            router,
            Tuner(router) if copied is not copy.copy else router,
        ),
        "domains cannot be copied or pickled.*open them once in each process": (served_domains,),
    }
    for said, things in held.items():
        for each in things:
            with pytest.raises(CopyError, match=said):
                copied(each)
    if copied is not copy.copy:
        with pytest.raises(TypeError, match="domains cannot be copied"):
            copied(JointSpace(served_domains))
    assert router.route("call me").domain


@pytest.mark.parametrize("device", ["cuda:99", "warp", "", "mps:7"])
def test_a_device_that_cannot_be_used_is_refused_when_a_router_is_made(served, device):
    for make in (
        lambda: DomainRouter(ROUTES, served, settings=Settings(device=device)),
        lambda: ServedDomains(served, settings=Settings(device=device)),
    ):
        with pytest.raises(SettingsError, match=f"`device` {device}: cannot be used on this machine: expected cpu"):
            make()


def test_loading_a_model_counts_as_load_in_whatever_stage_it_happens(served, monkeypatch):
    load, seconds = domains.load_encoder, 0.3

    def slow(*arguments):
        time.sleep(seconds)
        return load(*arguments)

    settings = Settings(target_precision=0, min_confidence=0)
    with DomainRouter(ROUTES, served, settings=settings) as router:
        router.preload(router.domains)
        for place in router.served_domains._encoders._places.values():
            place.encoder, place.load = None, partial(slow, *place.load.args)
        decision = router.route("quaint zebras hum")  # words of which the lexical stage is not sure
        assert router.loaded[0] == "general"
        timings = decision.timings_ms
        assert timings["load"] >= 1000 * seconds * len(router.loaded)
        assert max(timings["classify"], timings["encode"], timings["match"]) < 1000 * seconds
        assert timings["total"] == pytest.approx(sum(timings.values()) - timings["total"], abs=9)
        assert router.route("quaint zebras hum again").timings_ms["load"] < 1000 * seconds


@pytest.mark.parametrize("kind", [Path, str, lambda path: f"file://{path}", lambda path: f"{path}/"])
def test_a_registry_is_named_by_a_path_or_a_url_wherever_one_is_opened(served, kind, tmp_path):
    given = kind(served)
    settings = Settings(target_precision=0)
    with DomainRouter(ROUTES, given, settings=settings) as router, ServedDomains(given, settings=settings) as opened:
        assert {"legal", "medical", "finance"} < set(router.domains) == set(opened.names)
        assert JointSpace(opened).dimension > 0
    from router_plugin import open_registry

    store = open_registry(given)
    assert len(store.champions()) == 3
    with DomainRouter(ROUTES, store, settings=settings) as router:
        assert "legal" in router.domains
    store.close()


@pytest.mark.parametrize("wrong", [5, ["a"], b"reg", {"url": "a"}, object()])
def test_what_is_no_registry_is_refused(wrong):
    from registry import RegistryError

    for make in (lambda: DomainRouter(ROUTES, wrong), lambda: ServedDomains(wrong)):
        with pytest.raises(RegistryError, match="`registry`: expected a folder, a URL or a Registry, not"):
            make()


def test_a_base_model_may_be_a_path_and_settings_must_be_settings(served, tiny_base):
    with DomainRouter(ROUTES, served, base_model=tiny_base.path, settings=Settings(target_precision=0)) as router:
        assert router.served_domains.base.digest == tiny_base.digest
    with pytest.raises(SettingsError, match="`settings`: expected router_plugin.Settings, not dict"):
        DomainRouter(ROUTES, served, settings={"threshold": 0.5})


def python_in(folder, code):
    (folder / "serve.py").write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
    return subprocess.run(
        [sys.executable, "serve.py"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("file", ["registry.py", "registry/__init__.py"])
def test_a_file_that_hides_our_registry_is_named(tmp_path, file):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("", encoding="utf-8")
    done = python_in(tmp_path, "import router_plugin")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: {tmp_path / file} hides the package 'registry' of domain-router: rename it, or start Python "
        "where it is not found first"
    )


@pytest.mark.slow
def test_a_file_that_hides_our_training_is_named_and_routing_works(tmp_path):
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").write_text("", encoding="utf-8")
    done = python_in(tmp_path, "import router_plugin\nprint(router_plugin.DomainRouter.__name__)")
    assert (done.returncode, done.stdout) == (0, "DomainRouter\n")
    assert f"RuntimeWarning: {tmp_path / 'training' / '__init__.py'} hides the package 'training'" in done.stderr


@pytest.mark.parametrize("name", ["registry", "training"])
def test_a_folder_that_is_no_package_hides_nothing(tmp_path, name):
    (tmp_path / name).mkdir()
    done = python_in(tmp_path, "import router_plugin")
    assert (done.returncode, done.stderr) == (0, "")

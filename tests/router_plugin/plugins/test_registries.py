"""Registry backends by URL scheme: a plugin's, the built-in one, and what is said of an unknown scheme."""

from __future__ import annotations

import json

import pytest

from registry import Registry, RegistryError
from router_plugin import DomainRouter, PluginError, Route, Settings, hookimpl, open_registry
from router_plugin.plugins.manager import Plugins
from training import publish

TEAM = """
import os

from registry import Registry
from router_plugin import hookimpl


@hookimpl
def registry_backend(url):
    scheme, _, name = url.partition("://")
    return Registry.open(f"{os.environ['TEAM_FOLDER']}/{name}") if scheme == "team" else None
"""


@pytest.fixture
def team(install, tmp_path, monkeypatch, tiny_models):
    """An installed package that opens URLs of the scheme ``team``; one registry has a model."""
    install("team_registry", TEAM)
    monkeypatch.setenv("TEAM_FOLDER", str(tmp_path))
    store = Registry.open(str(tmp_path / "search"))
    publish(tiny_models["legal"], store, force=True)
    store.close()


def test_a_plugin_opens_registries_of_its_scheme(team, tmp_path, tiny_models, monkeypatch):
    heard = []

    class Listening:
        @hookimpl
        def alias_moved(self, domain, alias, version):
            heard.append((domain, alias, version))

    loaded = Plugins()
    loaded.register(Listening(), "listening")
    store = open_registry("team://search", loaded)
    publish(tiny_models["legal"], store, force=True)
    assert [version.name for version in store.versions()] == ["legal@1", "legal@2"]
    assert heard == [("legal", "candidate", 2)]
    store.close()
    monkeypatch.setenv("DOMAIN_ROUTER_REGISTRY", "team://search")
    with DomainRouter([Route(name="any", utterances=("x",))], settings=Settings(target_precision=0)) as router:
        assert router.domains == ("general", "legal")


def test_the_command_line_takes_a_plugins_url(team, cli):
    status, out, _ = cli("models", "list", "--registry", "team://search", "--json")
    assert (status, [each["name"] for each in json.loads(out)]) == (0, ["legal@1"])


def test_a_folder_and_a_database_are_opened_by_the_built_in_plugin(team, tmp_path):
    for url in (
        str(tmp_path / "search"),
        f"file://{tmp_path}/search",
        f"sqlite:///{tmp_path}/x.db?artifacts=memory://x",
    ):
        plugin, store = Plugins().first_result("registry_backend", url=url)
        assert plugin == "registry-store"
        store.close()


def test_an_unknown_scheme_is_refused_naming_what_is_known(team, cli):
    expected = (
        r"registry crew://: unknown scheme: .* folder, file://, .* sqlite:// or postgresql:// .* \(team_registry\)"
    )
    with pytest.raises(RegistryError, match=expected):
        open_registry("crew://name:password@host", Plugins())
    status, out, err = cli("models", "list", "--registry", "crew://name:password@host")
    assert (status, out) == (2, "") and "unknown scheme" in err and "password" not in err


def test_an_unknown_scheme_is_refused_without_plugins_too():
    with pytest.raises(RegistryError, match="no installed plugin has any"):
        open_registry("crew://host", Plugins())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///x.db", "does not say where the artifacts are"),
        ("postgresql+nosuchdriver://host/x?artifacts=memory://x", "unknown scheme"),
    ],
)
def test_a_database_url_that_cannot_be_used_says_why(url, said):
    with pytest.raises(RegistryError, match=said):
        open_registry(url, Plugins())


def test_an_answer_that_is_not_a_registry_is_named():
    class Odd:
        @hookimpl
        def registry_backend(self, url):
            return "a registry"

    loaded = Plugins()
    loaded.register(Odd(), "odd")
    with pytest.raises(PluginError, match="plugin odd: registry_backend answered str, expected Registry or None"):
        open_registry("odd://x", loaded)

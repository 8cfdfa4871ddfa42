"""What the router's tests share: one router, plugins, and the command line."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest


@pytest.fixture(scope="session")
def served_domains(served):
    """The domains of that registry, opened once."""
    from router_plugin import ServedDomains, Settings

    settings = Settings(strategy="two_stage", target_precision=0)  # these models know next to nothing
    return ServedDomains(str(served), settings=settings)


@pytest.fixture
def make_router(served_domains):
    """A function that makes a router of three domains with the example routes and some settings."""
    from router_plugin import DomainRouter, load_routes
    from tests.conftest import EXAMPLES

    routes = load_routes(EXAMPLES / "routes.yaml") + load_routes(EXAMPLES / "legal_routes.yaml")

    def make(**changed):
        return DomainRouter.over(served_domains, routes, served_domains.settings.replace(**changed))

    return make


@pytest.fixture
def router(make_router):
    """Such a router with the default settings."""
    return make_router()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a module as a package with one entry point; returns the folder that now stands on the path."""
    from router_plugin.plugins.manager import plugins

    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    modules = []

    def write(name, source, entry=None):
        (site / f"{name}.py").write_text(source, encoding="utf-8")
        info = site / f"{name}-1.2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[domain_router]\n{entry or name} = {name}\n", encoding="utf-8")
        modules.append(name)
        plugins.cache_clear()
        return site

    yield write
    plugins.cache_clear()
    for name in modules:
        sys.modules.pop(name, None)


@pytest.fixture
def cli(monkeypatch, capsys):
    """Run the command line in this process; returns its exit status, standard output and standard error."""
    from router_plugin.cli import main

    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["domain-router", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture
def store(tmp_path, tiny_models):
    """A registry of its own with one version of three domains."""
    from registry import Registry
    from training import publish

    registry = Registry.open(str(tmp_path / "registry"))
    for model in tiny_models.values():
        publish(model, registry, force=True)
    yield registry
    registry.close()


@pytest.fixture
def other_legal(tmp_path, tiny_models):
    """A model folder of the legal domain with other weights."""
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(tiny_models["legal"], tmp_path / "other-legal")
    (file,) = folder.rglob("model.safetensors")
    random = np.random.default_rng(0)
    weights = {
        name: part + random.normal(0, 0.02, part.shape).astype(part.dtype) for name, part in load_file(file).items()
    }
    save_file(weights, file, metadata={"format": "pt"})
    return folder

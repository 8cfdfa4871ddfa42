"""The example plugin: installed as its README says, it answers in place of the built-in classifier."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from router_plugin import hookspecs
from tests import warm
from tests.conftest import EXAMPLES

pytestmark = pytest.mark.slow

FOLDER = EXAMPLES / "custom_plugin"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The example package installed into a folder of its own."""
    target = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(FOLDER)],
        env={**os.environ, "HOME": str(tmp_path_factory.mktemp("home"))},  # pip asks rustup, which writes there
        check=True,
        timeout=120,
    )
    return target


def domain_router(site, *arguments):
    """Run the command line in a process that finds the installed plugin."""
    done = subprocess.run(
        [warm.command("domain-router"), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_installed_plugin_is_listed_with_its_package_and_version(site):
    loaded = {plugin["name"]: plugin for plugin in json.loads(domain_router(site, "plugins", "--json"))}
    assert loaded["keywords"] == {
        "name": "keywords",
        "source": "domain-router-keywords 0.1.0",
        "hooks": ["domain_classifier"],
    }
    assert "cascade-classifier" in loaded


def test_the_installed_plugin_decides_the_domain(site, served, tmp_path):
    queries = tmp_path / "queries.txt"
    queries.write_text("my landlord kept the deposit\nhello there\n", encoding="utf-8")
    routes = EXAMPLES / "legal_routes.yaml"
    out = domain_router(site, "route", "--batch", queries, "--routes", routes, "--registry", served, "--json")
    legal, general = map(json.loads, out.splitlines())
    assert (legal["domain"], legal["model_version"]) == ("legal", "legal@1")
    assert legal["domains"] == pytest.approx({"general": 1 / 9, "legal": 8 / 9, "finance": 0, "medical": 0})
    assert general["domain"] == "general"
    assert general["domains"] == {"general": 1, "legal": 0, "finance": 0, "medical": 0}


def test_the_plugin_names_registered_domains_only_and_its_rows_sum_to_one(site, monkeypatch):
    monkeypatch.syspath_prepend(str(site))
    import domain_router_keywords

    classifier = domain_router_keywords.domain_classifier(profiles={"legal": None, "astrology": None})
    assert classifier.domains == ("general", "legal", "astrology")
    rows = classifier.classify(["my blood", "the landlord, a loan and a contract", "", "x"]).probabilities
    assert rows.shape == (4, 3)
    np.testing.assert_allclose(rows.sum(axis=1), 1)
    assert classifier.classify([]).probabilities.shape == (0, 3)
    sys.modules.pop("domain_router_keywords")


def test_the_readme_says_how_to_install_and_what_is_shown():
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "pip install examples/custom_plugin" in readme
    assert "domain-router-keywords 0.1.0" in readme and hookspecs.PROJECT in readme

"""``init``: a project whose files the real readers take, and whose steps run."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest
import yaml

from router_plugin import load_routes
from router_plugin.cli.setup_commands.init import PROJECT
from router_plugin.evaluation.labelled_queries import read_labelled_queries
from tests import warm
from tests.router_plugin.cli.test_cli import mistake
from training import read_pairs


@pytest.fixture
def project(cli, tmp_path):
    status, out, err = cli("init", tmp_path / "my project")
    assert (status, err) == (0, "") and out.splitlines()[-1].endswith("&& make")
    return tmp_path / "my project"


def test_the_readers_take_what_is_written(project, cli, monkeypatch):
    monkeypatch.chdir(project)
    routes = {route.name for route in load_routes("routes.yaml")}
    queries, labels = read_labelled_queries("data/queries.jsonl", known=routes)
    assert len(queries) == len(labels) > len(routes) and set(labels) == {*routes, None}
    assert len(read_pairs("data/pairs.jsonl").pairs) == 60
    for command in ("prepare", "train", "serve"):
        status, out, _ = cli(command, "--config", f"{command}.yaml", "--print-config")
        written, read = yaml.safe_load((project / f"{command}.yaml").read_text()), yaml.safe_load(out)
        assert status == 0 and {name: read[name] for name in written} == written
    names = {path.name for path in project.iterdir()}
    assert ".gitignore" in names and "gitignore" not in names


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (r"[ -]*(\w+:)(?: |$)", ["prepare.yaml", "train.yaml", "serve.yaml", "routes.yaml"]),
        (r"(/\S+)", ["gitignore"]),
        (r"([a-z]+:)", ["Makefile"]),
    ],
)
def test_every_option_is_explained_where_it_is_first(pattern, names):
    for name in names:
        lines, explained = (PROJECT / name).read_text().splitlines(), {}
        for before, line in zip(["", *lines], lines, strict=False):
            if key := re.match(pattern, line):
                explained.setdefault(key[1], before.lstrip().startswith("#") or "## " in line)
        assert explained and all(explained.values()), explained


def test_a_folder_that_is_not_empty_is_refused(cli, project, tmp_path):
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    mistake(cli("init", project), "is not empty: choose a new folder")
    assert before == {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    mistake(cli("init", project / "Makefile"), "choose a new folder")
    mistake(cli("init", project / "Makefile" / "deeper"), "Makefile")
    (tmp_path / "empty").mkdir()
    status, out, _ = cli("init", tmp_path / "empty", "--json")
    assert status == 0 and "data/pairs.jsonl" in json.loads(out)["files"]


@pytest.mark.slow
def test_the_steps_of_the_makefile_run(project, tiny_base):
    path = f"{warm.command('domain-router').parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, warm.BASE: str(tiny_base.path)}
    environment.pop("MAKEFLAGS", None)

    def make(*targets):
        done = subprocess.run(["make", *targets], cwd=project, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "make evaluate" in make()
    train = project / "train.yaml"
    train.write_text(train.read_text() + "min_steps: 1\nmax_epochs: 1\nmix_ratio: 0\n")
    out = make("prepare", "train", "register", "evaluate")
    assert "60 pairs" in out and "legal@1" in out and "accuracy" in out
    assert make("register").count("domain-router") == 0
    make("clean")
    assert (project / "registry" / "registry.db").exists() and not (project / "work").exists()

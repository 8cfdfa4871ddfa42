"""``domain-router routes improve``: what it writes can be applied, and mistakes are one line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from router_plugin import load_domains, load_routes
from tests.conftest import EXAMPLES
from tests.router_plugin.improving.test_improvement import LOANS, TRAINS, WEATHER

Cli = Callable[..., tuple[int, str, str]]

ROUTES = """# Routes of a test.
routes:
  - name: weather
    utterances:
      # one is enough
      - degrees Celsius outside
  - {name: loans, utterances: [interest of a home loan]}
  - name: trains
    utterances: ["will it leave in Rome on Saturday"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with routes and a log of which the right answers are known."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    rows = [
        {"query": text, "route": "trains", **({"accepted": True} if name == "trains" else {"corrected": name})}
        for name, texts in (("weather", WEATHER), ("loans", LOANS), ("trains", TRAINS))
        for text in texts
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path


@pytest.fixture
def improve(cli: Cli, served: Path) -> Cli:
    """Run the command with those files."""
    return lambda *more: cli(
        *("routes", "improve", "--log", "log.jsonl", "--registry", served, "--strategy", "single", *more)
    )


def test_the_diff_is_applied_and_gives_the_proposed_routes(folder: Path, improve: Cli) -> None:
    status, printed, said = improve("--out", "routes.diff")
    assert (status, said.count("\n")) == (0, 1) and said.startswith("note: the log has only 0 out-of-scope queries")
    assert "New utterances" in printed and "patch -p1 < routes.diff" in printed
    subprocess.run(["git", "apply", "routes.diff"], check=True)
    after = load_routes("routes.yaml")
    assert [route.name for route in after] == ["weather", "loans", "trains"]
    assert len(after[0].utterances) > 1 and "      # one is enough\n" in (folder / "routes.yaml").read_text()
    assert improve("--out", "routes.diff")[0] == 2
    assert improve("--out", "routes.diff", "--overwrite")[0] == 0


def test_json_has_figures_and_the_diff(folder: Path, improve: Cli) -> None:
    status, printed, _ = improve("--json")
    found: dict[str, Any] = json.loads(printed)
    assert status == 0 and found["diff"].startswith("--- a/routes.yaml\n+++ b/routes.yaml\n@@")
    assert [each["variant"] for each in found["figures"]] == [
        "today",
        "thresholds",
        "utterances",
        "utterances and thresholds",
    ]
    added = [line for line in found["diff"].splitlines() if line.startswith("+")]
    assert all(any(each["text"] in line for line in added) for each in found["utterances"])


def test_new_domains_are_written_for_extra_domains(folder: Path, improve: Cli) -> None:
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({"query": f"{text}?", "route": ""}) + "\n" for text in WEATHER[:30])
    status, printed, _ = improve("--threshold", "0.9999", "--new-domain", "new.yaml", "--out", "routes.diff")
    assert status == 0 and "new.yaml: 1 domain for --extra-domains" in printed
    (domain,) = load_domains("new.yaml")
    status, printed, _ = improve("--extra-domains", "new.yaml", "--json")
    assert status == 0 and domain.name


def test_a_small_log_says_that_nothing_can_be_concluded(cli: Cli, served: Path) -> None:
    log, routes = EXAMPLES / "router_log.jsonl", EXAMPLES / "legal_routes.yaml"
    status, _, said = cli("routes", "improve", "--log", log, "--routes", routes, "--registry", served)
    assert status == 0 and "nothing can be concluded" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--log", "none.jsonl"], "none.jsonl"),
        (["--new-domain", "new.txt"], "--new-domain new.txt: expected a name that ends in .yaml, .yml, .jsonl"),
        (
            ["--new-domain", "log.jsonl"],
            "log.jsonl: exists already: choose another file, or set --overwrite",
        ),
        (["--out", "no/routes.diff"], "--out no/routes.diff: cannot be written: No such file"),
        (["--folds", "1"], "--folds"),
        (
            ["--routes", "other.yaml"],
            "no right route of the log is among the routes: the log has loans, trains",
        ),
        (["--log", "routes.yaml"], "routes.yaml"),
    ],
)
def test_mistakes_are_one_plain_line(folder: Path, improve: Cli, arguments: list[str], message: str) -> None:
    (folder / "other.yaml").write_text("routes: [{name: pears, utterances: [a pear]}]", encoding="utf-8")
    status, _, said = improve(*arguments)
    assert status == 2 and message in said
    assert (folder / "routes.yaml").read_text() == ROUTES

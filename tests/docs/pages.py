"""The pages of the documentation, by who can share a checkout, and a way to run what one of them shows."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from router_plugin import load_routes
from tests import warm
from tests.conftest import ROOT

README = ("README", "add-a-domain", "ready-made", "classifier")
"""Those that need the real all-MiniLM-L6-v2: they use the ready-made models, which are adapters on it."""

TRAINING = ("prepare", "synthesize", "train", "encoders", "registry", "gates", "exchange", "training-recipes")
"""Those that train, or use what `train` left."""

SERVING = (
    "tutorial",
    "route",
    "serve",
    "console",
    "client",
    "vllm-semantic-router",
    "litellm",
    "improve",
    "strategies",
    "candidate-index",
    "joint-space",
    "semantic-router",
    "plugins",
    "watching",
    "reindex",
    "command-line",
)
"""Those that serve from the registry that the quickstart leaves."""

CLUSTER = ("deploy", "ray", "train-many")
"""Those that start a Ray cluster for more than a moment, whose processes do not have warm imports."""

NOT_HERE = ("helm", "kubectl", "pip")
"""Programs that pages of :data:`CLUSTER` show, and that tests do not run."""

ARCHITECTURE = (
    "architecture",
    "field-reports",
    "how-it-works",
    "limits",
    "glossary",
    "install",
)
"""Show nothing to run."""

REPLACED = {
    "make test": "make -n test",  # which would run this test again
    "--dims 384,128": "--dims 32,16",  # the tiny model has no more dimensions
}


def path_of(page: str) -> Path:
    """The file of a page."""
    return ROOT / "README.md" if page == "README" else ROOT / "docs" / f"{page}.md"


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    text = path_of(page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run_page(page: str, checkout: Path, replaced: Mapping[str, str] | None = None, **environment: str) -> None:
    """Run what a page shows in a checkout: commands as one script, code, and files of routes.

    Args:
        page: its name.
        checkout: where it is run.
        replaced: what is run in place of what commands show, besides :data:`REPLACED`.
        environment: variables of the processes.
    """
    script = "\n".join(blocks(page, "bash"))
    for shown, here in {**REPLACED, **(replaced or {})}.items():
        script = script.replace(shown, here)
    if script:
        assert run(["bash", "-euo", "pipefail", "-c", script], checkout, environment)
    for code in blocks(page, "python"):
        run([str(checkout / ".venv" / "bin" / "python"), "-c", code], checkout, environment)
    for routes in blocks(page, "yaml"):
        (checkout / "page.yaml").write_text(routes, encoding="utf-8")
        assert load_routes(checkout / "page.yaml")


def run(command: list[str], checkout: Path, environment: dict[str, str]) -> str:
    """Run a command in a checkout, with its commands and its bundled questions; returns what it printed."""
    path = f"{checkout / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, warm.QUESTIONS: str(checkout / "examples" / "data"), **environment}
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, env=env, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

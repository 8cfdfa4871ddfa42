"""A checkout in which pages run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests import warm
from tests.conftest import ROOT

PAIRS, CHARACTERS = 24, 80
"""Of each example domain, and of an answer, so that the pages' training runs are short."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tracked files with small example data; the commands in its ``.venv`` have warm imports."""
    folder = tmp_path_factory.mktemp("checkout")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    for data in (folder / "examples" / "data").glob("*.jsonl"):
        pairs = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()[:PAIRS]]
        short = [{**pair, "answer": pair["answer"][:CHARACTERS]} for pair in pairs]
        data.write_text("".join(json.dumps(pair) + "\n" for pair in short), encoding="utf-8")
    commands = folder / ".venv" / "bin"
    commands.mkdir(parents=True)
    for name in ("domain-router", "python"):
        (commands / name).symlink_to(warm.command(name))
    (commands / "activate").write_text('PATH="$PWD/.venv/bin:$PATH"\n', encoding="utf-8")
    (folder / ".venv" / ".quickstart").touch()
    return folder

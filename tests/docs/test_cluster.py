"""What the pages on Ray clusters show, with tiny models, on a cluster of this machine; it takes minutes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from registry import BaseModelFiles
from tests import warm

from .pages import run, run_page

pytestmark = pytest.mark.ray

BEFORE = """
domain-router prepare examples/data/legal.jsonl --out work/docs-legal
domain-router train work/docs-legal --domain legal --out work/docs-model --iterations 1 --min-steps 2 --batch-size 16
"""
"""What the pages on preparing and training leave to that on large corpora."""


def test_what_the_page_on_deploying_shows_runs(checkout: Path, served: Path) -> None:
    shutil.copytree(served, checkout / "quickstart" / "registry")
    run_page("deploy", checkout, {"replicas 2": "replicas 1"})


def test_what_the_page_on_large_corpora_shows_runs(checkout: Path, tiny_base: BaseModelFiles) -> None:
    base = {warm.BASE: str(tiny_base.path)}
    run(["bash", "-euc", BEFORE], checkout, base)
    run_page("ray", checkout, **base)


def test_what_the_page_on_training_shows_runs(checkout: Path, tiny_base: BaseModelFiles) -> None:
    quick = {
        "base_model": tiny_base.path,
        **{"device": "cpu", "iterations": 1, "min_steps": 2, "batch_size": 8, "mix_ratio": 0},
    }
    job = "".join(f"  {name}: {value}\n" for name, value in quick.items())
    flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in quick.items())
    replaced = {
        "  cpus: 2\n": f"  force: true\n{job}",
        "  learning_rate: 2e-5\n": f"  learning_rate: 2e-5\n  force: true\n{job}",
        "--ray-workers 2": f"--ray-workers 2 {flags}",
    }
    run_page("train-many", checkout, replaced)
    assert {path.parent.name for path in checkout.glob("work/models/*/model")} == {
        "legal",
        *(f"medical-seed-{seed}" for seed in (1, 2, 3)),
    }

"""Small model folders and records, a remote file system, and functions to run code in another process."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from registry import BaseModelRecord, DatasetRecord, ModelRecord
from registry.records import ComparisonRecord, EvaluationRecord
from training.reporting.report import Iteration, TrainingReport

FILES = {"model.safetensors": "weights", "modules.json": "[]", "1_Pooling/config.json": "{}"}


class DiskFileSystem(LocalFileSystem):  # type: ignore[misc]
    """A remote file system under ``disk://``: threads may read one file at a time, which ``memory://`` cannot stand."""

    protocol = "disk"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(str(path).removeprefix("disk://")))


fsspec.register_implementation("disk", DiskFileSystem, clobber=True)


def write_model(folder: Path, weights: str = "weights") -> Path:
    """A folder with the files of a model, a few bytes each."""
    for name, text in {**FILES, "model.safetensors": weights}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def make_record(domain: str = "medical", **changes: Any) -> ModelRecord:
    """A record with every field filled."""
    values: dict[str, Any] = {
        "domain": domain,
        "base_model": BaseModelRecord(name="all-MiniLM-L6-v2", revision="c9745ed", weights_sha256="5" * 64),
        "recipe": "contrastive",
        "options": {"learning_rate": 5e-5, "iterations": 2, "max_length": None, "name": "Grüße", "list": [1, 2]},
        "dataset": DatasetRecord(fingerprint="f" * 64, counts={"pairs": 60}),
        "base_metrics": {"dev": {"mrr@5": 0.1}, "test": {"mrr@5": 1 / 3}},
        "adapted_metrics": {"dev": {"mrr@5": 0.2}, "test": {"mrr@5": 2 / 3}},
        "dimension": 32,
        "max_length": 64,
        "pooling": "mean",
        "normalized": True,
        "improved": True,
        "judge": "cross-encoder",
        "comparison": {"mrr@5": ComparisonRecord(difference=1 / 3, low=0.1, high=0.5, p_value=0.01)},
        "max_loss": 0.0,
        "hybrid": {"recall@5": ComparisonRecord(difference=0.125, low=0.1, high=0.25, p_value=0.02)},
        "ranking": "hybrid",
        "extra_test_sets": {
            "real-questions": EvaluationRecord(
                fingerprint="a" * 64,
                queries=7,
                base={"mrr@5": 0.5},
                adapted={"mrr@5": 0.25},
                comparison={"mrr@5": ComparisonRecord(difference=-0.25, low=-0.5, high=0.1, p_value=0.2)},
                max_loss=0.3,
            )
        },
    }
    return ModelRecord(**{**values, **changes})


def make_report(record: ModelRecord) -> TrainingReport:
    """The report of a run that found what the record says in one iteration."""
    return TrainingReport(
        **dict(record),
        judge_depth=5,
        encoded_with="torch",
        iterations=[Iteration(name="base", dev=record.base_metrics["dev"])],
        chosen="iteration-1",
        dims={},
        seeds=[],
        single_set_baselines={},
        device="cpu",
        threads=1,
        seconds=1.0,
    )


def start_python(code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Python code in a process of its own, which can import this module too."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
    )


def run_python(code: str, *arguments: object, **environment: str) -> str:
    """What the code wrote to standard output; it must end well."""
    process = start_python(code, *arguments, **environment)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out

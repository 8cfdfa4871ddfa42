"""A version in MLflow's registry, by the snippet that the documentation shows, with the real MLflow."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.hosts

ENVIRONMENT = ROOT / ".hosts" / "mlflow"
READ = """
import sys
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.sentence_transformers.load_model("models:/medical@champion")
assert model.encode(["fever"]).shape == (1, 32)
version = mlflow.MlflowClient().get_model_version_by_alias("medical", "champion")
assert version.tags["domain-router"] == "medical@1" and len(version.tags["artifact"]) == 64
"""


def test_a_version_is_registered_in_mlflow_and_loaded_from_there(served: Path, tmp_path: Path) -> None:
    if not (ENVIRONMENT / ".installed").is_file():
        pytest.skip("MLflow is not installed: run `make test-hosts`, which gives it an environment of its own")
    page = (ROOT / "docs" / "exchange.md").read_text(encoding="utf-8")
    snippet = page.partition("<!-- mlflow -->\n\n")[2].partition("\n\n<!-- end -->")[0]
    code = "\n".join(line.removeprefix("    ") for line in snippet.splitlines())
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for of_page, here in (("work/docs-registry", str(served)), ("legal", "medical"), ("sqlite:///mlflow.db", uri)):
        assert of_page in code
        code = code.replace(of_page, here)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "GIT_PYTHON_REFRESH": "quiet", "HOME": str(tmp_path)}
    for program in ((code,), (READ, uri)):
        command = [ENVIRONMENT / "bin" / "python", "-c", *program]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=240)
        assert done.returncode == 0, done.stderr[-3000:]

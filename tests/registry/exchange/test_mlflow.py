"""A version in MLflow's registry, by the snippet that the documentation shows, with the real MLflow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytest.importorskip("mlflow")
if not os.environ.get("DOMAIN_ROUTER_TEST_MLFLOW"):
    pytest.skip("takes minutes: set DOMAIN_ROUTER_TEST_MLFLOW to run it", allow_module_level=True)

READ = """
import sys
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.sentence_transformers.load_model("models:/legal@champion")
assert model.get_embedding_dimension() == 32
version = mlflow.MlflowClient().get_model_version_by_alias("legal", "champion")
assert version.tags["domain-router"] == "legal@1" and len(version.tags["artifact"]) == 64
"""


@pytest.mark.slow
def test_a_version_is_exported_to_mlflow(served: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "exchange.md").read_text(encoding="utf-8")
    snippet = page.partition("<!-- mlflow -->\n\n")[2].partition("\n\n<!-- end -->")[0]
    code = "\n".join(line.removeprefix("    ") for line in snippet.splitlines())
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    code = code.replace("work/docs-registry", str(served)).replace("sqlite:///mlflow.db", uri)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "GIT_PYTHON_REFRESH": "quiet"}
    for program in ((code,), (READ, uri)):
        done = subprocess.run(
            [sys.executable, "-c", *program], cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=240
        )
        assert done.returncode == 0, done.stderr[-3000:]

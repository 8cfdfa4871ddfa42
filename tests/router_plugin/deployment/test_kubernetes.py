"""The examples for Kubernetes: the chart passes Helm's linter, and Ray Serve takes what the RayService says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.conftest import EXAMPLES

CHART = EXAMPLES / "kubernetes" / "domain-router"
GIVEN = {"registry": {"url": "postgresql://user@host/db?artifacts=s3://bucket/models"}, "keys": {"existingSecret": "k"}}


@pytest.fixture
def helm(tmp_path):
    """A function that runs Helm with values; its exit status and what it printed."""
    program = os.environ.get("HELM") or shutil.which("helm") or shutil.which("helm", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("no Helm: name it with $HELM; `make helm` fetches one")

    def run(command, values):
        (tmp_path / "values.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        file = ["--values", str(tmp_path / "values.yaml")]
        done = subprocess.run(
            [program, *command, str(CHART), *file],
            capture_output=True,
            text=True,
            timeout=60,
            env={"HOME": str(tmp_path)},
        )
        return done.returncode, done.stdout, done.stderr

    return run


def rendered(helm, **values):
    status, printed, said = helm(["template", "router"], {**GIVEN, **values})
    assert status == 0, said
    return {each["kind"]: each for each in yaml.safe_load_all(printed) if each}


def test_the_chart_passes_helms_linter(helm):
    status, printed, said = helm(["lint", "--strict"], GIVEN)
    assert status == 0, printed + said


def test_the_server_is_started_with_options_that_it_has(helm, tmp_path):
    from router_plugin import load_routes
    from router_plugin.server.options import ServerOptions

    data = rendered(helm, config={"max_texts": 7})["ConfigMap"]["data"]
    options = ServerOptions(**yaml.safe_load(data["serve.yaml"]))
    assert (options.max_texts, options.host, options.console) == (7, "0.0.0.0", False)
    (tmp_path / "routes.yaml").write_text(data["routes.yaml"], encoding="utf-8")
    assert load_routes(tmp_path / "routes.yaml")


def test_pods_cannot_write_their_root_and_are_probed_where_the_server_answers(helm):
    pod = rendered(helm)["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and container["securityContext"]["readOnlyRootFilesystem"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    named = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == named


def test_keys_are_a_secret_and_the_autoscaler_can_be_left_out(helm):
    found = rendered(helm, keys={"content": '{"keys": []}'}, autoscaling={"enabled": False}, replicas=3)
    assert "HorizontalPodAutoscaler" not in found and found["Deployment"]["spec"]["replicas"] == 3
    assert "keys.json" in found["Secret"]["data"]
    assert {"HorizontalPodAutoscaler", "PodDisruptionBudget", "Service"} <= rendered(helm).keys()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"keys": {"existingSecret": "k"}}, "registry: give registry.url"),
        ({"registry": {"url": "postgresql://h/d"}}, "keys: name the secret"),
        ({**GIVEN, "replica": 3}, "additional properties 'replica' not allowed"),
    ],
)
def test_values_that_cannot_be_served_are_refused(helm, values, said):
    status, _, error = helm(["template", "router"], values)
    assert status and said in error


def test_the_chart_s_own_values_are_what_its_schema_allows():
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(values, schema)
    assert values.keys() == schema["properties"].keys() - {"global"}


def test_ray_serve_takes_what_the_ray_service_says(monkeypatch):
    from ray.serve.schema import ServeDeploySchema

    from router_plugin.deployment import application
    from router_plugin.deployment.deployed import Deployed

    documents = yaml.safe_load_all((EXAMPLES / "kubernetes" / "ray-service.yaml").read_text(encoding="utf-8"))
    (service,) = (each for each in documents if each["kind"] == "RayService")
    config = ServeDeploySchema.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"]))
    (found,) = config.applications
    assert found.import_path == f"{application.__name__}:{application.build.__name__}"
    deployed = Deployed(**found.args)
    assert deployed.server.keys and deployed.ray.max_replicas == 8
    assert application.build(found.args)

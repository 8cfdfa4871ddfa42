"""The bill of materials of a version is valid CycloneDX 1.6, and says what the record says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("cyclonedx")

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from registry import DatasetRecord, ModelVersion, Registry
from registry.exchange.bom import bill_of_materials
from tests.registry.samples import make_record, write_model


@pytest.fixture
def version(tmp_path: Path) -> ModelVersion:
    """A version that learned from several sets."""
    joined = {"cards": DatasetRecord(fingerprint="c" * 64, counts={"pairs": 3})}
    return Registry.open(tmp_path / "registry").publish(write_model(tmp_path / "model"), make_record(joined=joined))


@pytest.mark.parametrize("licence", [None, "Apache-2.0"])
def test_it_is_valid_by_the_official_schema(version: ModelVersion, licence: str | None) -> None:
    bom = bill_of_materials(version, licence)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom)) is None
    broken = {**bom, "specVersion": 1.6, "components": [{"type": "model"}]}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(broken)) is not None


def test_it_says_what_the_record_says(version: ModelVersion) -> None:
    bom = bill_of_materials(version, "Apache-2.0")
    model = bom["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "medical", "1")
    assert model["licenses"] == [{"expression": "Apache-2.0"}]
    assert {file["name"]: file["hashes"][0]["content"] for file in model["components"]} == {
        file.path: file.sha256 for file in version.files
    }
    base, *datasets = bom["components"]
    assert base["purl"] == "pkg:huggingface/sentence-transformers/all-MiniLM-L6-v2@c9745ed"
    assert base["hashes"][0]["content"] == "5" * 64
    assert [data["name"] for data in datasets] == ["medical", "cards"]
    assert bom["dependencies"][0] == {"ref": "model", "dependsOn": ["base-model", "dataset:medical", "dataset:cards"]}
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert {"type": "mrr@5", "value": str(2 / 3), "slice": "test"} in metrics
    gain = {"lowerBound": "0.1", "upperBound": "0.5"}
    assert {"type": "mrr@5 gained", "value": str(1 / 3), "slice": "test", "confidenceInterval": gain} in metrics
    assert {"name": "domain-router:option:learning_rate", "value": "5e-05"} in model["properties"]


def test_the_same_version_gives_the_same_bill(version: ModelVersion) -> None:
    assert bill_of_materials(version) == bill_of_materials(version)
    other = version.model_copy(update={"version": 2})
    assert bill_of_materials(version)["serialNumber"] != bill_of_materials(other)["serialNumber"]

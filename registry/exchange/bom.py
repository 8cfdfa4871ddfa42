"""A bill of materials of a version: CycloneDX 1.6 as JSON, with a model card, every file and the base model.

The library ``cyclonedx-python-lib`` has no model cards; a test validates what is made here by the schema that it ships.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from registry.records import DatasetRecord, EvaluationRecord, ModelVersion
from registry.signing.manifest import Manifest

Parts = dict[str, Any]

_SPACE = uuid.UUID("6e1c3c0a-52f7-4d0b-9d2e-6f1f6b0a7b54")
"""The name space of serial numbers."""
_BASE = "base-model"
_MODEL = "model"


def bill_of_materials(version: ModelVersion, licence: str | None = None) -> Parts:
    """The bill of a version; the same version gives the same bill everywhere.

    Args:
        version: of the registry.
        licence: of the model, an SPDX expression; None where it is not known.
    """
    datasets = dict(_datasets(version))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, version.name + Manifest.of(version).to_bytes().decode())}",
        "version": 1,
        "metadata": {
            "timestamp": version.created.isoformat(),
            "authors": [{"name": version.author}],
            "tools": {
                "components": [{"type": "application", "name": "domain-router", "version": version.code_version}]
            },
            "component": _model(version, datasets, licence),
        },
        "components": [_base_model(version), *(_dataset(name, found) for name, found in datasets.items())],
        "dependencies": [
            {"ref": _MODEL, "dependsOn": [_BASE, *(_dataset_ref(name) for name in datasets)]},
            {"ref": _BASE},
        ],
    }


def _model(version: ModelVersion, datasets: dict[str, DatasetRecord], licence: str | None) -> Parts:
    model: Parts = {
        "type": "machine-learning-model",
        "bom-ref": _MODEL,
        "name": version.domain,
        "version": str(version.version),
        "description": f"{version.base_model.public_name}, adapted to {version.domain}",
        "hashes": [_sha256(version.artifact)],
        "components": [
            {"type": "file", "bom-ref": f"file:{file.path}", "name": file.path, "hashes": [_sha256(file.sha256)]}
            for file in version.files
        ],
        "pedigree": {"ancestors": [_base_model(version, ref=False)]},
        "modelCard": _card(version, datasets),
        "properties": _properties(
            recipe=version.recipe,
            dimension=version.dimension,
            max_length=version.max_length,
            pooling=version.pooling,
            normalized=version.normalized,
            judge=version.judge,
            size=version.size,
            improved=version.improved,
            **{f"option:{name}": value for name, value in version.options.items()},
        ),
    }
    return {**model, "licenses": [{"expression": licence}]} if licence else model


def _card(version: ModelVersion, datasets: dict[str, DatasetRecord]) -> Parts:
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "sentence-similarity",
            "datasets": [{"ref": _dataset_ref(name)} for name in datasets],
            "inputs": [{"format": "text"}],
            "outputs": [{"format": f"vector of {version.dimension} 32-bit floats"}],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [
                metric for name, found in version.evaluations.items() for metric in _metrics(name, found)
            ]
        },
    }


def _metrics(name: str, found: EvaluationRecord) -> Iterator[Parts]:
    """The model's metrics on a test set, those of its base, and what it gains with the 95 % interval."""
    for metric, value in found.adapted.items():
        yield {"type": metric, "value": str(value), "slice": name}
    for metric, value in found.base.items():
        yield {"type": f"{metric} of the base model", "value": str(value), "slice": name}
    for metric, gain in found.comparison.items():
        interval = {"lowerBound": str(gain.low), "upperBound": str(gain.high)}
        yield {
            "type": f"{metric} gained",
            "value": str(gain.difference),
            "slice": name,
            "confidenceInterval": interval,
        }


def _base_model(version: ModelVersion, ref: bool = True) -> Parts:
    base = version.base_model
    made: Parts = {
        "type": "machine-learning-model",
        **({"bom-ref": _BASE} if ref else {}),
        "name": base.public_name,
        "hashes": [_sha256(base.weights_sha256)],
    }
    if base.revision:
        made["version"] = base.revision
    if base.hub_id:
        made["purl"] = f"pkg:huggingface/{base.hub_id}" + (f"@{base.revision.lower()}" if base.revision else "")
    return made


def _datasets(version: ModelVersion) -> Iterator[tuple[str, DatasetRecord]]:
    yield version.domain, version.dataset
    for name, found in {**version.joined, **version.mixed}.items():
        if name != version.domain:
            yield name, found


def _dataset(name: str, found: DatasetRecord) -> Parts:
    return {
        "type": "data",
        "bom-ref": _dataset_ref(name),
        "name": name,
        "data": [{"type": "dataset", "name": name}],
        "properties": _properties(fingerprint=found.fingerprint, **found.counts),
    }


def _dataset_ref(name: str) -> str:
    return f"dataset:{name}"


def _properties(**values: Any) -> list[Parts]:
    return [{"name": f"domain-router:{name}", "value": str(value)} for name, value in values.items()]


def _sha256(digest: str) -> Parts:
    return {"alg": "SHA-256", "content": digest}

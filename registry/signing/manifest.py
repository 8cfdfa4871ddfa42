"""The manifest of a version: its record and its files, apart from where it is registered. It is what is signed."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field

from registry.records import ArtifactFile, ModelRecord, ModelVersion, Record

MANIFEST = "manifest.json"
FILES = "files"
"""The folder of the model's files beside the manifest."""


class Manifest(Record):
    """What does not change when a version is registered elsewhere."""

    format: Literal[1] = 1
    record: ModelRecord
    artifact: str = Field(pattern="^[0-9a-f]{64}$")
    files: tuple[ArtifactFile, ...]

    @classmethod
    def of(cls, version: ModelVersion) -> Manifest:
        """The manifest of a version."""
        record = ModelRecord(**{name: getattr(version, name) for name in ModelRecord.model_fields})
        return cls(record=record, artifact=version.artifact, files=version.files)

    def to_bytes(self) -> bytes:
        """As JSON, the same bytes everywhere. A field at its default is left out, so that new fields change nothing."""
        values: dict[str, Any] = {"format": self.format, **self.model_dump(mode="json", exclude_defaults=True)}
        return (json.dumps(values, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()

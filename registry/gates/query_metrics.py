"""The metrics of a model for every query of its test sets: a file of its folder, by which versions are compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import accumulate, pairwise
from pathlib import Path

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError, model_validator
from typing_extensions import Self

from registry.errors import DamagedArtifactError
from registry.records import Record
from registry.shared.wording import first_fault

FILE_NAME = "query_metrics.json"


class QueryMetrics(Record):
    """What was measured on a test set, query by query. It holds no text."""

    fingerprint: str = Field(
        pattern="^[0-9a-f]{64}$",
        description="digest of the documents, the queries in their order and the right answers",
    )
    sets: tuple[int, ...] = Field(min_length=1, description="queries of each joined set; one number for a single set")
    metrics: dict[str, tuple[FiniteFloat, ...]] = Field(description="by metric, a value for each query")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if min(self.sets) < 1 or any(len(values) != sum(self.sets) for values in self.metrics.values()):
            raise ValueError("expected one value for each query")
        return self

    @property
    def rows(self) -> list[slice]:
        """The queries of each set."""
        return [slice(start, end) for start, end in pairwise(accumulate(self.sets, initial=0))]


_FILE = TypeAdapter(dict[str, QueryMetrics])


def write_query_metrics(folder: Path, measured: Mapping[str, QueryMetrics]) -> None:
    """Write the file into a model folder.

    Args:
        folder: of the model.
        measured: by test set.
    """
    content = {name: found.model_dump(mode="json") for name, found in measured.items()}
    (folder / FILE_NAME).write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


def parse_query_metrics(content: bytes, where: str) -> dict[str, QueryMetrics]:
    """What was measured, by test set.

    Args:
        content: of the file.
        where: it is, for the error.

    Raises:
        DamagedArtifactError: the content is not what :func:`write_query_metrics` writes.
    """
    try:
        return _FILE.validate_json(content)
    except ValidationError as error:
        raise DamagedArtifactError(f"{where}: {FILE_NAME} cannot be read: {first_fault(error)}") from error

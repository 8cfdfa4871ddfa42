"""Variants of a model: the model as one graph for another runtime than torch, in a subfolder of the model folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal

import pydantic

from registry.errors import VariantError
from registry.model_folders.input_config import Kind

Backend = Literal["openvino-int8", "openvino", "onnx-int8", "onnx"]
"""A runtime and a precision."""

FOLDER = "variants"
RECORD = "variant.json"
TOKENIZER = "tokenizer.json"
GRAPHS = {"openvino": "model.xml", "onnx": "model.onnx"}
_PACKAGES = {"openvino": "openvino", "onnx": "onnxruntime"}
BACKENDS: tuple[Backend, ...] = ("openvino-int8", "openvino", "onnx-int8", "onnx")
"""In order of preference."""


class VariantRecord(pydantic.BaseModel):
    """The inputs of a variant's graph, and its metrics."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    backend: Backend
    inputs: list[str] = pydantic.Field(min_length=1)
    prompts: dict[Kind, str]
    max_length: int | None = pydantic.Field(gt=0)
    pad: int = pydantic.Field(ge=0)
    dimension: int = pydantic.Field(gt=0)
    dev: dict[str, float] = pydantic.Field(default_factory=dict, description="metric to value on the dev split")
    dev_model: dict[str, float] = pydantic.Field(default_factory=dict, description="the same for the model itself")


def runtime(backend: str) -> str:
    """``openvino`` or ``onnx``."""
    return backend.partition("-")[0]


def is_installed(backend: str) -> bool:
    """Whether the runtime of a backend is installed."""
    return importlib.util.find_spec(_PACKAGES[runtime(backend)]) is not None


def variant_folder(model: Path, backend: str) -> Path:
    """The folder of a variant in a model folder."""
    return model / FOLDER / backend


def stored_variants(model: Path) -> list[Backend]:
    """The variants that a model folder has, in the order of :data:`BACKENDS`."""
    return [backend for backend in BACKENDS if (variant_folder(model, backend) / RECORD).is_file()]


def read_variant(folder: Path) -> VariantRecord:
    """The record of a variant.

    Raises:
        VariantError: it is missing or invalid.
    """
    path = folder / RECORD
    try:
        return VariantRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VariantError(f"{path} is not what 'domain-router variants' writes: {error}") from error


def check_backend(name: str) -> Backend:
    """The backend of that name.

    Raises:
        VariantError: it is unknown.
    """
    for backend in BACKENDS:
        if backend == name:
            return backend
    raise VariantError(f"unknown backend {name}: expected {', '.join(BACKENDS)}")

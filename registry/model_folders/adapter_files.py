"""The JSON files of a LoRA adapter in a model folder; nothing here needs torch.

The folder is what sentence-transformers itself writes and loads (Hu et al., 2022, "LoRA: Low-Rank Adaptation of Large
Language Models"; the format is peft's), without weights and tokenizer, which its base model has already.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal, TypeVar

import pydantic

from registry.errors import BaseModelError
from registry.model_folders.input_config import MODEL_CONFIG, TRANSFORMER_CONFIG
from registry.records import BaseModelRecord
from registry.shared.digests import sha256_of

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
BASE_FILE = "base_model.json"
"""The record of the base model that the adapter was trained on."""

_File = TypeVar("_File", bound=pydantic.BaseModel)


class LoraSettings(pydantic.BaseModel):
    """All that ``adapter_config.json`` may say: peft has more kinds of adapters, some of which import code."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    peft_type: Literal["LORA"] = "LORA"
    base_model_name_or_path: str = pydantic.Field(description="for sentence-transformers itself; never read here")
    r: int = pydantic.Field(gt=0)
    lora_alpha: float = pydantic.Field(gt=0)
    target_modules: list[str] = pydantic.Field(min_length=1)
    exclude_modules: list[str] = []
    inference_mode: bool = True


def is_adapter(folder: Path) -> bool:
    """Whether a model folder holds an adapter rather than a whole model."""
    return (folder / CONFIG).is_file()


def read_settings(folder: Path) -> LoraSettings:
    """The settings of the adapter in a folder.

    Raises:
        BaseModelError: the folder holds none of this format.
    """
    return _read(folder / CONFIG, LoraSettings)


def base_of(folder: Path) -> BaseModelRecord:
    """The base model that an adapter was trained on.

    Raises:
        BaseModelError: the folder does not name it.
    """
    return _read(folder / BASE_FILE, BaseModelRecord)


def identity_of(folder: Path) -> str:
    """The digest of an adapter's weights and of the files that say how it takes its texts.

    Raises:
        BaseModelError: a file is missing or cannot be read.
    """
    try:
        digests = [sha256_of(folder / name) for name in (CONFIG, WEIGHTS, MODEL_CONFIG, TRANSFORMER_CONFIG)]
    except OSError as error:
        raise _not_an_adapter(folder, error) from error
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _read(path: Path, kind: type[_File]) -> _File:
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _not_an_adapter(path, error) from error


def _not_an_adapter(path: Path, error: Exception) -> BaseModelError:
    return BaseModelError(f"{path} is not what 'domain-router train --lora' writes: {error}")

"""Loads a model folder, a whole model or an adapter, without running code that comes with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import BaseModelError
from registry.model_folders.adapter_files import base_of, is_adapter
from registry.model_folders.adapters import attach_adapter
from registry.model_folders.base_models import BaseModelFiles, resolve_base_model
from registry.model_folders.input_config import InputConfig

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def load_sentence_transformer(
    folder: Path, base: BaseModelFiles | None = None, device: str | None = None, trust_remote_code: bool = False
) -> SentenceTransformer:
    """The model of a folder, from safetensors only. It takes its texts as :class:`InputConfig` says.

    Args:
        folder: a SentenceTransformer, or an adapter that training wrote.
        base: an open base model; an adapter of another one finds its own by its recorded name.
        device: as torch names it; by default a GPU where there is one.
        trust_remote_code: let a whole model, or the base model of an adapter, run code of its own.

    Raises:
        BaseModelError: the base model of the adapter is not available or has other weights, or the adapter is damaged.
    """
    from sentence_transformers import SentenceTransformer

    options = {"device": device, **loading_options(trust_remote_code)}
    if not is_adapter(folder):
        model = SentenceTransformer(str(folder), **options)
        InputConfig.of(model).apply(model)
        return model
    model = SentenceTransformer(str(find_base(folder, base).path), **options).float()  # as it was trained and measured
    attach_adapter(model, folder)
    return model


def loading_options(trust_remote_code: bool = False) -> dict[str, Any]:
    """Arguments for ``SentenceTransformer`` that keep it from running code or unpickling weights."""
    return {
        "trust_remote_code": trust_remote_code,
        "local_files_only": True,
        "model_kwargs": {"use_safetensors": True},
    }


def find_base(folder: Path, opened: BaseModelFiles | None) -> BaseModelFiles:
    """The base model with the very weights that the adapter of a folder was trained on.

    Raises:
        BaseModelError: it is not available, or has other weights.
    """
    wanted = base_of(folder)
    if opened is not None and opened.digest == wanted.weights_sha256:
        return opened
    try:
        found = resolve_base_model(wanted.name, wanted.revision)
    except BaseModelError as error:
        raise BaseModelError(
            f"adapter {folder} needs a base model with weights {wanted.weights_sha256}, which is not available: {error}"
        ) from error
    if found.digest != wanted.weights_sha256:
        raise BaseModelError(
            f"adapter {folder} was trained on {wanted.name} with weights {wanted.weights_sha256}, "
            f"but {found.path} has weights {found.digest}: use the model that it was trained on"
        )
    return found

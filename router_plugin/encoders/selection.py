"""Chooses what a model folder runs on: a variant for OpenVINO or ONNX Runtime, or None for torch."""

from __future__ import annotations

import importlib.util
import logging
from functools import partial
from pathlib import Path

from registry import BaseModelFiles
from registry.errors import VariantError
from registry.model_folders.compiled import CompiledModel
from registry.model_folders.variants import (
    Backend,
    check_backend,
    is_installed,
    runtime,
    stored_variants,
    variant_folder,
)
from registry.shared.build_cache import cached_folder

log = logging.getLogger(__name__)

AUTO = "auto"
TORCH = "torch"


def check_choice(backend: str) -> None:
    """Make sure that a setting names something to run on.

    Raises:
        VariantError: it does not, or the runtime is not installed.
    """
    if backend in (AUTO, TORCH):
        return
    if not is_installed(check_backend(backend)):
        raise VariantError(f"backend {backend} is not installed here: pip install 'domain-router[{runtime(backend)}]'")


def compiled_encoder(
    folder: Path, base: BaseModelFiles, backend: str, device: str | None, trust_remote_code: bool
) -> CompiledModel | None:
    """The variant of a model that shall be used.

    Args:
        folder: of the model; that of the base model has no variants stored, so one is made and kept on this machine.
        base: the base model.
        backend: ``auto``, the fastest that was stored with the model; ``torch``; or one by name, which models that do
            not have it, torch runs.
        device: variants are for the CPU; None for a GPU where torch finds one.
        trust_remote_code: let the base model run code of its own when its variant is made.

    Raises:
        VariantError: a stored variant is damaged.
    """
    variant = chosen_variant(folder, base, backend, device)
    if variant is None:
        return None
    if variant in stored_variants(folder):
        return CompiledModel(variant_folder(folder, variant))
    return _of_base(base, variant, trust_remote_code)


def chosen_variant(folder: Path, base: BaseModelFiles, backend: str, device: str | None) -> Backend | None:
    """Which variant of a model that is; None for torch. See :func:`compiled_encoder` for the arguments."""
    if backend == TORCH or not on_cpu(device):
        return None
    stored = [name for name in stored_variants(folder) if backend in (AUTO, name) and is_installed(name)]
    if stored:
        return stored[0]
    whole = backend != AUTO and folder == base.path  # of the base model in full precision, which nobody need measure
    return check_backend(runtime(backend)) if whole else None


def on_cpu(device: str | None) -> bool:
    """Whether models run on the CPU; None is for a GPU where torch finds one."""
    if device is not None or importlib.util.find_spec("torch") is None:
        return device in (None, "cpu")
    import torch

    return not torch.cuda.is_available()


def _of_base(base: BaseModelFiles, variant: Backend, trust_remote_code: bool) -> CompiledModel | None:
    """The base model's variant, made at its first use."""
    try:
        return CompiledModel(
            cached_folder("variants", f"{base.identity}-{variant}", partial(_make, base, variant, trust_remote_code))
        )
    except (VariantError, OSError) as error:
        log.warning("%s runs on torch: %s", base.name, error)
        return None


def _make(base: BaseModelFiles, backend: Backend, trust_remote_code: bool, folder: Path) -> None:
    from registry.model_folders.exporting import export
    from registry.model_folders.loading import load_sentence_transformer

    export(load_sentence_transformer(base.path, None, "cpu", trust_remote_code), folder, backend)

"""Chooses what a model folder runs on: a variant for OpenVINO or ONNX Runtime, or None for torch."""

from __future__ import annotations

import importlib.util
import logging
from functools import partial
from pathlib import Path

from registry import BaseModelFiles
from registry.errors import OutputError, VariantError
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
from router_plugin.errors import SettingsError

log = logging.getLogger(__name__)

AUTO = "auto"
TORCH = "torch"


def check_choice(backend: str, device: str | None) -> None:
    """Make sure that a backend and a device can be used here, and together; None for the default device.

    Raises:
        VariantError: the backend is unknown, its runtime is not installed, or it does not run on that device.
        SettingsError: the device cannot be used.
    """
    if backend in (AUTO, TORCH):
        check_device(device)
        return
    if not is_installed(check_backend(backend)):
        raise VariantError(f"`backend` {backend} is not installed: pip install 'domain-router[{runtime(backend)}]'")
    if device not in (None, "cpu"):
        raise VariantError(f"`backend` {backend} runs on the CPU only, and cannot be used with `device` {device}")


def check_device(name: str | None) -> None:
    """Make sure that torch can use a device here; None for its own choice.

    Raises:
        SettingsError: it cannot be used.
    """
    if name is not None and name != "cpu" and not _is_usable(name):
        known = ("cpu", *filter(_is_usable, ("cuda", "mps")))
        raise SettingsError(f"`device` {name}: cannot be used on this machine: expected {' or '.join(known)}")


def _is_usable(device: str) -> bool:
    try:
        import torch

        module = torch.get_device_module(device)
        return bool(module.is_available() and (torch.device(device).index or 0) < module.device_count())
    except (ImportError, RuntimeError, AttributeError):  # no torch, or an unknown kind of device
        return False


def compiled_encoder(
    folder: Path, base: BaseModelFiles, backend: str, device: str | None, trust_remote_code: bool
) -> CompiledModel | None:
    """The variant of a model that is used; None where torch runs it.

    Args:
        folder: of the model. The base model's folder has no variants: one is built and cached on this machine.
        base: the base model.
        backend: ``auto``, the fastest that is stored with the model; ``torch``; or a name. Torch runs the models that
            do not have it.
        device: variants run on the CPU only; None for a GPU where torch finds one.
        trust_remote_code: let the base model run its own code when its variant is built.

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
    """The name of that variant; None for torch. See :func:`compiled_encoder` for the arguments."""
    if backend == TORCH or not on_cpu(device):
        return None
    stored = [name for name in stored_variants(folder) if backend in (AUTO, name) and is_installed(name)]
    if stored:
        return stored[0]
    whole = backend != AUTO and folder == base.path  # the base model in full precision, which needs no measurement
    return check_backend(runtime(backend)) if whole else None


def on_cpu(device: str | None) -> bool:
    """Whether models run on the CPU; for None, whether torch finds no GPU."""
    if device is not None or importlib.util.find_spec("torch") is None:
        return device in (None, "cpu")
    import torch

    return not torch.cuda.is_available()


def _of_base(base: BaseModelFiles, variant: Backend, trust_remote_code: bool) -> CompiledModel | None:
    """The base model's variant, built at its first use."""
    try:
        return CompiledModel(
            cached_folder("variants", f"{base.identity}-{variant}", partial(_make, base, variant, trust_remote_code))
        )
    except (VariantError, OutputError, OSError) as error:
        log.warning("%s runs on torch: %s", base.name, error)
        return None


def _make(base: BaseModelFiles, backend: Backend, trust_remote_code: bool, folder: Path) -> None:
    from registry.model_folders.exporting import export
    from registry.model_folders.loading import load_sentence_transformer

    export(load_sentence_transformer(base.path, None, "cpu", trust_remote_code), folder, backend)

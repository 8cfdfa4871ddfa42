"""Chooses what a model folder runs on: a variant for OpenVINO or ONNX Runtime, or None for torch."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from registry import BaseModelFiles
from registry.errors import OutputError, VariantError
from registry.model_folders.compiled import CompiledModel
from registry.model_folders.variants import (
    BACKENDS,
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

SIMILAR = 0.95
"""Minimum mean cosine between the vectors of the base model and its int8 variant. That of a sound one is above 0.99."""

_REFUSED: set[str] = set()
"""The variants of base models that could not be made, in this process."""


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
    folder: Path,
    base: BaseModelFiles,
    backend: str,
    device: str | None,
    trust_remote_code: bool,
    texts: Callable[[], Sequence[str]],
) -> CompiledModel | None:
    """The variant of a model that is used; None where torch runs it.

    Args:
        folder: of the model. The base model's folder has no variants: one is made and kept on this machine.
        base: the base model.
        backend: ``auto``, the fastest that is stored with the model; ``torch``; or a name. Torch runs the models that
            do not have it.
        device: variants run on the CPU only; None for a GPU where torch finds one.
        trust_remote_code: let the base model run its own code when its variant is made.
        texts: queries by which an int8 variant of the base model is calibrated and checked.

    Raises:
        VariantError: a stored variant is damaged.
    """
    variant = chosen_variant(folder, base, backend, device)
    if variant is None:
        return None
    if variant in stored_variants(folder):
        return CompiledModel(variant_folder(folder, variant))
    made = variant_of_base(base, variant, trust_remote_code, texts)
    return CompiledModel(made) if made else None


def chosen_variant(folder: Path, base: BaseModelFiles, backend: str, device: str | None) -> Backend | None:
    """The name of that variant; None for torch. See :func:`compiled_encoder` for the arguments."""
    if backend == TORCH or not on_cpu(device):
        return None
    stored = [name for name in stored_variants(folder) if backend in (AUTO, name) and is_installed(name)]
    if stored:
        return stored[0]
    return check_backend(backend) if backend != AUTO and folder == base.path else None


def backend_of_base(folders: Iterable[Path], base: BaseModelFiles, backend: str, device: str | None) -> str:
    """What the base model runs on: for ``auto``, the first backend in their order that a model beside it runs on.

    Args:
        folders: of the models that are served beside it.
        base: the base model.
        backend: of the settings.
        device: likewise.
    """
    if backend != AUTO:
        return backend
    used = {chosen_variant(folder, base, backend, device) for folder in folders}
    return next((name for name in BACKENDS if name in used), TORCH)


def on_cpu(device: str | None) -> bool:
    """Whether models run on the CPU; for None, whether torch finds no GPU."""
    if device is not None or importlib.util.find_spec("torch") is None:
        return device in (None, "cpu")
    import torch

    return not torch.cuda.is_available()


def variant_of_base(
    base: BaseModelFiles, variant: Backend, trust_remote_code: bool, texts: Callable[[], Sequence[str]]
) -> Path | None:
    """The folder of the base model's variant, made now if it is not kept on this machine; None if it cannot be made.

    See :func:`compiled_encoder` for the arguments.
    """
    key = f"{base.identity}-{variant}"
    if key in _REFUSED:
        return None
    try:
        return cached_folder("variants", key, partial(_make, base, variant, trust_remote_code, texts))
    except (VariantError, OutputError, OSError, ImportError) as error:
        log.warning("%s runs on torch: %s", base.name, error)
        if isinstance(error, VariantError):
            _REFUSED.add(key)
        return None


def _make(
    base: BaseModelFiles,
    backend: Backend,
    trust_remote_code: bool,
    texts: Callable[[], Sequence[str]],
    folder: Path,
) -> None:
    """Export the base model; in full precision if its int8 variant has other vectors."""
    from registry.model_folders.exporting import CALIBRATION_TEXTS, export
    from registry.model_folders.loading import load_sentence_transformer

    log.warning("%s is exported for %s, once on this machine, which takes a while", base.name, backend)
    model = load_sentence_transformer(base.path, None, "cpu", trust_remote_code)
    queries = texts()
    some = queries[:: -(-len(queries) // CALIBRATION_TEXTS)]
    export(model, folder, backend, some)
    whole = check_backend(runtime(backend))
    if backend == whole:
        return
    wanted = model.encode_query(some, normalize_embeddings=True, show_progress_bar=False)
    similar = float(np.einsum("nd,nd->n", wanted, CompiledModel(folder).encode(some)).mean())
    if not similar >= SIMILAR:
        log.warning(
            "%s runs on %s: the vectors of %s have a cosine of %.2f with it", base.name, whole, backend, similar
        )
        for path in folder.iterdir():
            path.unlink()
        export(model, folder, whole)

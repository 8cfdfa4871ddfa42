"""Puts LoRA adapters on their base models, takes them off, and saves them, with peft."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from registry.errors import BaseModelError
from registry.model_folders.adapter_files import BASE_FILE, CONFIG, WEIGHTS, LoraSettings, read_settings
from registry.model_folders.input_config import TRANSFORMER_CONFIG, InputConfig

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel

    from registry.model_folders.base_models import BaseModelFiles

_PREFIX = "base_model.model."
_UNUSED = ["pooler.dense"]
"""Linear layers of a transformer that have no part in its token embeddings."""


def has_adapter(model: SentenceTransformer) -> bool:
    """Whether a model in memory has an adapter."""
    return bool(getattr(model.transformers_model, "peft_config", None))


def add_adapter(model: SentenceTransformer, rank: int) -> None:
    """Put a new adapter, which changes nothing yet, on all linear layers of the model's transformer.

    Its scale, alpha / rank, is 2, as is usual. There is no dropout: in a few hundred steps, interpolated, a small
    adapter has little to overfit with.

    Raises:
        BaseModelError: the model has no transformer with linear layers.
    """
    from peft import LoraConfig

    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", exclude_modules=_UNUSED)
    try:
        transformer(model).add_adapter(config)
    except ValueError as error:  # in peft's words
        raise BaseModelError(f"the base model cannot have a LoRA adapter: {error}") from error


def attach_adapter(model: SentenceTransformer, folder: Path) -> None:
    """Put an adapter from disk on its base model, which from then on takes its texts as the adapter does.

    Raises:
        BaseModelError: the folder holds no adapter of this format, or one that does not fit the model.
    """
    attach_weights(model, folder, "default")
    InputConfig.of_folder(folder, InputConfig.of(model)).apply(model)


def attach_weights(model: SentenceTransformer, folder: Path, name: str) -> None:
    """Put the weights of an adapter on its base model under a name, next to those that it may have already.

    Raises:
        BaseModelError: the folder holds no adapter of this format, or one that does not fit the model.
    """
    from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    options = read_settings(folder).model_dump(exclude={"peft_type", "base_model_name_or_path"})
    adapted = transformer(model)
    try:
        tensors = {key.removeprefix(_PREFIX): tensor.float() for key, tensor in load_file(folder / WEIGHTS).items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # several adapters are meant
            inject_adapter_in_model(LoraConfig(**options), adapted, name)
        found: Any = set_peft_model_state_dict(adapted, tensors, name)
        missing = [key for key in found.missing_keys if f".{name}." in key]
        if strange := sorted(missing) + sorted(found.unexpected_keys):
            raise ValueError(f"{strange[0]} does not fit")
        adapted._hf_peft_config_loaded = True
        adapted.set_adapter(name)
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise BaseModelError(f"{folder / WEIGHTS} is not an adapter of this base model: {error}") from error


def detach(model: SentenceTransformer, name: str) -> None:
    """Take the adapter of that name off the model; the others stay as they were."""
    from peft.functional import delete_adapter

    adapted = transformer(model)
    delete_adapter(adapted, name, prefix="lora_")
    getattr(adapted, "peft_config", {}).pop(name, None)


@contextmanager
def detach_on_error(model: SentenceTransformer, name: str) -> Iterator[None]:
    """Take the adapter of that name off the model if the block fails; the others stay as they were."""
    adapted = transformer(model)
    active = adapted.active_adapters() if has_adapter(model) else []
    try:
        yield
    except BaseException:
        if active:
            adapted.set_adapter(active)
        detach(model, name)
        raise


def save_adapter(model: SentenceTransformer, folder: Path, base: BaseModelFiles) -> None:
    """Write the adapter of a model, in half precision, with the modules' configuration and the base model's record."""
    from safetensors.torch import load_file, save_file

    model.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)
    for path in model.tokenizer.save_pretrained(str(folder)):  # once more, to learn which files these are
        Path(path).unlink(missing_ok=True)
    written = _read_json(folder / CONFIG)
    settings = LoraSettings(
        base_model_name_or_path=base.address,
        r=written["r"],
        lora_alpha=written["lora_alpha"],
        target_modules=sorted(written["target_modules"]),
        exclude_modules=_UNUSED,
    )
    _write_json(folder / CONFIG, settings.model_dump())
    _write_json(folder / BASE_FILE, base.record().model_dump())
    lengths = {"max_seq_length": model.max_seq_length} if model.max_seq_length else {}
    own = _read_json(folder / TRANSFORMER_CONFIG)
    _write_json(folder / TRANSFORMER_CONFIG, {**own, **lengths, "tokenizer_name_or_path": base.address})
    tensors = load_file(folder / WEIGHTS)
    save_file({name: tensor.half() for name, tensor in tensors.items()}, folder / WEIGHTS, metadata={"format": "pt"})


def transformer(model: SentenceTransformer) -> PreTrainedModel:
    """The one transformer in a SentenceTransformer.

    Raises:
        BaseModelError: it has none, or more than one.
    """
    from sentence_transformers.base.modules import Transformer

    found = [module.model for module in model.modules() if isinstance(module, Transformer)]
    if len(found) != 1:
        raise BaseModelError(f"the base model holds {len(found)} transformers: a LoRA adapter is for models with one")
    return cast("PreTrainedModel", found[0])


def _read_json(path: Path) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

"""LoRA adapters on disk: what such a model folder holds, and how an adapter gets onto its base model and off it.

The folder is what sentence-transformers itself writes and loads (Hu et al., 2022, "LoRA: Low-Rank Adaptation of Large
Language Models"; the format is peft's), without what its base model has already: weights and tokenizer.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import pydantic

from registry.errors import BaseModelError
from registry.records import BaseModelRecord
from registry.shared.digests import sha256_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel

    from registry.model_folders.base_models import BaseModelFiles

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
BASE_FILE = "base_model.json"

_MODEL_CONFIG = "config_sentence_transformers.json"
_TRANSFORMER_CONFIG = "sentence_bert_config.json"
_PREFIX = "base_model.model."
_UNUSED = ["pooler.dense"]
"""Linear layers of a transformer that have no part in its token embeddings."""


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
    """Whether a model folder holds an adapter, and no whole model."""
    return (folder / CONFIG).is_file()


def base_of(folder: Path) -> BaseModelRecord:
    """The base model that an adapter was trained on.

    Raises:
        BaseModelError: the folder does not say.
    """
    return _read(folder / BASE_FILE, BaseModelRecord)


def identity_of(folder: Path) -> str:
    """The digest of an adapter's weights and of the files that say how it reads texts.

    Raises:
        BaseModelError: the folder does not hold them.
    """
    try:
        digests = [sha256_of(folder / name) for name in (CONFIG, WEIGHTS, _MODEL_CONFIG, _TRANSFORMER_CONFIG)]
    except OSError as error:
        raise BaseModelError(f"{folder} is not what 'domain-router train --lora' writes: {error}") from error
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


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
        raise BaseModelError(f"the base model can have no LoRA adapter: {error}") from error


def attach_adapter(model: SentenceTransformer, folder: Path) -> None:
    """Put an adapter from disk on its base model, which from then on has the maximum length and prompts of the adapter.

    Raises:
        BaseModelError: the folder holds no adapter of this format, or one that does not fit the model.
    """
    attach_weights(model, folder, "default")
    reading = reading_of(model, folder)
    model.prompts, model.default_prompt_name = reading.prompts, reading.default_prompt_name
    model.max_seq_length = reading.max_length


@dataclass(frozen=True)
class Reading:
    """How a model takes its texts: prompts by name, the one that counts where none is named, tokens it reads."""

    prompts: dict[str, str | None]
    default_prompt_name: str | None
    max_length: int | None


def reading_of(model: SentenceTransformer, folder: Path) -> Reading:
    """How a base model takes its texts with an adapter from that folder."""
    own = _read_json(folder / _MODEL_CONFIG)
    length = _read_json(folder / _TRANSFORMER_CONFIG).get("max_seq_length", model.max_seq_length)
    return Reading(own.get("prompts", model.prompts), own.get("default_prompt_name"), length)


def attach_weights(model: SentenceTransformer, folder: Path, name: str) -> None:
    """Put an adapter from disk, under a name, beside those that its base model may have already.

    Raises:
        BaseModelError: the folder holds no adapter of this format, or one that does not fit the model.
    """
    from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    settings = _read(folder / CONFIG, LoraSettings)
    options = settings.model_dump(exclude={"peft_type", "base_model_name_or_path"})
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
        raise BaseModelError(f"{folder / WEIGHTS} is no adapter of this base model: {error}") from error


@contextmanager
def detach_on_error(model: SentenceTransformer, name: str) -> Iterator[None]:
    """Take the adapter of that name off the model if what the context does fails; the others stay as they were."""
    from peft.functional import delete_adapter

    adapted = transformer(model)
    active = adapted.active_adapters() if has_adapter(model) else []
    try:
        yield
    except BaseException:
        if active:
            adapted.set_adapter(active)
        delete_adapter(adapted, name, prefix="lora_")
        getattr(adapted, "peft_config", {}).pop(name, None)
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
    own = _read_json(folder / _TRANSFORMER_CONFIG)
    _write_json(folder / _TRANSFORMER_CONFIG, {**own, **lengths, "tokenizer_name_or_path": base.address})
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


_Checked = TypeVar("_Checked", bound=pydantic.BaseModel)


def _read(path: Path, kind: type[_Checked]) -> _Checked:
    try:
        return kind.model_validate(_read_json(path))
    except (OSError, ValueError) as error:
        raise BaseModelError(f"{path} is not what 'domain-router train --lora' writes: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

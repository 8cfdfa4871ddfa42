"""Loads a model folder, a whole model or an adapter, without running code that comes with it, and tries the model.

What many published models lack is supplied when they are loaded: a padding token, and a maximum length for which the
model has positions. :func:`try_model` finds other faults in seconds, before long work would.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from registry.errors import BaseModelError
from registry.model_folders.adapter_files import base_of, is_adapter
from registry.model_folders.adapters import attach_adapter
from registry.model_folders.base_models import BaseModelFiles, resolve_base_model
from registry.model_folders.input_config import InputConfig, Kind, position_limit
from registry.model_folders.tokenizer import QueryReader, shared_tokens, tokens_of
from registry.shared.wording import first_line

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)

PROBES = ("what is the capital of France", "seven green apples lie on a table, 12 more in a box")
LONGEST = 512
"""Tokens of the longest text that is tried: of longer ones, a large model would take minutes."""
_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What torch and transformers raise for a model that does not fit together."""
_TOLD: set[tuple[Path, int]] = set()


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
    options = {"device": device, **loading_options(trust_remote_code)}
    if not is_adapter(folder):
        model = _loaded(folder, options)
        InputConfig.of(model).apply(model)
        return model
    model = _loaded(find_base(folder, base).path, options).float()  # as it was trained and measured
    attach_adapter(model, folder)
    _complete(model, folder)
    return model


def _loaded(folder: Path, options: Mapping[str, Any]) -> SentenceTransformer:
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(str(folder), **options)
    except (*_FAULTS, OSError, ImportError, SafetensorError) as error:
        advice = ": `trust_remote_code` lets it" if "trust_remote_code" in str(error) else ""
        raise BaseModelError(f"model {folder} cannot be loaded: {first_line(error)}{advice}") from error
    _complete(model, folder)
    return model


def _complete(model: SentenceTransformer, folder: Path) -> None:
    """Supply what the model's files lack."""
    from sentence_transformers.base.modules import Transformer

    for module in model.modules():
        if isinstance(module, Transformer):
            _supply_padding(module.tokenizer, folder)
            _limit_length(module, folder)


def _supply_padding(tokenizer: Any, folder: Path) -> None:
    """Let texts be padded with another token where there is none for it: the model does not look at it anyway."""
    if getattr(tokenizer, "pad_token", "") is not None:
        return
    found = next(filter(None, (tokenizer.eos_token, tokenizer.unk_token, tokenizer.sep_token)), None)
    if found is None:
        raise BaseModelError(f"model {folder}: its tokenizer has no padding token, nor another one to pad with")
    tokenizer.pad_token = found


def _limit_length(module: Any, folder: Path) -> None:
    limit = position_limit(module.model)
    if limit is not None and (module.max_seq_length is None or module.max_seq_length > limit):
        if (folder, limit) not in _TOLD:
            log.warning("model %s: texts are cut at %d tokens, as it has no positions for more", folder, limit)
            _TOLD.add((folder, limit))
        module.max_seq_length = limit


def try_model(model: SentenceTransformer, name: str, longest: int = LONGEST) -> None:
    """Encode a few texts as queries and as documents, one of them as long as the model reads.

    Args:
        model: to be tried.
        name: of the model, for errors.
        longest: tokens of the long text, if the model's limit is not lower.

    Raises:
        BaseModelError: the model cannot encode them, or its vectors are not usable: of another dimension than it says,
            not finite, or the same for different texts.
    """
    kinds: tuple[Kind, ...] = ("query", "document")
    for kind in kinds:
        tokens = tokens_of(model, kind)
        readable = tokens is None or all(tokens.read(text).unread < 1 for text in PROBES)
        first, second = (_tried(model, name, kind, text) for text in PROBES)
        if readable and not (first.any() and second.any()):
            raise BaseModelError(f"model {name} cannot be used: it gives the vector 0 for a text")
        if readable and np.allclose(_unit(first), _unit(second), atol=1e-6):
            raise BaseModelError(f"model {name} cannot be used: it gives the same vector for different texts")
        limit = min(InputConfig.of(model).max_length or longest, longest)
        _tried(model, name, kind, "word " * limit, f" of {limit} tokens, which its maximum length allows")


def _tried(model: SentenceTransformer, name: str, kind: Kind, text: str, which: str = "") -> NDArray[np.float32]:
    encode = model.encode_query if kind == "query" else model.encode_document
    try:
        vector: NDArray[np.float32] = np.asarray(encode([text], show_progress_bar=False)[0], dtype=np.float32)
    except _FAULTS as error:
        raise BaseModelError(f"model {name} cannot encode a text{which}: {_fault(error)}") from error
    dimension = model.get_embedding_dimension()
    if dimension is not None and vector.shape != (dimension,):
        raise BaseModelError(
            f"model {name} cannot be used: its vectors have {vector.shape[-1]} dimensions, but it says {dimension}"
        )
    if not np.isfinite(vector).all():
        raise BaseModelError(f"model {name} cannot be used: its vectors are not finite numbers")
    return vector


def _fault(error: Exception) -> str:
    if isinstance(error, KeyError) and error.args == ("sentence_embedding",):
        return "it has no module for pooling"
    if isinstance(error, IndexError):
        return f"its tokenizer or its maximum length goes beyond its weights ({first_line(error)})"
    return first_line(error)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vector / np.linalg.norm(vector)
    return unit


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


def query_reader(folder: Path, base: BaseModelFiles) -> QueryReader | None:
    """How the model of a folder reads queries, of any length, without loading it; None where its files do not say.

    Args:
        folder: a SentenceTransformer, or an adapter that training wrote.
        base: see :func:`load_sentence_transformer`.
    """
    plain = InputConfig({"query": "", "document": ""}, None, None)
    try:
        whole = find_base(folder, base).path if is_adapter(folder) else folder
        config = InputConfig.of_folder(folder, InputConfig.of_folder(whole, plain))
        return QueryReader(shared_tokens(_tokenizer_of(whole), None), config.prompt("query"))
    except (BaseModelError, OSError, ValueError, LookupError, TypeError):
        return None


def _tokenizer_of(folder: Path) -> str:
    """The content of the ``tokenizer.json`` of a whole model."""
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    return Path(folder, modules[0]["path"], "tokenizer.json").read_text(encoding="utf-8")

"""One resident base model on torch, and the adapters of many domains on it: a batch of several domains is one pass."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from peft.tuners.lora import LoraLayer
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer

from registry import BaseModel
from registry.adapters import Reading, attach_weights, is_adapter, reading_of
from registry.loading import load_sentence_transformer
from registry.tokens import Tokens, by_length, features, shared_tokens

BATCH = 32
_NO_ADAPTER = "__base__"
"""What peft calls the base model in a batch of several adapters."""


class SharedBase:
    """A base model whose adapters take their rows of a batch each. Safe to use from several threads."""

    def __init__(self, model: SentenceTransformer) -> None:
        self.model = model
        self._lock = threading.Lock()
        self._names = (f"adapter-{number}" for number in count())
        self._members: dict[Path, SharedEncoder] = {}
        self._hooked: set[int] = set()
        self._rows: list[str] = []
        own = Reading(self.model.prompts, self.model.default_prompt_name, self.model.max_seq_length)
        self.base = SharedEncoder(self, _NO_ADAPTER, own)

    def member(self, folder: Path) -> SharedEncoder:
        """The encoder of the base model or of an adapter of it, whose weights are loaded at the first call."""
        if not is_adapter(folder):
            return self.base
        with self._lock:
            if folder not in self._members:
                name = next(self._names)
                attach_weights(self.model, folder, name)
                self._hook()
                self._members[folder] = SharedEncoder(self, name, reading_of(self.model, folder))
            return self._members[folder]

    def encode(self, asked: Sequence[tuple[SharedEncoder, str]]) -> NDArray[np.float32]:
        """Unit vectors of texts, each by the encoder beside it: ``(n, d)``."""
        rows = [encoder.key(text) for encoder, text in asked]
        vectors = np.empty((len(rows), self.model.get_embedding_dimension() or 0), dtype=np.float32)
        for batch in by_length(rows, BATCH):
            with self._lock, torch.inference_mode():
                self._rows = [asked[index][0].adapter for index in batch]
                answer = self.model(self._features([rows[index] for index in batch]))
                unit = torch.nn.functional.normalize(answer["sentence_embedding"], dim=-1)
                vectors[batch] = unit.cpu().numpy()
        return vectors

    def _features(self, rows: Sequence[Sequence[int]]) -> dict[str, Any]:
        tokenizer = self.model.tokenizer
        read = {*tokenizer.model_input_names, "input_ids", "attention_mask"}
        fed = features(rows, tokenizer.pad_token_id or 0, read)
        return {name: torch.from_numpy(part).to(self.model.device) for name, part in fed.items()}

    def _hook(self) -> None:
        """Let every layer that has adapters know whose each row of a batch is."""
        for layer in self.model.modules():
            if isinstance(layer, LoraLayer) and id(layer) not in self._hooked:
                layer.register_forward_pre_hook(self._name_rows, with_kwargs=True)
                self._hooked.add(id(layer))

    def _name_rows(self, layer: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, {**kwargs, "adapter_names": self._rows}


class SharedEncoder:
    """One domain's encoder on a shared base model."""

    nbytes = 0
    runtime = "torch"

    def __init__(self, shared: SharedBase, adapter: str, reading: Reading) -> None:
        self.shared = shared
        self.adapter = adapter
        prompts = reading.prompts
        self._prompt = prompts.get("query", prompts.get(reading.default_prompt_name or "", "")) or ""
        tokenizer = shared.model.tokenizer.backend_tokenizer.to_str()
        self._tokens: Tokens = shared_tokens(tokenizer, reading.max_length)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, ``(n, d)``."""
        return self.shared.encode([(self, text) for text in texts])

    def truncates(self, text: str) -> bool:
        """Whether the text, after the prompt for queries, has more tokens than the model reads."""
        return self._tokens.truncates(self._prompt + text)

    def key(self, text: str) -> tuple[int, ...]:
        """The tokens of a query."""
        return self._tokens.ids(self._prompt + text)


_SHARED: WeakValueDictionary[tuple[str, str | None], SharedBase] = WeakValueDictionary()
_NOT_SHARED: set[str] = set()
_LOADING = threading.Lock()
_PROBES = ["what is it?", "the second of two questions is longer than the first"]


def shared_base(base: BaseModel, device: str | None, trust_remote_code: bool) -> SharedBase | None:
    """This process's one such model of a base model on a device, for as long as anybody holds it or a member of it.

    None where the model is of a kind that :class:`SharedBase` cannot run.
    """
    key = (base.digest, device)
    with _LOADING:
        known = _SHARED.get(key)
        if known is None and base.digest not in _NOT_SHARED:
            known = _share(load_sentence_transformer(base.path, None, device, trust_remote_code).float().eval())
            if known is None:
                _NOT_SHARED.add(base.digest)
            else:
                _SHARED[key] = known
        return known


def _share(model: SentenceTransformer) -> SharedBase | None:
    if not isinstance(model[0], Transformer) or not getattr(model.tokenizer, "is_fast", False):
        return None
    shared = SharedBase(model)
    wanted = model.encode_query(_PROBES, normalize_embeddings=True, show_progress_bar=False)
    found = shared.base.encode(_PROBES)
    return shared if np.allclose(found, wanted, atol=1e-3) else None

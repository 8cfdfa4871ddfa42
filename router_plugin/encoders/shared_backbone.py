"""One base model on torch with the adapters of many domains: a batch of several domains is one forward pass."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary, ref

import numpy as np
import torch
from numpy.typing import NDArray
from peft.tuners.lora import LoraLayer
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from torch import Tensor

from registry import BaseModelFiles
from registry.model_folders.adapter_files import identity_of, is_adapter
from registry.model_folders.adapters import attach_weights, detach, detach_on_error
from registry.model_folders.input_config import InputConfig
from registry.model_folders.loading import load_sentence_transformer, try_model
from registry.model_folders.tokenizer import QueryReader, by_length, features, shared_tokens
from router_plugin.encoders.torch_encoder import TRIED

BATCH = 32
_NO_ADAPTER = "__base__"
"""peft's name for the base model in a batch of several adapters."""


class SharedBackbone:
    """A base model whose adapters each process their own rows of a batch. Safe to use from several threads."""

    def __init__(self, model: SentenceTransformer) -> None:
        self.model = model
        self._lock = threading.RLock()  # held while a new member is tried, which encodes
        self._names = (f"adapter-{number}" for number in count())
        self._members: WeakValueDictionary[str, SharedEncoder] = WeakValueDictionary()
        self._attached: dict[str, ref[SharedEncoder]] = {}
        self._hooked: set[int] = set()
        self._rows: list[str] = []
        self._plain = {_NO_ADAPTER}
        self._alone: str | None = None
        self._inputs = InputConfig.of(model)
        self.base = SharedEncoder(self, _NO_ADAPTER, self._inputs)

    def member(self, folder: Path) -> SharedEncoder:
        """The encoder of the base model or of an adapter of it.

        The adapter's weights are loaded at the first call, and stay as long as somebody holds the encoder.
        """
        if not is_adapter(folder):
            return self.base
        identity = identity_of(folder)  # the same path may hold another adapter later
        with self._lock:
            encoder = self._members.get(identity)
            if encoder is None:
                self._detach_unused()
                encoder = self._members[identity] = self._attach(folder, next(self._names))
            return encoder

    def _detach_unused(self) -> None:
        """Free the adapters whose encoders nobody holds any more: of versions that are not served after a reload."""
        for name in [name for name, encoder in self._attached.items() if encoder() is None]:
            detach(self.model, name)
            self._plain.discard(name)
            del self._attached[name]

    def _attach(self, folder: Path, name: str) -> SharedEncoder:
        with torch.inference_mode(False), detach_on_error(self.model, name):  # weights made in it take no other adapter
            attach_weights(self.model, folder, name)
            self._hook()
            encoder = SharedEncoder(self, name, InputConfig.of_folder(folder, self._inputs))
            self._try_alone(encoder)
        self._attached[name] = ref(encoder)
        return encoder

    def encode(self, pairs: Sequence[tuple[SharedEncoder, str]]) -> NDArray[np.float32]:
        """Unit vectors, ``(n, d)``, of texts, each by the encoder that it is paired with."""
        rows = [encoder.key(text) for encoder, text in pairs]
        vectors = np.empty((len(rows), self.model.get_embedding_dimension() or 0), dtype=np.float32)
        for batch in by_length(rows, BATCH):
            with self._lock, torch.inference_mode():
                self._adapt([pairs[index][0].adapter for index in batch])
                answer = self.model(self._features([rows[index] for index in batch]))
                unit = torch.nn.functional.normalize(answer["sentence_embedding"], dim=-1)
                vectors[batch] = unit.cpu().numpy()
        return vectors

    def _features(self, rows: Sequence[Sequence[int]]) -> dict[str, Any]:
        tokenizer = self.model.tokenizer
        read = {*tokenizer.model_input_names, "input_ids", "attention_mask"}
        fed = features(rows, tokenizer.pad_token_id or 0, read)
        return {name: torch.from_numpy(part).to(self.model.device) for name, part in fed.items()}

    def _adapt(self, rows: list[str]) -> None:
        """Set the adapter of each row of the next batch."""
        self._rows = rows
        self._alone = rows[0] if rows[0] in self._plain and len(set(rows)) == 1 else None

    def _hook(self) -> None:
        """Replace the forward function of every layer with adapters."""
        for layer in self.model.modules():
            if isinstance(layer, LoraLayer) and id(layer) not in self._hooked:
                layer.forward = partial(self._forward, layer, layer.forward)
                self._hooked.add(id(layer))

    def _forward(self, layer: Any, mixed: Callable[..., Tensor], states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """A layer's output: for a single adapter by two small products, for several by peft."""
        if self._alone is None:
            return mixed(states, *args, adapter_names=self._rows, **kwargs)
        output: Tensor = layer.get_base_layer()(states)
        if self._alone in layer.lora_A:
            down, up = layer.lora_A[self._alone].weight, layer.lora_B[self._alone].weight
            inner = states.reshape(-1, states.shape[-1]) @ down.T
            output.view(-1, output.shape[-1]).addmm_(inner, up.T, alpha=layer.scaling[self._alone])
        return output

    def _try_alone(self, encoder: SharedEncoder) -> None:
        """Mark an adapter as plain if the two products give the same vectors as peft."""
        wanted = encoder.encode(_PROBES)
        self._plain.add(encoder.adapter)
        if not np.allclose(encoder.encode(_PROBES), wanted, atol=1e-4):
            self._plain.remove(encoder.adapter)


class SharedEncoder:
    """The encoder of one domain on a shared base model."""

    nbytes = 0
    runtime = "torch"

    def __init__(self, shared: SharedBackbone, adapter: str, inputs: InputConfig) -> None:
        self.shared = shared
        self.adapter = adapter
        tokenizer = shared.model.tokenizer.backend_tokenizer.to_str()
        self.reader = QueryReader(shared_tokens(tokenizer, inputs.max_length), inputs.prompt("query"))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, ``(n, d)``."""
        return self.shared.encode([(self, text) for text in texts])

    def truncates(self, text: str) -> bool:
        """Whether the text, after the prompt for queries, has more tokens than the model reads."""
        return self.reader.read(text).truncated

    def unread(self, text: str) -> float:
        """The fraction of a query's words that the model does not know."""
        return self.reader.read(text).unread

    def key(self, text: str) -> tuple[int, ...]:
        """The tokens of a query."""
        return self.reader.read(text).ids


_Key = tuple[str, str | None, bool]
_SHARED: WeakValueDictionary[_Key, SharedBackbone] = WeakValueDictionary()
_NOT_SHARED: set[_Key] = set()
_LOADING = threading.Lock()
_PROBES = ["what is it?", "the second of two questions is longer than the first"]


def shared_backbone(base: BaseModelFiles, device: str | None, trust_remote_code: bool) -> SharedBackbone | None:
    """The one shared model of this process for a base model and a device. It lives as long as somebody holds a member.

    None if :class:`SharedBackbone` cannot run this kind of model.

    Raises:
        BaseModelError: the files of the base model were changed since it was opened.
    """
    key = (base.identity, device, trust_remote_code)
    with _LOADING:
        known = _SHARED.get(key)
        if known is None and key not in _NOT_SHARED:
            base.check()
            with torch.inference_mode(False):
                model = load_sentence_transformer(base.path, None, device, trust_remote_code).float().eval()
            try_model(model, base.name, TRIED)
            known = _share(model)
            if known is None:
                _NOT_SHARED.add(key)
            else:
                _SHARED[key] = known
        return known


def _share(model: SentenceTransformer) -> SharedBackbone | None:
    if not isinstance(model[0], Transformer) or not getattr(model.tokenizer, "is_fast", False):
        return None
    shared = SharedBackbone(model)
    wanted = model.encode_query(_PROBES, normalize_embeddings=True, show_progress_bar=False)
    found = shared.base.encode(_PROBES)
    return shared if np.allclose(found, wanted, atol=1e-3) else None


def _after_fork() -> None:
    """In a forked process: another thread may have held the locks of these models, and will never let them go."""
    global _LOADING
    _SHARED.clear()
    _LOADING = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)

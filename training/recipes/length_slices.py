"""Runs a batch on a CPU in slices of texts with similar lengths, which saves padding, and long texts memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

SLICE = 16
"""Texts in a slice."""
KEPT_BYTES = 4 << 30
"""Memory that the activations of one column of a batch (queries, positives or negatives) may take. Those of a column
that needs more are computed again, a slice at a time, and those of a single text that needs more a layer at a time
(Chen et al., 2016, "Training Deep Nets with Sublinear Memory Cost")."""
MEASURED_TOKENS = 256
"""Tokens of a text by which it is measured how much a token needs."""
PAIR_BYTES = 12
"""Memory that a pair of tokens of one text needs: masks of attention, in float32, while they are made."""


@contextmanager
def in_slices(model: SentenceTransformer) -> Iterator[None]:
    """Let the model run every batch in slices, each without the padding that only longer texts need.

    The embeddings and their gradients are the same; only dropout draws differently.
    """
    vars(model)["forward"] = _SlicedForward(model)
    try:
        yield
    finally:
        del vars(model)["forward"]


class _SlicedForward:
    """Takes the place of a model's ``forward``."""

    def __init__(self, model: SentenceTransformer) -> None:
        self._model = model
        self._whole = model.forward
        self._token_bytes: dict[Any, float] = {}

    def __call__(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        mask = features.get("attention_mask")
        if mask is None:
            return self._whole(features, **options)
        lengths = mask.sum(dim=1)
        order = lengths.argsort()
        token_bytes = self._bytes_of_a_token(features, int(order[-1]), options)
        needs = [length * (token_bytes + PAIR_BYTES * length) for length in lengths.tolist()]
        slices = list(order.split(SLICE))
        kept = sum(len(rows) * needs[int(rows[-1])] for rows in slices) <= KEPT_BYTES
        if kept and len(slices) == 1:
            return self._whole(features, **options)
        if not kept:
            slices = _within(order, needs, KEPT_BYTES)
        embeddings = []
        for rows in slices:
            sliced, by_layer = _part(features, mask, rows), needs[int(rows[-1])] > KEPT_BYTES
            if kept or not torch.is_grad_enabled():
                embeddings.append(self._embed(sliced, options, False))
            else:
                embeddings.append(checkpoint(self._embed, sliced, options, by_layer, use_reentrant=False))
        return {**features, "sentence_embedding": torch.cat(embeddings)[order.argsort()]}

    def _embed(self, features: dict[str, Any], options: dict[str, Any], by_layer: bool) -> Tensor:
        with _layer_by_layer(self._model if by_layer else None):
            embedding: Tensor = self._whole({**features}, **options)["sentence_embedding"]
        return embedding

    def _bytes_of_a_token(self, features: dict[str, Any], row: int, options: dict[str, Any]) -> float:
        """What a token needs, by the first ones of a row; measured once for queries, and once for documents."""
        task, mask = options.get("task"), features["attention_mask"]
        if task not in self._token_bytes:
            text = _part(features, mask, torch.tensor([row]))
            first = torch.arange(text["attention_mask"].shape[1], device=mask.device) < MEASURED_TOKENS
            short = _part(text, text["attention_mask"] * first, torch.tensor([0]))
            self._token_bytes[task] = self._bytes_kept(short, options) / max(1, short["attention_mask"].shape[1])
        return self._token_bytes[task]

    def _bytes_kept(self, features: dict[str, Any], options: dict[str, Any]) -> int:
        """Bytes that a pass keeps for its gradients, besides the weights."""
        weights = {weight.untyped_storage().data_ptr() for weight in self._model.parameters()}
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
        with torch.random.fork_rng(), torch.enable_grad(), hooks:
            output = self._whole({**features}, **options)
        del output  # storages have to live until all are counted, or two could have one address
        return sum(size for address, size in kept.items() if address not in weights)


def _within(order: Tensor, needs: Sequence[float], limit: int) -> list[Tensor]:
    """Rows in slices that need no more than the limit, with the longest text of each last, or of a single text."""
    slices: list[list[int]] = []
    for row in order.tolist():
        if slices and (len(slices[-1]) + 1) * needs[row] <= limit:
            slices[-1].append(row)
        else:
            slices.append([row])
    return [torch.tensor(rows) for rows in slices]


def _part(features: dict[str, Any], mask: Tensor, rows: Tensor) -> dict[str, Any]:
    """Rows of a batch, without columns that none of them needs."""
    read = mask[rows].any(dim=0)
    return {name: value[rows][:, read] if _by_token(value, mask) else value for name, value in features.items()}


def _by_token(value: Any, mask: Tensor) -> bool:
    return torch.is_tensor(value) and value.shape == mask.shape


@contextmanager
def _layer_by_layer(model: SentenceTransformer | None) -> Iterator[None]:
    """Let a model's transformers keep the activations of no layer, if they can; those of no model for None."""
    modules = model.modules() if model else ()
    readers = [part for part in modules if isinstance(part, PreTrainedModel) and part.supports_gradient_checkpointing]
    for reader in readers:
        reader.gradient_checkpointing_enable(  # type: ignore[no-untyped-call]
            gradient_checkpointing_kwargs={"use_reentrant": False}
        )
    try:
        yield
    finally:
        for reader in readers:
            reader.gradient_checkpointing_disable()  # type: ignore[no-untyped-call]

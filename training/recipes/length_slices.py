"""Runs a batch in slices of texts with similar lengths, which saves a CPU most of the padding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

SLICE = 16
"""Texts in a slice."""


@contextmanager
def in_slices(model: SentenceTransformer) -> Iterator[None]:
    """Let the model run every batch in slices, each without the padding that only longer texts need.

    The embeddings and their gradients are the same; only dropout draws differently.
    """
    whole = model.forward

    def forward(features: dict[str, Any], **options: Any) -> dict[str, Any]:
        mask = features.get("attention_mask")
        if mask is None or len(mask) <= SLICE:
            return whole(features, **options)
        order = mask.sum(dim=1).argsort()
        embeddings = []
        for rows in order.split(SLICE):
            read = mask[rows].any(dim=0)
            sliced = {
                name: value[rows][:, read] if torch.is_tensor(value) and value.shape == mask.shape else value
                for name, value in features.items()
            }
            embeddings.append(whole(sliced, **options)["sentence_embedding"])
        return {**features, "sentence_embedding": torch.cat(embeddings)[order.argsort()]}

    vars(model)["forward"] = forward
    try:
        yield
    finally:
        del vars(model)["forward"]

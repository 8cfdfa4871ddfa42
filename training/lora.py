"""LoRA in the training loop: which weights are trained, and an adapter interpolated with the untouched base model."""

from __future__ import annotations

import torch
from sentence_transformers import SentenceTransformer

from registry.adapters import add_adapter, has_adapter


def train_adapter_only(model: SentenceTransformer, rank: int, seed: int) -> None:
    """Freeze all weights but those of the model's adapter, which is made where there is none yet."""
    if not has_adapter(model):
        torch.manual_seed(seed)
        add_adapter(model, rank)
    for name, weight in model.named_parameters():
        weight.requires_grad_(".lora_" in name)


def scale_adapter(model: SentenceTransformer, share: float) -> None:
    """Move a model with an adapter towards its base model: ``share`` of its own weights, the rest of the base's.

    The weights of a layer are W + s B A, of which W is the base's, so that is the same as share times B.
    """
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_B." in name:
                weight.mul_(share)

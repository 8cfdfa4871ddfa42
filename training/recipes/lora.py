"""LoRA in the training loop: which weights are trained."""

from __future__ import annotations

import torch
from sentence_transformers import SentenceTransformer

from registry.model_folders.adapters import add_adapter, has_adapter


def train_adapter_only(model: SentenceTransformer, rank: int, seed: int) -> None:
    """Freeze all weights but those of the model's adapter, which is made where there is none yet."""
    if not has_adapter(model):
        torch.manual_seed(seed)
        add_adapter(model, rank)
    for name, weight in model.named_parameters():
        weight.requires_grad_(".lora_" in name)

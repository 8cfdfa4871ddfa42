"""The modules of a SentenceTransformer: one chain, or one for each branch of a Router."""

from __future__ import annotations

import math
from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, StaticEmbedding
from torch import nn
from transformers.tokenization_utils_base import VERY_LARGE_INTEGER


def branches(model: SentenceTransformer) -> dict[str, list[nn.Module]]:
    """The chain of modules of each branch, by name; without a Router, the one chain is named ``""``."""
    names = [name for module in model if isinstance(module, Router) for name in module.sub_modules] or [""]
    return {name: [part for module in model for part in _parts(module, name)] for name in names}


def has_static_embeddings(model: SentenceTransformer) -> bool:
    """Whether a branch has a table of token embeddings instead of a transformer: gradients cannot be cached for it."""
    return any(isinstance(chain[0], StaticEmbedding) for chain in branches(model).values())


def describe_model(model: SentenceTransformer) -> dict[str, Any]:
    """Dimension, maximum length in tokens, pooling, and whether the model normalises its vectors.

    For a model with branches for queries and documents: the longer length, and the pooling of each.
    """
    chains = branches(model)
    limits = [getattr(chain[0], "max_seq_length", None) or math.inf for chain in chains.values()]
    return {
        "dimension": model.get_embedding_dimension(),
        "max_length": max((limit for limit in limits if limit < VERY_LARGE_INTEGER), default=None),
        "pooling": ", ".join(f"{name} {_pooling(chain)}".strip() for name, chain in chains.items()),
        "normalized": all(any(isinstance(module, Normalize) for module in chain) for chain in chains.values()),
    }


def _parts(module: nn.Module, branch: str) -> list[nn.Module]:
    return list(module.sub_modules[branch].children()) if isinstance(module, Router) else [module]


def _pooling(chain: list[nn.Module]) -> str:
    modes = [module.pooling_mode for module in chain if isinstance(module, Pooling)]
    return "+".join(mode if isinstance(mode, str) else "+".join(mode) for mode in modes) or "none"

"""The modules that a text passes in a SentenceTransformer: one chain, or one for each branch of a Router."""

from __future__ import annotations

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router
from torch import nn


def branches(model: SentenceTransformer) -> dict[str, list[nn.Module]]:
    """The chain of modules of every branch by its name; without a Router the one chain is called ``""``."""
    names = [name for module in model if isinstance(module, Router) for name in module.sub_modules] or [""]
    return {name: [part for module in model for part in _parts(module, name)] for name in names}


def _parts(module: nn.Module, branch: str) -> list[nn.Module]:
    return list(module.sub_modules[branch].children()) if isinstance(module, Router) else [module]

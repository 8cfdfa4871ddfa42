"""Loads SentenceTransformers and turns texts into unit vectors, longest texts first, with a progress bar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from registry.base_models import loading_options
from training.errors import TrainingError
from training.progress import bar

BLOCK = 512


def load_model(folder: Path, device: str | None = None, trust_remote_code: bool = False) -> SentenceTransformer:
    """A model from a local folder, safetensors only."""
    if device is not None:
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:  # in torch's words: unknown, not there, not compiled in
            raise TrainingError(f"--device {device} cannot be used: {str(error).splitlines()[0]}") from error
    return SentenceTransformer(str(folder), device=device, **loading_options(trust_remote_code))


def encode(
    model: SentenceTransformer,
    texts: Sequence[str],
    kind: Literal["query", "document"],
    batch_size: int,
    what: str,
) -> NDArray[np.float32]:
    """Unit vectors of texts, ``(n, d)``.

    Texts are taken longest first, so that a batch holds texts of like length and memory runs out at once if at all.
    """
    encode_block = model.encode_query if kind == "query" else model.encode_document
    order = np.argsort([-len(text) for text in texts], kind="stable")
    vectors = np.empty((len(texts), model.get_embedding_dimension() or 0), dtype=np.float32)
    with bar(f"encoding {what}", len(texts)) as advance:
        for start in range(0, len(order), BLOCK):
            block = order[start : start + BLOCK]
            vectors[block] = encode_block(
                [texts[index] for index in block],
                batch_size=batch_size,
                show_progress_bar=False,
                normalize_embeddings=True,
            )
            advance(len(block))
    return vectors

"""Loads SentenceTransformers and writes the unit vectors of texts, longest texts first, with a progress bar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from registry import BaseModel
from registry.loading import load_sentence_transformer
from training.errors import TrainingError
from training.progress import bar
from training.vectors import StoredVectors

BLOCK = 512


def load_model(
    folder: Path, device: str | None = None, trust_remote_code: bool = False, base: BaseModel | None = None
) -> SentenceTransformer:
    """A whole model or an adapter from a local folder, its weights in float32.

    See :func:`registry.loading.load_sentence_transformer`.

    Raises:
        TrainingError: torch cannot use the device.
    """
    if device is not None:
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:  # in torch's words: unknown, not there, not compiled in
            raise TrainingError(f"--device {device} cannot be used: {str(error).splitlines()[0]}") from error
    model = load_sentence_transformer(folder, base, device, trust_remote_code).float()
    # sentence-transformers adds an empty prompt ``document``, which then hides one that is called otherwise
    others = (model.prompts.get(name) for name in ("document", "passage", "corpus"))
    model.prompts["document"] = next(filter(None, others), "")
    return model


def encode(
    model: SentenceTransformer,
    texts: Sequence[str],
    kind: Literal["query", "document"],
    batch_size: int,
    what: str,
    path: Path,
) -> StoredVectors:
    """Write the unit vectors of texts into a ``.npy`` file, ``(n, d)``, block by block.

    Texts are taken longest first, so that a batch holds texts of like length and memory runs out at once if at all.
    """
    encode_block = model.encode_query if kind == "query" else model.encode_document
    order = np.argsort([-len(text) for text in texts], kind="stable")
    vectors = StoredVectors.create(path, len(texts), model.get_embedding_dimension() or 0)
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

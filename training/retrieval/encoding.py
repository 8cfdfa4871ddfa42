"""Loads SentenceTransformers and writes the unit vectors of texts, longest texts first, with a progress bar."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import get_device_name

from registry import BaseModelFiles
from registry.model_folders.compiled import CompiledModel
from registry.model_folders.exporting import export
from registry.model_folders.input_config import Kind
from registry.model_folders.loading import load_sentence_transformer
from registry.model_folders.variants import Backend
from registry.shared.wording import first_line
from training.errors import TrainingError
from training.retrieval.vectors import StoredVectors
from training.runs.progress import bar

BLOCK = 512
ENCODED_TOKENS = 1 << 14
"""Tokens encoded at a time on torch: fewer long texts than ``encode_batch`` says, for the sake of memory."""
BYTES_PER_TOKEN = 3
"""Of UTF-8, at least, in most texts."""


def resolve_device(device: str | None) -> str:
    """The device of that name; by default a GPU if available.

    Raises:
        TrainingError: torch cannot use it.
    """
    if device is None:
        return get_device_name()
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch's words: unknown, not available, not compiled in
        raise TrainingError(f"`device` {device} cannot be used: {first_line(error)}") from error
    return device


def load_model(
    folder: Path, device: str | None = None, trust_remote_code: bool = False, base: BaseModelFiles | None = None
) -> SentenceTransformer:
    """A whole model or an adapter from a local folder, its weights in float32.

    See :func:`registry.model_folders.loading.load_sentence_transformer`.
    """
    return load_sentence_transformer(folder, base, device, trust_remote_code).float()


class BlockEncoder(Protocol):
    """Encodes a block of texts: a model on torch, or a variant for another runtime."""

    dimension: int

    def encode(self, texts: Sequence[str], kind: Kind, batch_size: int) -> NDArray[np.float32]:
        """Unit vectors, ``(n, d)``."""


class TorchBlocks:
    """A SentenceTransformer as it is."""

    def __init__(self, model: SentenceTransformer) -> None:
        self.dimension = model.get_embedding_dimension() or 0
        self._longest = model.max_seq_length or math.inf
        self._encode = {"query": model.encode_query, "document": model.encode_document}

    def encode(self, texts: Sequence[str], kind: Kind, batch_size: int) -> NDArray[np.float32]:
        """Unit vectors, ``(n, d)``; texts come longest first."""
        vectors, start = np.empty((len(texts), self.dimension), np.float32), 0
        while start < len(texts):
            fitting = self._fitting(texts[start])
            end = len(texts) if fitting >= batch_size else start + fitting
            vectors[start:end] = self._encode[kind](
                list(texts[start:end]), batch_size=batch_size, show_progress_bar=False, normalize_embeddings=True
            )
            start = end
        return vectors

    def _fitting(self, text: str) -> int:
        """How many texts of that length are encoded at a time."""
        tokens = min(self._longest, len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN + 1)
        return max(1, int(ENCODED_TOKENS / tokens))


def compiled_blocks(model: SentenceTransformer, backend: Backend, folder: Path) -> CompiledModel:
    """A variant of a model, made anew in that folder.

    Raises:
        VariantError: the model is of a kind that cannot be exported, or a package that this needs is missing.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    export(model, folder, backend)
    return CompiledModel(folder, torch.get_num_threads())


def encode(
    encoder: BlockEncoder,
    texts: Sequence[str],
    kind: Kind,
    batch_size: int,
    what: str,
    path: Path,
) -> StoredVectors:
    """Write the unit vectors of texts into a ``.npy`` file, ``(n, d)``, block by block.

    Texts are encoded longest first, so that a batch has texts of similar lengths, and memory runs out at the start or
    not at all.

    Raises:
        TrainingError: a vector is not finite. It could not be ranked: not-a-number counts as the highest score.
    """
    vectors = StoredVectors.create(path, len(texts), encoder.dimension)
    encode_into(vectors, encoder, texts, kind, batch_size, what)
    return vectors


def longest_first(texts: Sequence[str]) -> NDArray[np.int64]:
    """The positions of texts in the order in which they are encoded, ``(n,)``."""
    return np.argsort(np.fromiter((-len(text) for text in texts), np.int64, len(texts)), kind="stable")


def encode_into(
    vectors: StoredVectors | NDArray[np.float32],
    encoder: BlockEncoder,
    texts: Sequence[str],
    kind: Kind,
    batch_size: int,
    what: str,
) -> None:
    """The same into vectors that are there, ``(n, d)``."""
    order = longest_first(texts)
    with bar(f"encoding {what}", len(texts)) as advance:
        for start in range(0, len(order), BLOCK):
            block = order[start : start + BLOCK]
            found = encoder.encode([texts[index] for index in block], kind, batch_size)
            if not np.isfinite(found).all():
                text = texts[block[int(np.isfinite(found).all(axis=1).argmin())]]
                raise TrainingError(
                    f"encoding {what}: the vector of {text!r:.80} is not finite: the weights are damaged or overflow: "
                    "take another `base_model`, or a lower `learning_rate` if it was trained before"
                )
            vectors[block] = found
            advance(len(block))

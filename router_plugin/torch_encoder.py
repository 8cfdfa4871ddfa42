"""An encoder that runs a SentenceTransformer on torch."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from registry.base_models import loading_options


class TorchEncoder:
    """Encodes texts as queries: a route's utterances are example queries."""

    def __init__(self, folder: Path, device: str | None = None, trust_remote_code: bool = False) -> None:
        self._model = SentenceTransformer(str(folder), device=device, **loading_options(trust_remote_code))
        self._lock = threading.Lock()  # a fast tokenizer refuses to be used by two threads at a time

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, ``(n, d)``."""
        with self._lock:
            vectors: NDArray[np.float32] = self._model.encode_query(
                list(texts), normalize_embeddings=True, show_progress_bar=False
            )
        return vectors

    def truncates(self, text: str) -> bool:
        """Whether the text has more tokens than the model reads."""
        limit = self._model.max_seq_length
        if limit is None:
            return False
        with self._lock:
            return len(self._model.tokenizer(text, truncation=False, verbose=False)["input_ids"]) > limit

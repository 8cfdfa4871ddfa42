"""An encoder that runs a SentenceTransformer on torch."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router
from torch import Tensor

from registry import BaseModelFiles
from registry.model_folders.input_config import InputConfig
from registry.model_folders.loading import load_sentence_transformer


class TorchEncoder:
    """Encodes texts as queries: a route's utterances are example queries."""

    runtime = "torch"

    def __init__(
        self,
        folder: Path,
        device: str | None = None,
        trust_remote_code: bool = False,
        base: BaseModelFiles | None = None,
    ) -> None:
        self._model = load_sentence_transformer(folder, base, device, trust_remote_code)
        self._prompt = InputConfig.of(self._model).prompt("query")
        self.nbytes = sum(part.nbytes for part in self._model.state_dict().values() if isinstance(part, Tensor))
        self._lock = threading.Lock()  # a fast tokenizer must not be used by two threads at a time

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, ``(n, d)``."""
        with self._lock:
            vectors: NDArray[np.float32] = self._model.encode_query(
                list(texts), normalize_embeddings=True, show_progress_bar=False
            )
        return vectors

    def key(self, text: str) -> str:
        """The text itself."""
        return text

    def truncates(self, text: str) -> bool:
        """Whether the text, after the model's prompt for queries, has more tokens than the model reads."""
        reader = _reader(self._model)
        limit = getattr(reader, "max_seq_length", None)
        if limit is None or limit == math.inf:
            return False
        asked = self._prompt + text
        with self._lock:
            return bool(len(reader.tokenizer(asked, truncation=False, verbose=False)["input_ids"]) > limit)


def _reader(model: SentenceTransformer) -> Any:
    """The module that turns queries into tokens; a Router has one for queries and another for documents."""
    first: Any = model[0]
    if not isinstance(first, Router):
        return first
    branches: Any = first.sub_modules
    return branches["query" if "query" in branches else first.default_route][0]

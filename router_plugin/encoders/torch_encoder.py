"""An encoder that runs a SentenceTransformer on torch."""

from __future__ import annotations

import math
import threading
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router
from torch import Tensor

from registry import BaseModelFiles
from registry.model_folders.input_config import InputConfig
from registry.model_folders.loading import load_sentence_transformer, try_model
from registry.model_folders.tokenizer import QueryReader, tokens_of
from router_plugin.cosines import unit

TRIED = 16
"""Tokens of the longest text that a model is tried on when it is loaded: a query waits for it."""


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
        try_model(self._model, str(folder), TRIED)
        self._prompt = InputConfig.of(self._model).prompt("query")
        self.reader = _query_reader(self._model, self._prompt)
        self.nbytes = sum(part.nbytes for part in self._model.state_dict().values() if isinstance(part, Tensor))
        self._lock = threading.Lock()  # a fast tokenizer must not be used by two threads at a time

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, ``(n, d)``."""
        with self._lock:
            vectors = self._model.encode_query(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return unit(vectors)

    def key(self, text: str) -> Hashable:
        """The tokens of a query; the text itself where the model has no fast tokenizer."""
        return self.reader.read(text).ids if self.reader else text

    def unread(self, text: str) -> float:
        """The fraction of a query's words that the model does not know; 0 where it has no fast tokenizer."""
        return self.reader.read(text).unread if self.reader else 0.0

    def truncates(self, text: str) -> bool:
        """Whether the text, after the model's prompt for queries, has more tokens than the model reads."""
        if self.reader:
            return self.reader.read(text).truncated
        first = _first_module(self._model)
        limit = getattr(first, "max_seq_length", None)
        if limit is None or limit == math.inf:
            return False
        asked = self._prompt + text
        with self._lock:
            return bool(len(first.tokenizer(asked, truncation=False, verbose=False)["input_ids"]) > limit)


def _query_reader(model: SentenceTransformer, prompt: str) -> QueryReader | None:
    """What reads the model's queries; None where their module has no fast tokenizer."""
    tokens = tokens_of(model)
    return QueryReader(tokens, prompt) if tokens else None


def _first_module(model: SentenceTransformer) -> Any:
    """The module that turns queries into tokens; a Router has one for queries and another for documents."""
    first: Any = model[0]
    if not isinstance(first, Router):
        return first
    branches: Any = first.sub_modules
    return branches["query" if "query" in branches else first.default_route][0]

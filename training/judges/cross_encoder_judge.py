"""A cross-encoder as relevance judge: its score, from 0 to 1, mapped to grades."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence

import numpy as np
from sentence_transformers import CrossEncoder
from torch import nn

from registry.model_folders.base_models import weights_sha256
from registry.model_folders.input_config import position_limit
from registry.model_folders.loading import LONGEST
from registry.paths import is_path, local_path
from registry.shared.wording import first_line
from training.errors import TrainingError
from training.judges.grades import Grade
from training.runs.progress import track

GRADES_FROM = (0.1, 0.5, 0.9)
"""The lowest scores of grades 1, 2 and 3."""
BATCH = 32
BLOCK = 512
"""Pairs between two moves of the progress bar."""


class CrossEncoderJudge:
    """Scores each query with each document in one pass of a model with one output, the logit of relevance."""

    def __init__(self, name: str, device: str | None = None, trust_remote_code: bool = False) -> None:
        """
        Args:
            name: folder of a sentence-transformers cross-encoder, or its id on the Hub. Only safetensors are read.
            device: as torch names it.
            trust_remote_code: let the model run its own code.

        Raises:
            TrainingError: the model is not found, or has more than one output.
            BaseModelError: the folder has no weights in safetensors format.
        """
        folder = local_path(name, TrainingError, "`judge_model`")
        name = str(folder) if folder.is_dir() or is_path(name) else name
        content = f", weights {weights_sha256(folder)[:12]}" if folder.is_dir() else ""
        self.identity = f"cross-encoder {name}{content}, grades from {GRADES_FROM}"
        self._model = _load(name, device, trust_remote_code)

    def grade(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[list[Grade]]:
        """For each query with documents, the grade of each document."""
        pairs = [(query, document) for query, documents in asked for document in documents]
        if not pairs:
            return [[] for _ in asked]
        blocks = [pairs[start : start + BLOCK] for start in range(0, len(pairs), BLOCK)]
        scores = [score for block in track(blocks, "judging relevance") for score in self._scores(block)]
        grades = iter([bisect(GRADES_FROM, score) for score in scores])
        return [[next(grades) for _ in documents] for _, documents in asked]

    def _scores(self, pairs: list[tuple[str, str]]) -> list[float]:
        scores = self._model.predict(pairs, batch_size=BATCH, activation_fn=nn.Sigmoid(), show_progress_bar=False)
        return [float(score) for score in scores]


def _load(name: str, device: str | None, trust_remote_code: bool) -> CrossEncoder:
    try:
        model: CrossEncoder = CrossEncoder(
            name, device=device, trust_remote_code=trust_remote_code, model_kwargs={"use_safetensors": True}
        )
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"`judge_model` {name}: not found locally, and could not be downloaded from the Hugging Face Hub "
            f"({first_line(error)})"
        ) from error
    if model.num_labels != 1:
        raise TrainingError(f"`judge_model` {name}: has {model.num_labels} outputs: expected one")
    _try(model, name)
    return model


def _try(model: CrossEncoder, name: str) -> None:
    """Grade a pair of texts as long as the model reads, before long work."""
    limit = position_limit(model[0])
    if limit is not None and (model.max_length is None or model.max_length > limit):
        model.max_length = limit
    length = min(model.max_length or LONGEST, LONGEST)
    try:
        scores = model.predict([("a query", "a document"), ("word " * length,) * 2], show_progress_bar=False)
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        raise TrainingError(f"`judge_model` {name}: cannot grade texts: {first_line(error)}") from error
    if not np.isfinite(scores).all():
        raise TrainingError(f"`judge_model` {name}: its scores are not finite numbers")

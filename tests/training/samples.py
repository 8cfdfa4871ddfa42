"""Pairs that a tiny model can learn from, and short ways to prepare them and to run code in another process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from registry.model_folders.loading import PROBES
from tests import warm
from tests.conftest import ROOT
from training import Contrastive, PreparedData, PrepareOptions, prepare, read_prepared
from training.sources.pairs import Pair, Pairs

KEYS = ["apple", "bridge", "castle", "desert", "engine", "forest", "garden", "hammer", "island", "jungle", "kitchen"]
FILLERS = ["please", "kindly", "tell", "something", "about", "general", "matters", "which", "people", "often", "wish"]

LEARNING = Contrastive(
    min_steps=20, max_epochs=20, learning_rate=1e-2, interpolation_weight=1.0, batch_size=8, mix_ratio=0
)
QUICK = Contrastive(iterations=1, min_steps=1, learning_rate=1e-3, batch_size=8, mix_ratio=0)


def word_pairs() -> list[Pair]:
    """Texts of noise; a question and its answer have two key words in common, and no other pair has the same two."""
    draw = np.random.default_rng(0)
    return [
        Pair(" ".join([*draw.choice(FILLERS, 8), *keys]), " ".join([*keys, *draw.choice(FILLERS, 12)]))
        for keys in combinations(KEYS, 2)
    ]


def filler_pairs() -> list[Pair]:
    """Pairs that have only noise in common: who learns to read over it loses them."""
    draw = np.random.default_rng(1)
    drawn = [draw.choice(FILLERS, 5) for _ in range(30)]
    return [Pair(" ".join(words), " ".join([*words[::-1], *draw.choice(FILLERS, 3)])) for words in drawn]


def prepared(pairs: Sequence[Pair], folder: Path, **options: Any) -> PreparedData:
    """The pairs as prepared data in ``folder``."""
    prepare(Pairs("samples", list(pairs)), folder, PrepareOptions(**options))
    return read_prepared(folder)


def run_python(code: str, *arguments: object, cold: bool = False) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, with warm imports or none, in the root of the project, with one thread."""
    command = [sys.executable if cold else warm.command("python"), "-c", code, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


@contextmanager
def texts_encoded() -> Iterator[Counter[tuple[str, str]]]:
    """How often each text is encoded within the block, by the name of the method and the text, but for trial texts."""
    encoded: Counter[tuple[str, str]] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("encode_document", "encode_query"):
            original = getattr(SentenceTransformer, kind)

            def counting(self, texts, *args, original=original, kind=kind, **options):  # type: ignore[no-untyped-def]
                encoded.update((kind, text) for text in texts if not is_trial(text))
                return original(self, texts, *args, **options)

            patch.setattr(SentenceTransformer, kind, counting)
        yield encoded


class Crash(BaseException):
    """Power that fails."""


@contextmanager
def steps_trained(limit: int | None = None) -> Iterator[list[int]]:
    """The steps begun within the block, by those that the run had taken before; power fails after ``limit`` of them.

    A checkpoint is written after every step.
    """
    from training.recipes.trainer import MinedBatchTrainer

    begun: list[int] = []
    original = MinedBatchTrainer.training_step

    def counting(self, *arguments, **options):  # type: ignore[no-untyped-def]
        if len(begun) == limit:
            raise Crash
        begun.append(self.state.global_step)
        return original(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MinedBatchTrainer, "training_step", counting)
        patch.setattr("training.runs.checkpoints.INTERVAL", 0.0)
        yield begun


def is_trial(text: str) -> bool:
    """Whether a base model is only tried on it."""
    return text in PROBES or set(text.split()) == {"word"}


@contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    """Fail where the block hangs."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

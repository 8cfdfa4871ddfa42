"""What training tests share: one torch thread, and models trained once for many tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from registry import BaseModelFiles
from tests.training.samples import LEARNING, prepared, word_pairs
from training import PreparedData, TrainingJob, adapt
from training.reporting.report import TrainingReport


class Trained(NamedTuple):
    """A finished run."""

    data: PreparedData
    out: Path
    report: TrainingReport


@pytest.fixture(scope="session", autouse=True)
def one_thread(quick_maps: None) -> Iterator[None]:
    """Models this small only lose by threads, and sums then have one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_base: BaseModelFiles) -> Trained:
    """Two iterations on data that can be learned."""
    folder = tmp_path_factory.mktemp("trained")
    data = prepared(word_pairs(), folder / "data", test_size=0.3)
    report = adapt(TrainingJob(data, "words", tiny_base, LEARNING, device="cpu"), folder / "out")
    return Trained(data, folder / "out", report)

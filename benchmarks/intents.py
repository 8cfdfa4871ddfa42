"""Reads CLINC150's in-scope queries, and counts how many have their intent by a vote of the nearest."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from voting import vote


class Labelled(NamedTuple):
    """Texts, and the label of each."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]


def read_intents(file: Path) -> tuple[Labelled, Labelled]:
    """The training and the test queries with their intents; those out of scope are left out."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["intent"]]
    known, asked = ([(row["text"], row["intent"]) for row in rows if row["part"] == part] for part in ("train", "test"))
    return Labelled(*zip(*known, strict=True)), Labelled(*zip(*asked, strict=True))


def accuracy(known: Labelled, asked: Labelled, near: NDArray[np.float32], queries: NDArray[np.float32]) -> float:
    """Fraction of queries whose intent is right by a vote of the 5 nearest training queries.

    Args:
        known: training queries.
        asked: test queries.
        near: unit vectors of the training queries, ``(n, d)``.
        queries: those of the test queries, ``(q, d)``.
    """
    voted = vote(queries, near, known.labels)
    return round(float(np.mean([label == right for label, right in zip(voted, asked.labels, strict=True)])), 4)

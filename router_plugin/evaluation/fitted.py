"""Thresholds and confidence that were fitted to labelled queries, as a router uses them and as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pydantic
from numpy.typing import NDArray
from scipy.special import expit

from registry.errors import OutputError
from registry.paths import PathLike, local_path
from registry.shared.outputs import write_atomically
from registry.shared.wording import first_fault
from router_plugin.errors import FittedError

Floats = NDArray[np.float64]


class Fitted(pydantic.BaseModel):
    """What was fitted to labelled queries, and for which models.

    Attributes:
        thresholds: route to its minimum score.
        confidence: weights of :func:`features`, the constant first; empty where there were too few queries.
        made_for: the settings and model versions that it was fitted with, by name.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    thresholds: dict[str, float]
    confidence: tuple[float, ...]
    made_for: dict[str, str]

    def save(self, path: PathLike) -> None:
        """Write it as JSON, atomically.

        Raises:
            FittedError: it cannot be written.
        """
        try:
            write_atomically(path, self.model_dump_json(indent=2) + "\n")
        except OutputError as error:
            raise FittedError(str(error)) from error

    @classmethod
    def load(cls, path: PathLike) -> Fitted:
        """Read it.

        Raises:
            FittedError: the file cannot be read, or is not what :meth:`save` writes.
        """
        path = local_path(path, FittedError)
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise FittedError(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise FittedError(f"{path}: is not UTF-8 text") from error
        except pydantic.ValidationError as error:
            raise FittedError(
                f"{path}: is not what 'domain-router routes fit' writes: {first_fault(error, 'the file')}"
            ) from error

    def with_thresholds(self, thresholds: Mapping[str, float]) -> Fitted:
        """The same confidence with other thresholds."""
        return self.model_copy(update={"thresholds": dict(thresholds)})

    def differences(self, wanted: Mapping[str, str]) -> list[str]:
        """The names of settings and models that it was not fitted with."""
        return sorted(name for name, value in wanted.items() if self.made_for.get(name) != value)


NOT_FITTED = Fitted(thresholds={}, confidence=(), made_for={})
"""What a router uses before it was fitted."""


def confidence(weights: Sequence[float], score: float, other: float, probability: float) -> float:
    """Probability that a route is right.

    Args:
        weights: see :attr:`Fitted.confidence`.
        score: of the route.
        other: the best score of another route.
        probability: of the query's domain.
    """
    row = features(np.array([score]), np.array([other]), np.array([probability]))
    return float(expit(weights[0] + row[0] @ np.array(weights[1:])))


def features(scores: Floats, others: Floats, probabilities: Floats) -> Floats:
    """What the confidence of a route depends on, ``(n, 3)``: score, lead over the next route, domain probability.

    Cosines are multiplied by 10, so that their weights are about as large as the probability's.
    """
    return np.stack([10 * scores, 10 * (scores - others), probabilities], axis=1)

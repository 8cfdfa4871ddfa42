"""Thresholds and weights that were fitted to labelled queries, as a router uses them and as a file."""

from __future__ import annotations

from collections.abc import Mapping

import pydantic

from registry.errors import OutputError
from registry.paths import PathLike, local_path
from registry.shared.outputs import write_atomically
from registry.shared.wording import first_fault
from router_plugin.errors import FittedError
from router_plugin.evaluation.outcomes import DEFAULT_WEIGHTS, OutcomeWeights


class Fitted(pydantic.BaseModel):
    """What was fitted to labelled queries, and for which models.

    Attributes:
        thresholds: route to its minimum score where its domain is certain.
        weights: of what may come of a route.
        made_for: the settings and model versions that it was fitted with, by name.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    thresholds: dict[str, float]
    weights: OutcomeWeights
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
        """The same weights with other thresholds."""
        return self.model_copy(update={"thresholds": dict(thresholds)})

    def differences(self, wanted: Mapping[str, str]) -> list[str]:
        """The names of settings and models that it was not fitted with."""
        return sorted(name for name, value in wanted.items() if self.made_for.get(name) != value)


NOT_FITTED = Fitted(thresholds={}, weights=DEFAULT_WEIGHTS, made_for={})
"""What a router uses before it was fitted."""

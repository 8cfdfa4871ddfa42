"""Prepared folders and other values that an option takes by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.prepared import PreparedData


def named(option: str, value: str, given: Sequence[str]) -> dict[str, str]:
    """Values by name from ``NAME=VALUE``, each name once."""
    from training.errors import TrainingError

    found: dict[str, str] = {}
    for text in given:
        name, _, rest = text.partition("=")
        if not name or not rest:
            raise TrainingError(f"{option} {text}: expected NAME={value}")
        if name in found:
            raise TrainingError(f"{option} {text}: {name} is given twice: choose another name")
        found[name] = rest
    return found


def named_numbers(option: str, value: str, given: Sequence[str]) -> dict[str, float]:
    """Numbers by name from ``NAME=NUMBER``."""
    from training.errors import TrainingError

    found = {}
    for name, text in named(option, value, given).items():
        try:
            found[name] = float(text)
        except ValueError:
            raise TrainingError(f"{option} {name}={text}: expected a number from 0 to 1") from None
    return found


def prepared_sets(option: str, given: Sequence[str]) -> dict[str, PreparedData]:
    """Prepared folders by name from ``NAME=DIR``."""
    from training.prepared import read_prepared

    return {name: read_prepared(Path(folder)) for name, folder in named(option, "DIR", given).items()}


def joined_sets(option: str, given: Sequence[str]) -> PreparedData:
    """Prepared folders as one, from ``NAME=DIR`` or ``DIR``, which is called as the folder."""
    from training.joining import join

    folders = [
        text if "=" in text and not Path(text).exists() else f"{Path(text).absolute().name}={text}" for text in given
    ]
    return join(prepared_sets(option, folders))

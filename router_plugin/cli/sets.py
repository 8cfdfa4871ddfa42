"""Prepared folders and other values that an option takes by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    return _read({name: Path(folder) for name, folder in named(option, "DIR", given).items()})


def joined_sets(option: str, given: Sequence[str]) -> PreparedData:
    """Prepared folders as one, from ``NAME=DIR`` or ``DIR``, which is called as the folder."""
    from training.errors import TrainingError
    from training.joining import join

    found: dict[str, Path] = {}
    for text in given:
        alone = Path(text).is_dir() or "=" not in text
        ((name, folder),) = [(Path(text).resolve().name, text)] if alone else named(option, "DIR", [text]).items()
        if name in found:
            raise TrainingError(f"{option} {text}: {name} is given twice: choose another name, by NAME=DIR")
        found[name] = Path(folder)
    return join(_read(found))


def _read(folders: Mapping[str, Path]) -> dict[str, PreparedData]:
    from training.prepared import read_prepared

    return {name: read_prepared(folder) for name, folder in folders.items()}

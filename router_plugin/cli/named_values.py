"""Prepared folders and other values that an option takes by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.prepared.format import PreparedData


def named(option: str, value: str, given: Sequence[str]) -> dict[str, str]:
    """Values by name from ``NAME=VALUE``, each name once."""
    return _each_once(option, given, [_halves(option, value, text) for text in given])


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
    return _read(named(option, "DIR", given))


def joined_sets(option: str, given: Sequence[str]) -> PreparedData:
    """Prepared folders as one, from ``NAME=DIR`` or ``DIR``, which is called as the folder."""
    from training.prepared.joined import join

    pairs = [
        (Path(text).resolve().name, text) if Path(text).is_dir() or "=" not in text else _halves(option, "DIR", text)
        for text in given
    ]
    return join(_read(_each_once(option, given, pairs)))


def _halves(option: str, value: str, text: str) -> tuple[str, str]:
    from training.errors import TrainingError

    name, _, rest = text.partition("=")
    if not name or not rest:
        raise TrainingError(f"{option} {text}: expected NAME={value}")
    return name, rest


def _each_once(option: str, given: Sequence[str], pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    from training.errors import TrainingError

    found: dict[str, str] = {}
    for text, (name, value) in zip(given, pairs, strict=True):
        if name in found:
            raise TrainingError(f"{option} {text}: {name} is given twice: choose another name")
        found[name] = value
    return found


def _read(folders: Mapping[str, str]) -> dict[str, PreparedData]:
    from training.prepared.format import read_prepared

    return {name: read_prepared(Path(folder)) for name, folder in folders.items()}

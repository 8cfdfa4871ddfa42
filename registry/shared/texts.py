"""Texts as every reader of them needs them, and what stands in place of a text."""

import math
import unicodedata
from numbers import Real
from typing import Any


def clean(text: str) -> str:
    """The text in normal form C, without white space around it, and without unpaired surrogates.

    No tokenizer can read those, and each may read other normal forms in another way.
    """
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8")).strip()


def shortened(text: str, length: int) -> str:
    """The beginning of a text of more characters, with an ellipsis."""
    return text if len(text) <= length else f"{text[:length]}…"


def is_missing(value: Any) -> bool:
    """Whether a value stands for a missing one: None, NaN, or pandas' NA and NaT, which need not be installed."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real) and math.isnan(value)

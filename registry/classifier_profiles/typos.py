"""Artificial typing errors, from which a classifier learns what misspelt queries look like."""

from __future__ import annotations

import random
import string

RATE = 0.1


def misspell(text: str, draw: random.Random, rate: float = RATE) -> str:
    """The text with some of its characters left out, replaced, followed by another, or swapped with the previous one.

    Args:
        text: any.
        draw: decides where and how.
        rate: expected fraction of the characters with an error.
    """
    made: list[str] = []
    for character in text:
        error = draw.randrange(4) if draw.random() < rate else None
        if error == 0:
            continue
        if error == 1:
            made.append(draw.choice(string.ascii_lowercase))
        elif error == 2:
            made += [character, draw.choice(string.ascii_lowercase)]
        elif error == 3 and made:
            made.insert(len(made) - 1, character)
        else:
            made.append(character)
    return "".join(made)

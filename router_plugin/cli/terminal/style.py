"""What terminals show: text that cannot steer them, and colours where they are wanted."""

from __future__ import annotations

import os
import re
from typing import IO, TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console

Tone = Literal["green", "yellow", "red"]
"""Of what is good, of what deserves a look, and of what is wrong."""

_CODES: dict[Tone, int] = {"green": 32, "yellow": 33, "red": 31}
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that steer a terminal, end a line, or change the order in which others are shown; and half characters."""


def visible(text: object) -> str:
    """A text for one line of a terminal: characters that would steer it are written as escapes."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def at_terminal(stream: IO[str] | None) -> bool:
    """Whether a person reads a stream."""
    return stream is not None and not stream.closed and stream.isatty()


def wants_colour(stream: IO[str] | None) -> bool:
    """Whether a stream is a terminal that shows colours, and ``NO_COLOR`` (no-color.org) is not set."""
    return at_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def toned(text: str, tone: Tone, stream: IO[str] | None) -> str:
    """A text in a colour, if the stream shows colours."""
    return f"\x1b[{_CODES[tone]}m{text}\x1b[0m" if wants_colour(stream) else text


def coloured(stream: IO[str], width: int) -> Console:
    """A console of rich on a stream at a terminal; without colours it writes no control character."""
    from rich.console import Console

    return Console(
        file=stream,
        width=width,
        color_system="auto" if wants_colour(stream) else None,
        force_terminal=wants_colour(stream),
        highlight=False,
        markup=False,
        emoji=False,
    )

"""Says which utterances of routes an encoder cannot read, and which of different routes it cannot tell apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from router_plugin.contracts import MOST_UNREAD
from router_plugin.routes import Route

SHOWN = 5
"""Utterances that a warning names."""


class Reading(NamedTuple):
    """How an encoder reads a text.

    Attributes:
        unread: the fraction of it that the encoder does not know.
        key: see :meth:`router_plugin.contracts.Encoder.key`.
    """

    unread: float
    key: Hashable


Warned = set[tuple[str, ...]]
"""Faults that were reported, with their routes and utterances. A fault that several encoders have is reported once."""


def warnings_of(routes: Sequence[Route], read: Callable[[str], Reading], encoder: str, warned: Warned) -> Iterator[str]:
    """What is wrong with the utterances of routes for an encoder, one text for each kind of fault.

    Args:
        routes: that are compared with the same queries.
        read: reads an utterance as the encoder does.
        encoder: its name.
        warned: faults that are not reported again; new ones are added.
    """
    readings = [(route.name, text, read(text)) for route in routes for text in route.utterances]
    unread = [(name, text) for name, text, reading in readings if reading.unread > MOST_UNREAD]
    if new := _new(unread, "unread", warned):
        yield (
            f"{encoder} cannot read {_counted(new)}, which only a query of the very same text matches: "
            f"{_listed(f'route {name!r}: {text!r}' for name, text in new)}"
        )
    if new := _new(_alike(readings), "alike", warned):
        yield (
            f"{encoder} cannot tell {_counted(new)} from one of another route, so that queries like it go to whichever "
            "route comes first: "
            f"{_listed(f'route {a!r}: {x!r}, and route {b!r}: {y!r}' for a, x, b, y in new)}"
        )


def _alike(readings: Sequence[tuple[str, str, Reading]]) -> list[tuple[str, ...]]:
    """Readable utterances with the key of an earlier one of another route: its route and text, and theirs."""
    by_key: dict[Hashable, list[tuple[str, str]]] = defaultdict(list)
    for name, text, reading in readings:
        if reading.unread <= MOST_UNREAD:
            by_key[reading.key].append((name, text))
    return [
        (*same[0], name, text) for same in by_key.values() if len(same) > 1 for name, text in same if name != same[0][0]
    ]


def _new(found: Sequence[tuple[str, ...]], fault: str, warned: Warned) -> list[tuple[str, ...]]:
    new = [each for each in found if (fault, *each) not in warned]
    warned.update((fault, *each) for each in new)
    return new


def _counted(found: Sequence[object]) -> str:
    return "an utterance" if len(found) == 1 else f"{len(found)} utterances"


def _listed(parts: Iterator[str]) -> str:
    shown = list(islice(parts, SHOWN))
    more = sum(1 for _ in parts)
    return "; ".join(shown) + (f"; and {more} more" if more else "")

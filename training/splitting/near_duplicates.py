"""Groups of near-duplicate texts, found exactly by prefix filtering (Bayardo et al., 2007; Xiao et al., 2008)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.cluster.engines import Engine, OneProcess
from training.runs.progress import bar
from training.splitting.kept_arrays import Files, Memory
from training.splitting.prefix_join import JoinBand, Prefixes, SignPart, TextPart, WritePrefixes, linked

PART = 16_384
"""Texts of a part, which one worker reads."""
BAND_PARTS = 4
"""Parts to a band of shingles: more bands divide the work among more workers, but compare some pairs again."""
COUNTERS, MOST_COUNTERS = 1 << 18, 1 << 24
"""Of how many texts have a shingle, for each part and for all. Where shingles have one in common, more is compared."""
THRESHOLD = 0.85
"""Jaccard similarity of two near-duplicates."""
_WHAT = "finding near-duplicates"


class Grouping(Protocol):
    """Finds near-duplicates as :func:`near_duplicates` does, in this process or elsewhere."""

    def __call__(self, texts: Sequence[str], /) -> NDArray[np.int64]:
        """A group number per text, ``(n,)``."""


def near_duplicates(texts: Sequence[str], threshold: float = THRESHOLD) -> NDArray[np.int64]:
    """A group number per text, in the order of the groups' first texts. Texts that are nearly the same have
    the same.

    They are if they differ in normal form, case, punctuation or white space only, or if their 3-word shingles have at
    least that Jaccard similarity. Symbols are words, see :func:`registry.texts.words.tokens`. Groups are the connected
    components of similar pairs.

    Args:
        texts: any number of texts.
        threshold: Jaccard similarity of two near-duplicates, in (0, 1].
    """
    parts = [Slice(texts, number) for number in range(-(-len(texts) // PART))]
    return group_parts(parts, OneProcess(), Memory(), threshold)


@dataclass(frozen=True)
class Slice:
    """A part of texts that this process has."""

    texts: Sequence[str]
    number: int

    def read(self) -> Sequence[str]:
        """See :class:`TextPart`."""
        return self.texts[self.number * PART : (self.number + 1) * PART]


def group_parts(
    parts: Sequence[TextPart], engine: Engine, files: Files, threshold: float = THRESHOLD
) -> NDArray[np.int64]:
    """The groups of the texts of all parts, see :func:`near_duplicates`.

    This process holds a digest and some numbers for each text, and no texts.

    Args:
        parts: in order, numbered from 0.
        engine: where they are worked on.
        files: where its workers keep shingles; they must all reach them.
        threshold: Jaccard similarity of two near-duplicates, in (0, 1].

    Raises:
        CorpusError: a part cannot be worked on.
    """
    if not parts:
        return np.empty(0, dtype=np.int64)
    bands = -(-len(parts) // BAND_PARTS)
    with bar(_WHAT, 2 * len(parts) + bands) as advance:
        keys: list[NDArray[np.bytes_]] = []
        counts = np.zeros(min(COUNTERS * len(parts), MOST_COUNTERS), dtype=np.uint32)
        for signed in engine.map(partial(SignPart, files, len(counts)), parts, _WHAT):
            keys.append(signed.keys)
            counts[signed.counters] += signed.times.astype(np.uint32)
            advance(1)
        starts = np.cumsum([0, *map(len, keys)])
        count = int(starts[-1])
        first, same = np.unique(np.concatenate(keys), return_index=True, return_inverse=True)[1:]
        links = [(np.arange(count), first[same])]
        prefixes = Prefixes(starts, first[same] == np.arange(count), counts, threshold, bands)
        for _ in engine.map(partial(WritePrefixes, files, prefixes), range(len(parts)), _WHAT):
            advance(1)
        for found in engine.map(partial(JoinBand, files, starts, threshold), range(bands), _WHAT):
            links.append(found)
            advance(1)
    return linked(count, *(np.concatenate(ends) for ends in zip(*links, strict=True)))

"""The steps that find near-duplicates among many texts by prefix filtering, each over parts of the work.

Of a text's shingles in any one order of all shingles, those that come first are its prefix: two texts over the
threshold have a shingle of their prefixes in common (Bayardo et al., 2007). With the rarest shingles first, few others
have one. Prefixes are compared band by band, each a part of all shingles, as Vernica et al. (2010) do with MapReduce.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, vstack
from scipy.sparse.csgraph import connected_components

from registry.texts.words import near_key
from training.splitting.kept_arrays import Files, keep, kept
from training.splitting.shingles import in_common, sets_of, shingle_sets

Indices = NDArray[np.int64]

_TEXT_BLOCK = 1024
_PAIR_BLOCK = 4096
_ROUNDING = 1e-9


class TextPart(Protocol):
    """Consecutive texts. It may be sent to other processes."""

    @property
    def number(self) -> int:
        """Of the part, from 0."""

    def read(self) -> Sequence[str]:
        """The texts, at least one."""


@dataclass(frozen=True)
class Signed:
    """What is known of a part without its texts.

    Attributes:
        keys: a digest of each text's :func:`registry.texts.words.near_key`, ``(n,)``.
        counters: those of its shingles, each once, see :class:`Prefixes`.
        times: what is added to each.
    """

    keys: NDArray[np.bytes_]
    counters: NDArray[np.int32]
    times: NDArray[np.int64]


@dataclass(frozen=True)
class Prefixes:
    """What decides the prefix of a text.

    Attributes:
        starts: the position of each part's first text among all, and the number of texts, ``(parts + 1,)``.
        firsts: whether a text is the first of its key: later ones are not compared, ``(n,)``.
        counts: how many texts have a shingle, ``(c,)``; a shingle's counter is the remainder of its hash.
        threshold: Jaccard similarity of two near-duplicates.
        bands: into how many the shingles are divided.
    """

    starts: Indices
    firsts: NDArray[np.bool_]
    counts: NDArray[np.uint32]
    threshold: float
    bands: int


Links = tuple[Indices, Indices]
"""Positions of texts and, for each, of one that is in the same group."""


class SignPart:
    """Finds the shingles of one part after another, and keeps them."""

    def __init__(self, files: Files, counters: int, device: str | None) -> None:
        """
        Args:
            files: where they are kept.
            counters: see :class:`Prefixes`.
            device: has no effect.
        """
        self._files, self._counters = files, counters

    def __call__(self, part: TextPart) -> Signed:
        """The digests of a part, and how frequent its shingles are."""
        number: dict[str, int] = {}
        rows = np.array([number.setdefault(near_key(text), len(number)) for text in part.read()], dtype=np.int64)
        sets = shingle_sets(list(number))
        keep(self._files, _sets(part.number), rows=rows, shingles=sets.indices, ends=sets.indptr)
        digests = [hashlib.blake2b(key.encode(), digest_size=16).digest() for key in number]
        counters, times = np.unique(sets.indices % self._counters, return_counts=True)
        return Signed(np.frombuffer(b"".join(digests), dtype="S16")[rows], counters, times)


class WritePrefixes:
    """Keeps the prefixes of one part after another, by band."""

    def __init__(self, files: Files, prefixes: Prefixes, device: str | None) -> None:
        """
        Args:
            files: where shingles are kept.
            prefixes: what decides them.
            device: has no effect.
        """
        self._files, self._prefixes = files, prefixes

    def __call__(self, part: int) -> int:
        """Write the prefixes of a part; returns their number of shingles."""
        known = self._prefixes
        rows = np.flatnonzero(known.firsts[known.starts[part] : known.starts[part + 1]])
        sets = _kept_sets(self._files, part, rows)
        sizes = np.diff(sets.indptr).astype(np.int64)
        owner, times = np.repeat(np.arange(len(rows)), sizes), known.counts[sets.indices % len(known.counts)]
        length = sizes - np.ceil(known.threshold * sizes - _ROUNDING).astype(np.int64) + 1
        place = np.arange(sets.nnz) - np.repeat(sets.indptr[:-1], sizes)
        first = np.lexsort((sets.indices, times, owner))[place < np.repeat(length, sizes)]
        first = first[times[first] > 1]  # no other text has the others
        shingles, owner = sets.indices[first], owner[first]
        for band in range(known.bands):
            chosen = shingles % known.bands == band
            keep(
                self._files,
                _prefixes(part, band),
                shingles=shingles[chosen],
                texts=rows[owner[chosen]] + known.starts[part],
            )
        return len(first)


class JoinBand:
    """Compares the texts that have a shingle of one band after another in their prefixes."""

    def __init__(self, files: Files, starts: Indices, threshold: float, device: str | None) -> None:
        """
        Args:
            files: where shingles and prefixes are kept.
            starts: see :class:`Prefixes`.
            threshold: see :class:`Prefixes`.
            device: has no effect.
        """
        self._files, self._starts, self._threshold = files, starts, threshold

    def __call__(self, band: int) -> Links:
        """The links between near-duplicates, no more than there are texts."""
        found = [kept(self._files, _prefixes(part, band)) for part in range(len(self._starts) - 1)]
        shingles, texts = (np.concatenate([each[name] for each in found]) for name in ("shingles", "texts"))
        column, times = np.unique(shingles, return_inverse=True, return_counts=True)[1:]
        several = times[column] > 1
        rows, row = np.unique(texts[several], return_inverse=True)
        if not len(rows):
            return rows, rows
        shape = (len(rows), len(times))
        prefixes = csr_matrix((np.ones(len(row), dtype=np.float32), (row, column[several])), shape=shape)
        groups = _joined(prefixes, self._read_sets(rows), self._threshold)
        first = np.unique(groups, return_index=True)[1][groups]
        later = first != np.arange(len(rows))
        return rows[later], rows[first[later]]

    def _read_sets(self, texts: Indices) -> csr_matrix:
        """The shingles of some texts, by their ascending positions."""
        part = np.searchsorted(self._starts, texts, side="right") - 1
        return vstack(
            [
                _kept_sets(self._files, number, texts[part == number] - self._starts[number])
                for number in np.unique(part).tolist()
            ],
            format="csr",
        )


def _joined(prefixes: csr_matrix, sets: csr_matrix, threshold: float) -> Indices:
    """A group number for each text; those of texts over the threshold with a common shingle in prefixes are equal."""
    sizes = np.diff(sets.indptr).astype(np.int64)
    by_shingle = prefixes.T.tocsr()
    groups = np.arange(len(sizes))
    for start in range(0, len(sizes), _TEXT_BLOCK):
        common = (prefixes[start : start + _TEXT_BLOCK] @ by_shingle).tocoo()
        one, other = common.row + start, common.col
        likely = (one < other) & (groups[one] != groups[other])
        smaller, larger = np.minimum(sizes[one], sizes[other]), np.maximum(sizes[one], sizes[other])
        likely &= smaller >= threshold * larger - _ROUNDING
        pairs = np.stack([one[likely], other[likely]], axis=1)
        for offset in range(0, len(pairs), _PAIR_BLOCK):
            block = pairs[offset : offset + _PAIR_BLOCK]
            block = block[groups[block[:, 0]] != groups[block[:, 1]]]
            groups = _merged(groups, block[_similar(sets, sizes, block, threshold)])
    return groups


def _similar(sets: csr_matrix, sizes: Indices, pairs: Indices, threshold: float) -> NDArray[np.bool_]:
    common = in_common(sets[pairs[:, 0]], sets[pairs[:, 1]])
    similar: NDArray[np.bool_] = common >= threshold * (sizes[pairs].sum(axis=1) - common) - _ROUNDING
    return similar


def _merged(groups: Indices, pairs: Indices) -> Indices:
    """The groups when those of each pair are one."""
    return linked(int(groups.max()) + 1, groups[pairs[:, 0]], groups[pairs[:, 1]])[groups] if len(pairs) else groups


def linked(count: int, ones: Indices, others: Indices) -> Indices:
    """The connected components of ``count`` nodes, numbered in the order of their first ones, ``(count,)``."""
    graph = coo_matrix((np.ones(len(ones), dtype=np.int8), (ones, others)), shape=(count, count))
    components: Indices = connected_components(graph, directed=False)[1].astype(np.int64)
    return components


def _kept_sets(files: Files, part: int, texts: Indices) -> csr_matrix:
    """The shingles of some texts of a part, by their positions in it."""
    found = kept(files, _sets(part))
    return sets_of(found["shingles"], found["ends"])[found["rows"][texts]]


def _sets(part: int) -> str:
    return f"shingles/{part:06d}"


def _prefixes(part: int, band: int) -> str:
    return f"prefixes/{part:06d}/{band:06d}"

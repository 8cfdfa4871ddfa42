"""Embeds queries of several domains: from the cache where possible, the rest in one pass for each base model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from router_plugin.contracts import Encoder, SharedPass, unread_by
from router_plugin.cosines import usable
from router_plugin.encoders.pool import EncoderPool
from router_plugin.encoders.query_cache import QueryCache

Vector = NDArray[np.float32]
Pair = tuple[str, str]
"""A domain, and a text for its encoder."""


class Encoded(NamedTuple):
    """Texts as their encoders read them.

    Attributes:
        vectors: unit vectors, ``(d,)`` each, where d may differ between domains.
        truncated: of each text whether it is longer than the encoder reads.
        unread: of each text the fraction that the encoder does not know; 1 if the vector is not finite.
        keys: of each text, see :meth:`router_plugin.contracts.Encoder.key`.
    """

    vectors: list[Vector]
    truncated: list[bool]
    unread: list[float]
    keys: list[Hashable]


class Embedding:
    """The encoders of a router's domains and their recent embeddings."""

    def __init__(self, pool: EncoderPool, versions: Mapping[str, str], cache: QueryCache) -> None:
        """
        Args:
            pool: the encoders.
            versions: a name for the model version of each domain that no other version ever has.
            cache: of the embeddings; may be shared by routers.
        """
        self._pool = pool
        self._versions = versions
        self._cache = cache

    def embed(self, pairs: Sequence[Pair]) -> list[Vector]:
        """Unit vectors, ``(d,)`` each, where d may differ between domains."""
        batch = _Batch(pairs, self._versions, self._cache, {})
        for domain, rows in _by_domain(pairs, batch.missing).items():
            with self._pool.use(domain) as encoder:
                batch.embed(encoder, rows)
        return batch.finish()

    def encode(self, pairs: Sequence[Pair], known: Mapping[int, Vector]) -> Encoded:
        """Unit vectors, and how the encoders read the texts; each encoder is taken from the pool once.

        Args:
            pairs: domains and texts.
            known: by the number of a pair, a vector that the caller has already.
        """
        batch = _Batch(pairs, self._versions, self._cache, known)
        truncated, unread = [False] * len(pairs), [0.0] * len(pairs)
        keys: list[Hashable] = [None] * len(pairs)
        for domain, rows in _by_domain(pairs, range(len(pairs))).items():
            with self._pool.use(domain) as encoder:
                for row in rows:
                    text = pairs[row][1]
                    truncated[row], unread[row] = encoder.truncates(text), unread_by(encoder, text)
                    keys[row] = encoder.key(text)
                batch.embed(encoder, [row for row in rows if row in batch.missing])
        vectors = batch.finish()
        unread = [part if usable(vector) else 1.0 for part, vector in zip(unread, vectors, strict=True)]
        return Encoded(vectors, truncated, unread, keys)

    def unread(self, domain: str, texts: Sequence[str]) -> list[float]:
        """The fraction of each text that a domain's encoder does not know."""
        with self._pool.use(domain) as encoder:
            return [unread_by(encoder, text) for text in texts]


def _by_domain(pairs: Sequence[Pair], rows: Sequence[int] | Mapping[int, None]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        found[pairs[row][0]].append(row)
    return found


class _Batch:
    """Pairs and those of their vectors that are known by now.

    Attributes:
        missing: the numbers of the pairs whose vectors have to be made.
    """

    def __init__(
        self, pairs: Sequence[Pair], versions: Mapping[str, str], cache: QueryCache, known: Mapping[int, Vector]
    ) -> None:
        self._pairs, self._versions, self._cache = pairs, versions, cache
        self._vectors = dict(known)
        self._keys: dict[int, Hashable] = {}
        self._shared: dict[SharedPass, list[tuple[int, Encoder]]] = defaultdict(list)
        for row, (domain, text) in enumerate(pairs):
            if row not in known and (vector := cache.get(versions[domain], text)) is not None:
                self._vectors[row] = vector
        self.missing = dict.fromkeys(row for row in range(len(pairs)) if row not in self._vectors)

    def embed(self, encoder: Encoder, rows: Sequence[int]) -> None:
        """Vectors of missing pairs by their encoder; by one that shares a model, in :meth:`finish`."""
        unknown = []
        for row in rows:
            domain, text = self._pairs[row]
            self._keys[row] = encoder.key(text)
            vector = self._cache.get_equal(self._versions[domain], self._keys[row])
            if vector is None:
                unknown.append(row)
            else:
                self._vectors[row] = vector
        shared: SharedPass | None = getattr(encoder, "shared", None)  # which is faster than isinstance SharingEncoder
        if shared is not None:
            self._shared[shared] += [(row, encoder) for row in unknown]
        elif unknown:
            self._vectors |= zip(unknown, encoder.encode([self._pairs[row][1] for row in unknown]), strict=True)

    def finish(self) -> list[Vector]:
        """All vectors, which are cached from now on."""
        for shared, members in self._shared.items():
            if members:
                vectors = shared.encode([(encoder, self._pairs[row][1]) for row, encoder in members])
                self._vectors |= zip((row for row, _ in members), vectors, strict=True)
        for row, key in self._keys.items():
            domain, text = self._pairs[row]
            self._cache.put(self._versions[domain], text, key, self._vectors[row])
        return [self._vectors[row] for row in range(len(self._pairs))]

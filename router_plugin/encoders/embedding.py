"""Embeds queries of several domains: from the cache where it can, and the rest in one pass a base model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from router_plugin.contracts import Encoder, SharedPass, SharingEncoder
from router_plugin.encoders.pool import EncoderPool
from router_plugin.encoders.query_cache import QueryCache

Vector = NDArray[np.float32]
Asked = tuple[str, str]
"""A domain, and a text that its encoder shall embed."""


class Embedding:
    """The encoders of a router's domains and what they have embedded lately."""

    def __init__(self, pool: EncoderPool, versions: Mapping[str, str], cache: QueryCache) -> None:
        """
        Args:
            pool: the encoders.
            versions: what names the model version of each domain, for ever.
            cache: may be shared by routers.
        """
        self._pool = pool
        self._versions = versions
        self._cache = cache

    def embed(self, asked: Sequence[Asked]) -> list[Vector]:
        """Unit vectors, ``(d,)`` each, where d may differ between domains."""
        found = {row: self._cache.get(self._versions[domain], text) for row, (domain, text) in enumerate(asked)}
        missing: dict[str, list[int]] = defaultdict(list)
        for row, vector in found.items():
            if vector is None:
                missing[asked[row][0]].append(row)
        made = self._make(asked, missing)
        return [made[row] if vector is None else vector for row, vector in found.items()]

    def _make(self, asked: Sequence[Asked], missing: Mapping[str, Sequence[int]]) -> dict[int, Vector]:
        made: dict[int, Vector] = {}
        keys: dict[int, Hashable] = {}
        shared: dict[SharedPass, list[tuple[int, Encoder]]] = defaultdict(list)
        for domain, rows in missing.items():
            with self._pool.use(domain) as encoder:
                keys |= {row: encoder.key(asked[row][1]) for row in rows}
                known = {row: self._cache.get_equal(self._versions[domain], keys[row]) for row in rows}
                made |= {row: vector for row, vector in known.items() if vector is not None}
                unknown = [row for row, vector in known.items() if vector is None]
                if isinstance(encoder, SharingEncoder):
                    shared[encoder.shared] += [(row, encoder) for row in unknown]
                elif unknown:
                    made |= zip(unknown, encoder.encode([asked[row][1] for row in unknown]), strict=True)
        for one_pass, members in shared.items():
            vectors = one_pass.encode([(encoder, asked[row][1]) for row, encoder in members])
            made |= zip((row for row, _ in members), vectors, strict=True)
        for row, vector in made.items():
            domain, text = asked[row]
            self._cache.put(self._versions[domain], text, keys[row], vector)
        return made

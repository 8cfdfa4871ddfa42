"""Caches embeddings of candidates on this machine, by model version and content, so that a restart embeds nothing."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from registry.shared.home import cache_folder
from registry.shared.sqlite_cache import CacheError, SqliteCache
from router_plugin.contracts import CachingEncoder, Encoder

log = logging.getLogger(__name__)

BLOCK = 256
"""Texts that are embedded and cached at a time. A start that is killed resumes after the last block."""
_TOLERANCE = 1e-3
"""How far the length of a cached vector may be from 1."""


def embed_cached(texts: Sequence[str], encoder: Encoder, version: str) -> NDArray[np.float32]:
    """Unit vectors of texts, ``(n, d)``, from the cache where possible; the others are embedded and cached.

    Args:
        texts: at least one.
        encoder: of the model version. Nothing is cached unless it is a CachingEncoder.
        version: a name for the model version that no other version ever has.
    """
    if not isinstance(encoder, CachingEncoder):
        return encoder.encode(texts)
    names = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    store = _Store(f"{version}\n{encoder.runtime}")
    vectors = store.get(names)
    missing = {name: text for name, text in zip(names, texts, strict=True) if name not in vectors}
    if missing:
        log.info("%d of %d candidates are embedded by %s", len(missing), len(texts), encoder.runtime)
    for block in _blocks(missing):
        made = dict(zip(block, encoder.encode([missing[name] for name in block]), strict=True))
        store.put(made)
        vectors |= made
    return np.stack([vectors[name] for name in names])


def _blocks(missing: dict[bytes, str]) -> Iterator[list[bytes]]:
    names = iter(missing)
    while block := list(islice(names, BLOCK)):
        yield block


class _Store:
    """Vectors of one model version on one runtime, in their own file. Where that fails, nothing is cached."""

    def __init__(self, version: str) -> None:
        name = hashlib.sha256(version.encode()).hexdigest()
        self._cache = SqliteCache(cache_folder("candidates") / f"{name}.db")

    def get(self, names: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The cached unit vectors, by the digest of the text."""
        try:
            return _whole(self._cache.get(names))
        except CacheError as error:
            log.warning("candidates are embedded again: %s", error)
            if error.damaged:
                self._cache.remove()
            return {}

    def put(self, vectors: dict[bytes, NDArray[np.float32]]) -> None:
        """Cache vectors."""
        try:
            self._cache.put({name: vector.astype("<f4").tobytes() for name, vector in vectors.items()})
        except CacheError as error:
            log.warning("the next start embeds candidates again: %s", error)


def _whole(kept: Mapping[bytes, bytes]) -> dict[bytes, NDArray[np.float32]]:
    """Those that are unit vectors; none if they do not all have the same dimension."""
    lengths = {len(vector) for vector in kept.values()}
    if len(lengths) != 1 or lengths.pop() % 4:
        return {}
    matrix = np.frombuffer(b"".join(kept.values()), dtype="<f4").reshape(len(kept), -1)
    with np.errstate(all="ignore"):
        unit = np.abs(np.linalg.norm(matrix, axis=1) - 1) < _TOLERANCE
    return {name: vector for name, vector, whole in zip(kept, matrix, unit, strict=True) if whole}

"""Caches embeddings of candidates on this machine, by model version and content, so that a restart embeds nothing."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.progress import bar
from registry.shared.home import cache_folder
from registry.shared.sqlite_cache import CacheError, SqliteCache
from router_plugin.contracts import CachingEncoder, Encoder, unread_by
from router_plugin.cosines import usable

log = logging.getLogger(__name__)

BLOCK = 256
"""Texts that are embedded and cached at a time. A start that is killed resumes after the last block."""
_FORMAT = "2"
"""Of the entries: the vector, how much of the text was not read, and the digest of the encoder's key for it."""
_DIGEST = 16
_TOLERANCE = 1e-3
"""How far the length of a cached vector may be from 1."""


class Embedded(NamedTuple):
    """A text as an encoder reads it.

    Attributes:
        vector: unit vector, ``(d,)``.
        unread: the fraction of the text that the encoder does not know; 1 if the vector is not finite.
        key: see :func:`digest_of_key`.
    """

    vector: NDArray[np.float32]
    unread: float
    key: bytes


def digest_of_key(key: Hashable) -> bytes:
    """A digest of an encoder's key for a text, see :meth:`router_plugin.contracts.Encoder.key`; short, and lasting."""
    return hashlib.blake2b(repr(key).encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()


def embed_cached(texts: Sequence[str], encoder: Encoder, version: str) -> list[Embedded]:
    """Texts as an encoder reads them, from the cache where possible; the others are embedded and cached.

    Args:
        texts: at least one.
        encoder: of the model version. Nothing is cached unless it is a CachingEncoder.
        version: a name for the model version that no other version ever has.
    """
    if not isinstance(encoder, CachingEncoder):
        return embed(texts, encoder)
    names = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    store = _Store(f"{version}\n{encoder.runtime}\n{_FORMAT}")
    known = store.get(names)
    missing = {name: text for name, text in zip(names, texts, strict=True) if name not in known}
    if missing:
        log.info("%d of %d candidates are embedded by %s", len(missing), len(texts), encoder.runtime)
    with bar("embedding candidates", len(missing), shown=len(missing) > BLOCK) as advance:
        for block in blocks(missing):
            made = dict(zip(block, embed([missing[name] for name in block], encoder), strict=True))
            store.put(made)
            known |= made
            advance(len(block))
    return [known[name] for name in names]


def embed(texts: Sequence[str], encoder: Encoder) -> list[Embedded]:
    """Texts as an encoder reads them, none from the cache. One without a finite vector counts as unread."""
    vectors = encoder.encode(texts)
    return [
        Embedded(vector, unread_by(encoder, text) if finite else 1.0, digest_of_key(encoder.key(text)))
        for text, vector, finite in zip(texts, vectors, usable(vectors).tolist(), strict=True)
    ]


def blocks(missing: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The names of texts, :data:`BLOCK` at a time."""
    names = iter(missing)
    while block := list(islice(names, BLOCK)):
        yield block


class _Store:
    """Vectors of one model version on one runtime, in their own file. Where that fails, nothing is cached."""

    def __init__(self, version: str) -> None:
        name = hashlib.sha256(version.encode()).hexdigest()
        self._cache = SqliteCache(cache_folder("candidates") / f"{name}.db")

    def get(self, names: Sequence[bytes]) -> dict[bytes, Embedded]:
        """The cached texts, by their digest."""
        try:
            return _whole(self._cache.get(names))
        except CacheError as error:
            log.warning("candidates are embedded again: %s", error)
            if error.damaged:
                self._cache.remove()
            return {}

    def put(self, texts: Mapping[bytes, Embedded]) -> None:
        """Cache texts, by their digest."""
        try:
            self._cache.put({name: _packed(each) for name, each in texts.items()})
        except CacheError as error:
            log.warning("the next start embeds candidates again: %s", error)


def _packed(text: Embedded) -> bytes:
    return text.vector.astype("<f4").tobytes() + np.array(text.unread, dtype="<f4").tobytes() + text.key


def _whole(kept: Mapping[bytes, bytes]) -> dict[bytes, Embedded]:
    """Those with unit vectors; none if they do not all have the same dimension."""
    lengths = {len(entry) - _DIGEST for entry in kept.values()}
    if len(lengths) != 1 or lengths.pop() % 4:
        return {}
    numbers = np.frombuffer(b"".join(entry[:-_DIGEST] for entry in kept.values()), dtype="<f4").reshape(len(kept), -1)
    vectors, unread = numbers[:, :-1], numbers[:, -1].tolist()
    with np.errstate(all="ignore"):
        sound = np.abs(np.linalg.norm(vectors, axis=1) - 1) < _TOLERANCE
    rows = zip(kept.items(), vectors, unread, sound.tolist(), strict=True)
    return {name: Embedded(vector, part, entry[-_DIGEST:]) for (name, entry), vector, part, whole in rows if whole}

"""Embeddings of candidates kept on this machine, by model version and content, so that a restart embeds nothing."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from registry.shared.home import cache_folder
from router_plugin.contracts import CachingEncoder, Encoder

log = logging.getLogger(__name__)

BLOCK = 256
"""Texts that are embedded, and kept, at a time: a start that is killed goes on from there."""
_NAMES = 500
_SECONDS = 30.0
_NORM = 1e-3


def embed_kept(texts: Sequence[str], encoder: Encoder, version: str) -> NDArray[np.float32]:
    """Unit vectors of texts, ``(n, d)``: from the store those that it has, and the others embedded and kept.

    Args:
        texts: at least one.
        encoder: of the model version. Nothing is cached unless it is a CachingEncoder.
        version: names the model version for ever.
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
    """Vectors of one model version on one runtime, in a database of their own; without them where that fails."""

    def __init__(self, version: str) -> None:
        name = hashlib.sha256(version.encode()).hexdigest()
        self._path = cache_folder("candidates") / f"{name}.db"

    def get(self, names: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """Those vectors that are kept and whole, by the digest of the text."""
        if not self._path.exists():
            return {}
        try:
            with closing(_connect(self._path)) as database:
                found = [row for part in _parts(names) for row in _select(database, part)]
        except sqlite3.OperationalError as error:
            log.warning("%s cannot be read, candidates are embedded again: %s", self._path, error)
            return {}
        except sqlite3.DatabaseError as error:
            log.warning("%s is damaged and is made anew: %s", self._path, error)
            self._path.unlink(missing_ok=True)
            return {}
        return _whole(found)

    def put(self, vectors: dict[bytes, NDArray[np.float32]]) -> None:
        """Keep vectors."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(_connect(self._path)) as database, database:
                database.execute("CREATE TABLE IF NOT EXISTS vectors (name BLOB PRIMARY KEY, vector BLOB NOT NULL)")
                rows = [(name, vector.astype("<f4").tobytes()) for name, vector in vectors.items()]
                database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        except (OSError, sqlite3.DatabaseError) as error:
            log.warning("%s cannot be written, the next start embeds candidates again: %s", self._path, error)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_SECONDS)


def _parts(names: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(names), _NAMES):
        yield names[start : start + _NAMES]


def _select(database: sqlite3.Connection, names: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    marks = ", ".join("?" * len(names))
    return database.execute(f"SELECT name, vector FROM vectors WHERE name IN ({marks})", names).fetchall()


def _whole(rows: Sequence[tuple[bytes, bytes]]) -> dict[bytes, NDArray[np.float32]]:
    """The vectors that are unit vectors; none where they are not all of one length."""
    if not rows or len({len(vector) for _, vector in rows}) > 1 or len(rows[0][1]) % 4:
        return {}
    matrix = np.frombuffer(b"".join(vector for _, vector in rows), dtype="<f4").reshape(len(rows), -1)
    with np.errstate(all="ignore"):
        unit = np.abs(np.linalg.norm(matrix, axis=1) - 1) < _NORM
    return {name: vector for (name, _), vector, whole in zip(rows, matrix, unit, strict=True) if whole}

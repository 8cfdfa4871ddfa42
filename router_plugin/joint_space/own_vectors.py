"""A vector for a text that no encoder can read: the same for the same text, and almost orthogonal to all others."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from router_plugin.serving.texts import same_text


def own_vector(text: str, dimension: int) -> NDArray[np.float32]:
    """A unit vector ``(dimension,)`` whose signs are a digest of the text, the same on every machine.

    Its cosine with another such vector, or with any other vector, has mean 0 and standard deviation
    ``dimension ** -0.5`` (Achlioptas, 2003, "Database-friendly random projections").
    """
    digest = hashlib.shake_256(same_text(text).encode()).digest(-(-dimension // 8))
    signs = np.unpackbits(np.frombuffer(digest, dtype=np.uint8), count=dimension).astype(np.float32)
    vector: NDArray[np.float32] = (2 * signs - 1) / np.sqrt(np.float32(dimension))
    return vector

"""What a base model makes of texts: made once, and kept on this machine where the same model always makes the same."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from registry import Profile
from registry.classifier_profiles.profiles import FORMAT
from registry.shared.build_cache import cached_folder
from router_plugin.contracts import BaseEmbedder
from router_plugin.cosines import usable

log = logging.getLogger(__name__)

_VECTORS = "vectors.safetensors"


def kept_profile(queries: Sequence[str], base: BaseEmbedder) -> Profile:
    """The classifier profile of a domain with these queries, at least one."""
    if base.identity is None:
        return _profile(queries, base)
    return Profile.load(cached_folder("profiles", _key(queries, base), partial(_make_profile, queries, base)))


def kept_vectors(texts: Sequence[str], base: BaseEmbedder) -> NDArray[np.float32]:
    """Unit vectors of texts, ``(n, d)``; where they are kept, in half precision."""
    from safetensors.numpy import load_file

    if base.identity is None:
        return _vectors(texts, base)
    folder = cached_folder("vectors", _key(texts, base), partial(_make_vectors, texts, base))
    return load_file(folder / _VECTORS)["vectors"].astype(np.float32)


def _key(texts: Sequence[str], base: BaseEmbedder) -> str:
    content = json.dumps([FORMAT, base.identity, list(texts)], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def _profile(queries: Sequence[str], base: BaseEmbedder) -> Profile:
    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        return _vectors(texts, base)

    return Profile.from_queries(queries, encode, base.digest)


def _vectors(texts: Sequence[str], base: BaseEmbedder) -> NDArray[np.float32]:
    """Those that are not finite are 0, which is near nothing."""
    vectors = base.encode(texts)
    return np.where(usable(vectors)[:, None], vectors, np.float32(0))


def _make_profile(queries: Sequence[str], base: BaseEmbedder, folder: Path) -> None:
    log.info("%d queries are read for the domain classifier, once on this machine", len(queries))
    _profile(queries, base).save(folder)


def _make_vectors(texts: Sequence[str], base: BaseEmbedder, folder: Path) -> None:
    from safetensors.numpy import save_file

    log.info("%d texts are embedded for the domain classifier, once on this machine", len(texts))
    save_file({"vectors": _vectors(texts, base).astype(np.float16)}, folder / _VECTORS)

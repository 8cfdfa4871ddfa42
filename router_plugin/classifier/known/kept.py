"""What a base model makes of texts: made once, and kept on this machine where the same model always makes the same."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from registry import Profile
from registry.classifier_profiles.profiles import FORMAT
from registry.errors import OutputError
from registry.shared.build_cache import cached_folder
from router_plugin.contracts import MOST_UNREAD, BaseEmbedder
from router_plugin.cosines import usable

log = logging.getLogger(__name__)

_FILE = "vectors.safetensors"


def kept_profile(queries: Sequence[str], base: BaseEmbedder) -> Profile:
    """The classifier profile of a domain with these queries, at least one."""

    def made() -> Profile:
        return Profile.from_queries(queries, lambda texts: _vectors(texts, base), base.digest)

    folder = _kept("profiles", queries, base, lambda folder: made().save(folder))
    return Profile.load(folder) if folder else made()


def kept_vectors(texts: Sequence[str], base: BaseEmbedder) -> NDArray[np.float32]:
    """Unit vectors of texts, ``(n, d)``, in half precision where they are kept."""
    from safetensors.numpy import load_file, save_file

    def make(folder: Path) -> None:
        save_file({"vectors": _vectors(texts, base).astype(np.float16)}, folder / _FILE)

    folder = _kept("vectors", texts, base, make)
    return load_file(folder / _FILE)["vectors"].astype(np.float32) if folder else _vectors(texts, base)


def _kept(kind: str, texts: Sequence[str], base: BaseEmbedder, make: Callable[[Path], None]) -> Path | None:
    """The folder with what is kept of texts, made now if it is missing; None where nothing can be kept."""
    if base.identity is None:
        return None
    content = json.dumps([FORMAT, base.identity, list(texts)])
    try:
        return cached_folder(kind, hashlib.sha256(content.encode()).hexdigest(), make)
    except (OSError, OutputError) as error:
        log.warning("the next start embeds the queries of domains again: %s", error)
        return None


def _vectors(texts: Sequence[str], base: BaseEmbedder) -> NDArray[np.float32]:
    """Those of texts that the model cannot read, or whose vectors are not finite, are 0, which is near nothing."""
    vectors, unread = base.encode(texts), np.array(base.unread(texts))
    return np.where((usable(vectors) & (unread <= MOST_UNREAD))[:, None], vectors, np.float32(0))

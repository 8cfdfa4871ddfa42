"""The kinds of files that an artifact may hold: none that a reader would run or unpickle."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from registry.errors import RegistryError

ENDINGS = (".safetensors", ".json", ".txt", ".md", ".npz")
"""Endings of weights, settings and vocabularies, texts, and arrays."""

_GRAPH = re.compile(r"variants/[a-z0-9-]+/model\.(xml|bin|onnx|onnx\.data)")
"""Graphs of variants for other runtimes, in their place."""
_LARGEST_HEAD = 1 << 16
"""Bytes of an array that are read; those that say its type and shape are a few hundred."""
_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def check_kinds(paths: Iterable[str]) -> None:
    """Make sure that an artifact with these files may be stored.

    Args:
        paths: relative to the model folder, in POSIX form.

    Raises:
        RegistryError: a file is of another kind.
    """
    for path in paths:
        if not path.endswith(ENDINGS) and not _GRAPH.fullmatch(path):
            raise RegistryError(
                f"{path} is not allowed in an artifact: models are safetensors, JSON, text and npz files "
                f"({', '.join(ENDINGS)}) and graphs below variants/; remove it, or convert it to safetensors"
            )


def check_arrays(folder: Path, paths: Iterable[str]) -> None:
    """Make sure that no array of an artifact holds pickled objects; only the heads of arrays are read.

    Raises:
        RegistryError: one does, or an npz file cannot be read.
    """
    for path in paths:
        if not path.endswith(".npz"):
            continue
        try:
            with zipfile.ZipFile(folder / path) as arrays:
                for name in arrays.namelist():
                    with arrays.open(name) as array:
                        head = io.BytesIO(array.read(_LARGEST_HEAD))
                    _, _, kind = _READERS[np.lib.format.read_magic(head)](head)
                    if kind.hasobject:
                        raise RegistryError(f"{path} is not allowed in an artifact: its array {name} is pickled")
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise RegistryError(f"{path} is no file of numpy arrays that can be read: {reason}") from error

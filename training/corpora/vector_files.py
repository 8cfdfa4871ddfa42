"""Files of the vectors of a shard: ``.npy``, or Parquet with the ids of the texts."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.corpora.shard_folder import ShardFolder
from training.errors import CorpusError

NPY = ".npy"


def write_vectors(folder: ShardFolder, file: str, ids: Sequence[str], vectors: NDArray[np.float32]) -> str:
    """Write vectors in the form that the file's ending names; returns the digest of the file.

    Args:
        folder: of the shards.
        file: of the vectors.
        ids: of the texts.
        vectors: ``(n, d)``, in the order of the texts.

    Raises:
        CorpusError: the folder cannot be reached.
    """
    content = io.BytesIO()
    if file.endswith(NPY):
        np.save(content, vectors, allow_pickle=False)
    else:
        import pyarrow
        import pyarrow.parquet

        rows = pyarrow.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1])
        pyarrow.parquet.write_table(pyarrow.table({"id": list(ids), "vector": rows}), content)
    folder.write(file, content.getvalue())
    return hashlib.sha256(content.getvalue()).hexdigest()


def holds(folder: ShardFolder, file: str, sha256: str) -> bool:
    """Whether a file is there with that digest."""
    content = folder.read(file)
    return content is not None and hashlib.sha256(content).hexdigest() == sha256


def read_vectors(folder: ShardFolder, file: str, sha256: str) -> NDArray[np.float32]:
    """The vectors of a shard, ``(n, d)``, in the order of its texts.

    Args:
        folder: of the shards.
        file: of the vectors.
        sha256: of that file.

    Raises:
        CorpusError: the file is missing, or has another digest.
    """
    content = folder.read(file)
    if content is None or hashlib.sha256(content).hexdigest() != sha256:
        said = "is missing" if content is None else "does not have the digest that is recorded of it"
        raise CorpusError(f"{folder.url}/{file}: {said}: encode again, which makes only this shard anew")
    if file.endswith(NPY):
        vectors: NDArray[np.float32] = np.load(io.BytesIO(content), allow_pickle=False)
        return vectors
    import pyarrow.parquet

    column = pyarrow.parquet.read_table(io.BytesIO(content))["vector"].combine_chunks()
    flat: NDArray[np.float32] = column.flatten().to_numpy()
    return flat.reshape(len(column), -1)

"""Where near-duplicates are found: in this process, or on a Ray cluster, with the same groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from registry.paths import PathLike
from registry.shared.outputs import new_folder_beside
from training.cluster.engines import Engine, open_engine
from training.corpora.cutting import cut, read_texts
from training.corpora.records import TextShard
from training.corpora.shard_folder import ShardFolder
from training.errors import CorpusError
from training.splitting import near_duplicates
from training.splitting.near_duplicates import Grouping


@contextmanager
def open_grouping(address: str | None, out: PathLike) -> Iterator[Grouping]:
    """What finds near-duplicates.

    Args:
        address: of a cluster; ``local`` starts one, and None is this process.
        out: see :func:`group_on`.

    Raises:
        ClusterError: Ray is not installed, or the cluster cannot be reached or has no room.
    """
    if address is None:
        yield near_duplicates.near_duplicates
        return
    with open_engine(address, device="cpu") as engine:
        yield partial(group_on, engine, out)


def group_on(engine: Engine, out: PathLike, texts: Sequence[str]) -> NDArray[np.int64]:
    """See :func:`training.splitting.near_duplicates.near_duplicates`.

    Args:
        engine: where they are found, unless they are too few to divide.
        out: an output, beside which texts, and what workers find in them, are kept in files until the end. All workers
            must reach them at the same path.
        texts: any number of texts.

    Raises:
        OutputError: the files cannot be written.
        CorpusError: a worker fails.
    """
    if len(texts) <= near_duplicates.PART:
        return near_duplicates.near_duplicates(texts)
    with new_folder_beside(out) as place:
        folder = ShardFolder(place)
        shards = cut(((str(row), text) for row, text in enumerate(texts)), folder, near_duplicates.PART)
        return near_duplicates.group_parts([ShardTexts(folder, shard) for shard in shards], engine, folder)


@dataclass(frozen=True)
class ShardTexts:
    """A part of texts that all workers reach."""

    folder: ShardFolder
    shard: TextShard

    def __str__(self) -> str:
        return f"{self.folder.url}/{self.shard.file}"

    @property
    def number(self) -> int:
        """See :class:`training.splitting.prefix_join.TextPart`."""
        return self.shard.number

    def read(self) -> Sequence[str]:
        """See :class:`training.splitting.prefix_join.TextPart`.

        Raises:
            CorpusError: the shard cannot be read here.
        """
        try:
            return [text for _, text in read_texts(self.folder, self.shard)]
        except CorpusError as error:
            raise CorpusError(
                f"{self}: was just written, and a worker cannot read it: all machines of the cluster must reach the "
                "output's folder at the same path"
            ) from error

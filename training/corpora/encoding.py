"""Encodes a corpus shard by shard. A shard is encoded as a whole, so its vectors do not depend on who does it.

A shard that has vectors of the same texts and the same model is left as it is: a run that was killed goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from sentence_transformers import SentenceTransformer

from registry.shared.wording import first_line
from training.cluster.engines import Engine
from training.corpora.cutting import cut_source, read_texts
from training.corpora.model_source import ModelSource
from training.corpora.options import EncodeOptions
from training.corpora.records import (
    IDENTITY,
    MANIFEST,
    CorpusManifest,
    EncodingIdentity,
    ShardEntry,
    TextShard,
    VectorShard,
    read_record,
    write_record,
)
from training.corpora.shard_folder import ShardFolder
from training.corpora.vector_files import holds, write_vectors
from training.errors import CorpusError
from training.retrieval.encoding import TorchBlocks, encode_into
from training.runs.progress import bar

FAULTS = (RuntimeError, ValueError, ArithmeticError, LookupError, TypeError)
"""What torch and transformers raise for texts or weights that they cannot work with."""


@dataclass(frozen=True)
class Encoded:
    """A finished corpus.

    Attributes:
        manifest: what the folder holds.
        made: number of shards that were encoded now; the others were there.
    """

    manifest: CorpusManifest
    made: int


def encode_corpus(source: str, out: ShardFolder, model: ModelSource, options: EncodeOptions, engine: Engine) -> Encoded:
    """Encode the texts of a source into a folder of shards.

    The folder holds ``texts/`` and ``vectors/``, a file of each for every shard, and ``manifest.json``, written last. A
    run that was killed goes on where it was when it is started again with the same source and options.

    Args:
        source: a table on this machine or at an fsspec URL, or the id of a Hub data set.
        out: the folder.
        model: what encodes.
        options: how.
        engine: where.

    Raises:
        SourceError: see :func:`training.corpora.cutting.cut_source`.
        CorpusError: the folder holds something else, or a shard cannot be encoded.
    """
    if options.overwrite:
        _check_ours(out)
        out.remove()
    identity = model.identity(options)
    _begin(out, identity)
    texts = cut_source(source, out, options.shard_size, options.column, options.skip_bad)
    shards, made = [], 0
    with bar(f"encoding {source}", texts.count) as advance:
        for new, each in encode_shards(out, texts.shards, model, identity, engine):
            shards.append(each)
            made += new
            advance(each.shard.count)
    manifest = CorpusManifest(
        encoding=identity,
        source=texts.source,
        texts_sha256=texts.sha256,
        count=texts.count,
        skipped=texts.skipped,
        dimension=shards[0].dimension,
        shards=[
            ShardEntry(file=each.file, count=each.shard.count, sha256=each.sha256, texts_sha256=each.shard.sha256)
            for each in shards
        ],
    )
    write_record(out, MANIFEST, manifest)
    return Encoded(manifest, made)


def encode_shards(
    folder: ShardFolder, shards: Sequence[TextShard], model: ModelSource, identity: EncodingIdentity, engine: Engine
) -> Iterator[tuple[bool, VectorShard]]:
    """Encode the shards that have no vectors yet; yields for each whether it was encoded now, and its record."""
    return engine.map(partial(ShardEncoder, folder, model, identity), shards, f"encoding {folder.url}")


class ShardEncoder:
    """Encodes one shard after another with one model, which is loaded when the first shard needs it."""

    def __init__(self, folder: ShardFolder, model: ModelSource, identity: EncodingIdentity, device: str | None) -> None:
        """
        Args:
            folder: of the shards.
            model: what encodes.
            identity: what was promised of it.
            device: of torch; by default a GPU if available.
        """
        self._folder = folder
        self._open: Callable[[], SentenceTransformer] = partial(model.open, identity, device)
        self._identity = identity
        self._blocks: TorchBlocks | None = None

    def __call__(self, shard: TextShard) -> tuple[bool, VectorShard]:
        """Whether the shard was encoded now, and the record of its vectors.

        Raises:
            CorpusError: it cannot be encoded.
            BaseModelError: the model cannot be loaded.
        """
        known = _known(self._folder, shard, self._identity)
        return (False, known) if known else (True, self._encode(shard))

    def _encode(self, shard: TextShard) -> VectorShard:
        texts = read_texts(self._folder, shard)
        if self._blocks is None:
            self._blocks = TorchBlocks(self._open())
        vectors = np.empty((len(texts), self._blocks.dimension), np.float32)
        what = f"shard {shard.number} of {self._folder.url}"
        try:
            plain = [text for _, text in texts]
            encode_into(vectors, self._blocks, plain, self._identity.kind, self._identity.encode_batch, what)
        except FAULTS as error:
            raise CorpusError(f"{what} cannot be encoded: {first_line(error)}") from error
        file = f"vectors/{shard.name}.{self._identity.format}"
        sha256 = write_vectors(self._folder, file, [name for name, _ in texts], vectors)
        found = VectorShard(shard=shard, file=file, sha256=sha256, dimension=vectors.shape[1], encoding=self._identity)
        write_record(self._folder, _record(shard), found)
        return found


def _record(shard: TextShard) -> str:
    return f"vectors/{shard.name}.json"


def _known(folder: ShardFolder, shard: TextShard, identity: EncodingIdentity) -> VectorShard | None:
    """The record of vectors that are there, whole, and of this text and model."""
    try:
        known = read_record(folder, _record(shard), VectorShard)
    except CorpusError:  # half a record: the shard is made anew
        return None
    if known is None or known.shard != shard or known.encoding != identity:
        return None
    return known if holds(folder, known.file, known.sha256) else None


def _begin(out: ShardFolder, identity: EncodingIdentity) -> None:
    """Make sure that the folder is empty, or holds shards that were begun with the same model and options."""
    known = read_record(out, IDENTITY, EncodingIdentity)
    if known is None:
        if not out.is_empty():
            raise CorpusError(f"{out.url}: exists already, and holds no {IDENTITY}: choose another folder")
        write_record(out, IDENTITY, identity)
    elif known != identity:
        wanted = identity.model_dump()
        changed = next(name for name, value in known.model_dump().items() if value != wanted[name])
        raise CorpusError(
            f"{out.url}: holds shards that were encoded with another `{changed}`: choose another folder, or set "
            "`overwrite`"
        )


def _check_ours(out: ShardFolder) -> None:
    if not out.is_empty() and out.read(IDENTITY) is None:
        raise CorpusError(f"{out.url}: holds no {IDENTITY}, so it is not an earlier output: choose another folder")

"""What a folder of shards says of itself: its texts, the model that encoded them, the digest of every shard."""

from __future__ import annotations

import hashlib
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from registry.shared.wording import first_fault
from training.corpora.shard_folder import ShardFolder
from training.errors import CorpusError

TEXTS, IDENTITY, MANIFEST = "texts.json", "encoding.json", "manifest.json"
"""The records: of the texts, of what encodes them, and of the whole once it is finished."""

Format = Literal["npy", "parquet"]


class Record(BaseModel):
    """A small JSON file; one with an unknown field was written by another version."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TextShard(Record):
    """Consecutive texts of a corpus, in one file.

    Attributes:
        number: of the shard, from 0.
        start: number of the first text in the corpus, from 0.
        count: number of texts.
        sha256: of the texts, see :func:`texts_sha256`.
    """

    number: int
    start: int
    count: int
    sha256: str

    def __str__(self) -> str:
        return f"shard {self.number}"

    @property
    def name(self) -> str:
        """Of its files, without their ending."""
        return f"{self.number:06d}"

    @property
    def file(self) -> str:
        """Of its texts."""
        return f"texts/{self.name}.parquet"


class CutTexts(Record):
    """All shards of a corpus.

    Attributes:
        source: where the texts are from, and the state of that file: another state is cut anew.
        skipped: number of bad rows that were left out.
    """

    source: dict[str, Any]
    shards: list[TextShard]
    skipped: int = 0

    @property
    def count(self) -> int:
        """The number of texts."""
        return sum(shard.count for shard in self.shards)

    @property
    def sha256(self) -> str:
        """Of all texts."""
        return hashlib.sha256("\n".join(shard.sha256 for shard in self.shards).encode()).hexdigest()


class EncodingIdentity(Record):
    """What decides the vectors of a text, and how they are written."""

    model: str
    model_sha256: str
    kind: Literal["query", "document"]
    encode_batch: int
    format: Format


class VectorShard(Record):
    """The vectors of a shard.

    Attributes:
        shard: whose vectors they are.
        file: that holds them.
        sha256: of that file.
        dimension: of the vectors.
        encoding: what they were made with.
    """

    shard: TextShard
    file: str
    sha256: str
    dimension: int
    encoding: EncodingIdentity


class ShardEntry(Record):
    """A shard in the manifest: its file, the number of its vectors, the digest of the file and of the texts."""

    file: str
    count: int
    sha256: str
    texts_sha256: str


class CorpusManifest(Record):
    """What a finished folder holds."""

    encoding: EncodingIdentity
    source: dict[str, Any]
    texts_sha256: str
    count: int
    skipped: int
    dimension: int
    shards: list[ShardEntry]


R = TypeVar("R", bound=Record)


def read_record(folder: ShardFolder, name: str, kind: type[R]) -> R | None:
    """A record of a folder; None if it is not there.

    Raises:
        CorpusError: it is damaged, or cannot be reached.
    """
    content = folder.read(name)
    if content is None:
        return None
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise CorpusError(
            f"{folder.url}/{name}: is damaged ({first_fault(error)}): remove it, and encode again"
        ) from error


def write_record(folder: ShardFolder, name: str, record: Record) -> None:
    """Write a record; see :meth:`ShardFolder.write`."""
    folder.write(name, record.model_dump_json(indent=2).encode())


def read_manifest(place: str) -> CorpusManifest:
    """What an encoded corpus holds.

    Args:
        place: path or fsspec URL of a folder that ``domain-router encode`` wrote.

    Raises:
        CorpusError: it is not there, is not finished, or is damaged.
    """
    folder = ShardFolder(place)
    found = read_record(folder, MANIFEST, CorpusManifest)
    if found is None:
        raise CorpusError(f"{folder.url}: no {MANIFEST} found: expected a folder that 'domain-router encode' finished")
    return found

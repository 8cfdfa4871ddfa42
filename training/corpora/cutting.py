"""Cuts the texts of a source into shards, one Parquet file each, in a stream: one shard is in memory."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import fsspec

from registry.shared.wording import first_line
from training.corpora.records import TEXTS, CutTexts, TextShard, read_record, write_record
from training.corpora.shard_folder import ShardFolder, is_remote
from training.errors import CorpusError, SourceError
from training.tables.cells import cell_text
from training.tables.reading import (
    BadRows,
    column_found,
    nothing_usable,
    parsed,
    source_rows,
    text_field,
)
from training.tables.rows import read_remote_rows

COLUMNS = ("text", "answer", "document", "passage", "content", "query", "question", "utterance")
"""Usual names of the column of texts."""
IDS = ("_id", "id")
"""Usual names of the column of ids."""

_STATES = ("size", "mtime", "ETag", "etag", "LastModified", "last_modified", "updated", "md5Hash")
"""What file systems say of a file that a change of its content changes."""

Text = tuple[str, str]
"""An id and a text."""


def cut_source(
    source: str, folder: ShardFolder, shard_size: int, column: str | None = None, skip_bad: bool = False
) -> CutTexts:
    """The shards of a file's texts, cut now unless they were before.

    Args:
        source: a table on this machine or at an fsspec URL, or the id of a Hub data set.
        folder: where the shards are written.
        shard_size: texts of a shard; the last one may have fewer.
        column: name of the column of texts; by default the first usual one.
        skip_bad: skip and count bad rows.

    Raises:
        SourceError: the source cannot be read, a row is bad, or no row is left.
        CorpusError: the folder cannot be reached, or holds shards of another source or of an earlier state of this one.
    """
    state = {"name": source, "column": column, "shard_size": shard_size, "state": _state(source)}
    known = read_record(folder, TEXTS, CutTexts)
    if known:
        _check_same(known.source, state, folder)
        return known
    bad, number = BadRows(skip_bad), iter(range(1 << 62))

    def parse(place: str, fields: Mapping[str, Any]) -> Text:
        text = text_field(place, fields, column, COLUMNS, "column")
        named = column_found(fields, None, IDS)
        return (cell_text(fields[named]) if named else None) or str(next(number)), text

    rows = read_remote_rows(source) if is_remote(source) else source_rows(source)
    shards = cut(parsed(source, rows, parse, bad), folder, shard_size)
    if not shards:
        raise nothing_usable(source, bad)
    found = CutTexts(source=state, shards=shards, skipped=len(bad.lines))
    write_record(folder, TEXTS, found)
    return found


def _check_same(known: Mapping[str, Any], wanted: Mapping[str, Any], folder: ShardFolder) -> None:
    changed = [name for name in wanted if known.get(name) != wanted[name]]
    if changed == ["state"]:
        raise CorpusError(f"{wanted['name']}: has changed since {folder.url} was begun: set `overwrite` to begin anew")
    if changed:
        raise CorpusError(
            f"{folder.url}: holds shards of {known['name']} with another `{changed[0]}`: choose another folder, or set "
            "`overwrite`"
        )


def cut(texts: Iterable[Text], folder: ShardFolder, shard_size: int) -> list[TextShard]:
    """Write texts as shards; see :func:`cut_source`."""
    shards: list[TextShard] = []
    start = 0
    for part in _parts(texts, shard_size):
        shard = TextShard(number=len(shards), start=start, count=len(part), sha256=texts_sha256(part))
        folder.write(shard.file, _parquet(part))
        shards.append(shard)
        start += len(part)
    return shards


def read_texts(folder: ShardFolder, shard: TextShard) -> list[Text]:
    """The ids and texts of a shard.

    Raises:
        CorpusError: they are missing, or are not those that were cut.
    """
    import pyarrow
    import pyarrow.parquet

    place = f"{folder.url}/{shard.file}"
    content = folder.read(shard.file)
    if content is None:
        raise CorpusError(f"{place}: is missing: remove {TEXTS}, and encode again")
    try:
        table = pyarrow.parquet.read_table(io.BytesIO(content))
        texts = list(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))
    except (pyarrow.ArrowException, OSError, LookupError) as error:
        raise CorpusError(f"{place}: is damaged ({error}): remove {TEXTS}, and encode again") from error
    if texts_sha256(texts) != shard.sha256:
        raise CorpusError(f"{place}: does not hold the texts that were cut: remove {TEXTS}, and encode again")
    return texts


def texts_sha256(texts: Sequence[Text]) -> str:
    """The digest of ids and texts in their order."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def _parts(texts: Iterable[Text], size: int) -> Iterator[list[Text]]:
    left = iter(texts)
    while part := list(islice(left, size)):
        yield part


def _parquet(texts: Sequence[Text]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    ids, plain = zip(*texts, strict=True)
    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"id": list(ids), "text": list(plain)}), content)
    return content.getvalue()


def _state(source: str) -> dict[str, str]:
    """What changes when a file does; nothing for a data set of the Hub.

    Raises:
        SourceError: it cannot be reached.
    """
    try:
        system, path = fsspec.core.url_to_fs(source)
        known = system.info(path) if system.exists(path) else {}
    except (OSError, ImportError, ValueError) as error:
        raise SourceError(f"{source}: cannot be read: {first_line(error)}") from error
    return {name: str(known[name]) for name in _STATES if name in known}

"""Reads the documents of a corpus: text, Markdown and HTML files, rows of tables, or a folder of these."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import SourceError
from training.runs.progress import track
from training.synthesis.outlines import Outline, Section, read_html, read_markdown, read_plain
from training.tables.reading import BadRows, plain_fields, plain_text, text_field
from training.tables.rows import read_rows

TEXT_COLUMNS = ("text", "document", "passage", "content", "contents", "body", "answer", "context")
TITLE_COLUMNS = ("title", "heading", "headline", "name", "subject")
ID_COLUMNS = ("_id", "id", "doc_id", "document_id", "url")
MAX_BYTES = 1 << 26
"""Maximum size of a text, Markdown or HTML file."""

_READERS: dict[str, Callable[[str], Outline]] = {
    ".txt": read_plain,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".html": read_html,
    ".htm": read_html,
}
_ROWS = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
"""Tables that are read in a folder; other kinds of tables usually have another purpose."""


@dataclass(frozen=True)
class Document:
    """A document: its id, its title, which may be empty, and its sections; none if it has no text."""

    id: str
    title: str
    sections: tuple[Section, ...]


def read_documents(source: Path, bad: BadRows, *, text: str | None = None, title: str | None = None) -> list[Document]:
    """Read a corpus.

    Args:
        source: a text, Markdown or HTML file; a table as ``prepare`` reads it; or a folder, which is searched for text,
            Markdown, HTML and JSONL files. Names that begin with a dot are skipped.
        bad: collects invalid files and rows.
        text: column of a table's text; by default the first of ``TEXT_COLUMNS`` that the row has; case is ignored.
        title: column of the optional title; by default likewise the first of ``TITLE_COLUMNS``.

    Raises:
        SourceError: the source cannot be read, is invalid, or has no text.
    """
    documents: list[Document] = []
    for file in track(_files(source), f"reading {source.name}"):
        name = _unicode(file.relative_to(source).as_posix() if source.is_dir() else file.name)
        try:
            if read := _READERS.get(file.suffix.lower()):
                outline = read(_content(file))
                documents.append(Document(name, *outline))
            else:
                documents += _of_table(file, bad, text, title)
        except SourceError as error:
            bad.add(str(error).removesuffix(bad.ADVICE))
    if not any(document.sections for document in documents):
        raise SourceError(f"{source}: has no text: expected {', '.join(_READERS)} or {_ROWS[0]} files with text")
    return documents


def _files(source: Path) -> list[Path]:
    try:
        source.stat()
    except OSError as error:
        raise SourceError(f"{source}: cannot be read: {error.strerror}") from error
    if not source.is_dir():
        return [source]
    found = [
        path
        for path in sorted(source.rglob("*"))
        if path.name.lower().endswith((*_READERS, *_ROWS))
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
        and path.is_file()
    ]
    if not found:
        raise SourceError(f"{source}: has no documents: expected files ending in {', '.join((*_READERS, *_ROWS))}")
    return found


def _content(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise SourceError(f"{file}: larger than {MAX_BYTES >> 20} MiB: split it into several files")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{file}: is not UTF-8 text: convert it first") from error
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror}") from error


def _of_table(file: Path, bad: BadRows, text: str | None, title: str | None) -> Iterator[Document]:
    for row in read_rows(file):
        try:
            if row.fields is None:
                raise SourceError(f"{row.place}: {row.fault}")
            body = text_field(row.place, row.fields, text, TEXT_COLUMNS, "text")
            heading = _first(row.place, row.fields, (title,) if title else TITLE_COLUMNS)
            name = _first(row.place, row.fields, ID_COLUMNS) or _unicode(row.place)
        except SourceError as error:
            bad.add(str(error))
            continue
        yield Document(name, heading, (Section("", body),))


def _first(place: str, fields: Mapping[str, Any], columns: tuple[str, ...]) -> str:
    """The first text or number in one of the columns; empty if they have none.

    Raises:
        SourceError: it is no Unicode text.
    """
    found = plain_fields(fields, columns)
    return next((plain_text(place, column, found[column]) for column in columns if found.get(column)), "")


def _unicode(name: str) -> str:
    """A file name as valid Unicode; it may be in another encoding."""
    return os.fsencode(name).decode("utf-8", "replace")

"""Reads a folder in BEIR layout (Thakur et al., 2021): documents, queries, graded judgements."""

from __future__ import annotations

import io
import json
import math
import os
import re
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from registry.paths import PathLike, local_path
from registry.texts.forms import collapsed
from registry.texts.words import near_key
from training.errors import SourceError
from training.lazy_texts.sequences import LazySequence
from training.lazy_texts.spooled import SpooledTexts
from training.sources.judged import JudgedQuery, Judgements, merged
from training.sources.own_documents import OWN, read_own
from training.tables.cells import cell_text, is_empty
from training.tables.options import DEFAULTS, ReadOptions
from training.tables.part_column import PART, PARTS
from training.tables.reading import BadRows, column_found, nothing_usable, parsed, plain_fields, plain_text, source_rows
from training.tables.rows import SUFFIXES, open_unzipped

_ENDINGS = tuple(kind + end for kind in SUFFIXES for end in ("", ".gz"))
_QRELS = (".tsv", ".csv", ".tsv.gz", ".csv.gz")
_NUMBER = re.compile(r"(-?\d+)(\.0+)?")
_DIGITS = 1000
"""Python converts no longer numbers."""


@dataclass(frozen=True)
class _Entry:
    """A document or a query."""

    place: str
    name: str
    text: str
    untitled: str
    columns: Mapping[str, str]


class _Entries(Mapping[str, _Entry]):
    """The documents or queries of a file by id. Ids and places are in memory, the rest is in a temporary file."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self.rows = SpooledTexts()

    def add(self, entry: _Entry) -> None:
        """Add an entry with a new id."""
        self._places[entry.name] = len(self.rows)
        self.rows.append(json.dumps(astuple(entry)))

    def __getitem__(self, name: str) -> _Entry:
        return _entry(self.rows[self._places[name]])

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _entry(row: str) -> _Entry:
    return _Entry(*json.loads(row))


class _Texts(LazySequence[str]):
    """The texts of entries, in the order of the file."""

    def __init__(self, entries: _Entries) -> None:
        self._rows = entries.rows

    def __len__(self) -> int:
        return len(self._rows)

    def item(self, place: int) -> str:
        """See :class:`LazySequence`."""
        return _entry(self._rows[place]).text

    def __iter__(self) -> Iterator[str]:
        return (_entry(row).text for row in self._rows)


@dataclass(frozen=True)
class _Judgement:
    place: str
    query: str
    document: str
    score: float


def read_beir(source: PathLike, options: ReadOptions = DEFAULTS) -> Judgements:
    """Read a BEIR folder; a score of 1 or more is relevant, and one below is judged non-relevant.

    Args:
        source: a folder with ``corpus.jsonl`` (``_id``, ``title``, ``text``), ``queries.jsonl`` (``_id``, ``text``),
            each also in another format of tables, and ``qrels/*.tsv``: query, document and score, or the four columns
            of TREC. There an id may be in quotes, and a number may be written otherwise: 7, 7.0 or 007.
        options: for reading; ``columns`` are those of the queries.

    Raises:
        SourceError: a file is missing, a row is bad, or nothing is judged relevant. A row is also bad if an
            earlier row has its id, or if it judges an unknown query or document.
    """
    source = os.fspath(source)
    folder = local_path(source, SourceError)
    if not folder.is_dir():
        raise SourceError(f"{source}: not a folder: expected one with corpus.jsonl, queries.jsonl and qrels")
    bad = BadRows(options.skip_bad)
    judged = _qrels(folder)
    documents = _entries(folder, "corpus", (), bad)
    queries = _entries(folder, "queries", options.columns, bad)
    own = _own_documents(folder, queries, documents)
    rows: list[JudgedQuery] = []
    without = 0
    for part, path in judged:
        by_query = _by_query(path, documents, queries, bad)
        found = [_query(queries[name], part, documents, given, own.get(name, ())) for name, given in by_query.items()]
        rows += [row for row in found if row.relevant]
        without += len(found) - len([row for row in found if row.relevant])
    if not rows:
        raise SourceError(f"{source}: no query has a relevant document: expected qrels with scores of 1 or more")
    different, both = merged(rows)
    counts = {"rows": len(rows), "documents": len(documents), "without_relevant": without, "judged_both_ways": both}
    return Judgements(source, "beir", different, _Texts(documents), bad.lines, counts)


def _qrels(folder: Path) -> list[tuple[str, Path]]:
    """The files of judgements, each with its part.

    Raises:
        SourceError: there is none, or one has the name of no part.
    """
    found = [path for path in sorted(folder.glob("qrels/*")) if path.name.lower().endswith(_QRELS)]
    if not found:
        raise SourceError(f"{folder / 'qrels'}: no .tsv file found: expected train.tsv, dev.tsv or test.tsv")
    return [(_part(path), path) for path in found]


def _part(path: Path) -> str:
    part = PARTS.get(path.name.partition(".")[0].casefold())
    if part is None:
        raise SourceError(f"{path}: unknown part: expected the name {', '.join(PARTS)}, with .tsv")
    return part


def _entries(folder: Path, name: str, columns: Sequence[str], bad: BadRows) -> _Entries:
    """The rows of a file by id, each id once."""
    files = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_file()}
    path = next((files[name + end] for end in _ENDINGS if name + end in files), None)
    if path is None:
        raise SourceError(f"{folder}: no {name}.jsonl found: expected a folder in BEIR layout")

    def entry(place: str, fields: Mapping[str, Any]) -> _Entry:
        column = column_found(fields, None, ("_id", "id"))
        given = fields[column] if column else None
        own = collapsed(given) if isinstance(given, str) else cell_text(given)
        if not own:
            raise SourceError(f"{place}: has no _id: expected a text or a number")
        title, text = plain_fields(fields, ("title",)).get("title", ""), fields.get("text")
        whole = f"{title} {text}" if isinstance(text, str) and (title or not is_empty(text)) else text
        untitled = collapsed(text) if isinstance(text, str) else ""
        return _Entry(place, own, plain_text(place, "text", whole), untitled, plain_fields(fields, columns))

    found = _Entries()
    for each in parsed(str(path), source_rows(str(path)), entry, bad):
        if each.name in found:
            bad.add(f"{each.place}: duplicate _id {each.name!r:.80}, first used at {found[each.name].place}")
        else:
            found.add(each)
    if not found:
        raise nothing_usable(str(path), bad)
    return found


class _Names:
    """The ids of a file, as other files write them: in quotes, as a decimal number, or without leading zeros."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known

    def find(self, name: str) -> str | None:
        """The id that is meant; None if there is none, or not one alone."""
        exact = next((each for each in (name, _unquoted(name)) if each in self._known), None)
        return exact or self._by_key.get(_key(name))

    @cached_property
    def _by_key(self) -> dict[str, str | None]:
        """The ids by what they have in common with other forms of them; None where two ids are alike."""
        found: dict[str, str | None] = {}
        for name in self._known:
            key = _key(name)
            found[key] = None if key in found else name
        return found


def _key(name: str) -> str:
    plain = _unquoted(name)
    number = _NUMBER.fullmatch(plain)
    return str(int(number[1])) if number and len(number[1]) < _DIGITS else plain


def _unquoted(field: str) -> str:
    field = field.strip()
    quoted = len(field) > 1 and field[0] == field[-1] and field[0] in "\"'"
    return field[1:-1].replace(field[0] * 2, field[0]).strip() if quoted else field


def _by_query(
    path: Path, documents: Mapping[str, _Entry], queries: Mapping[str, _Entry], bad: BadRows
) -> dict[str, list[_Judgement]]:
    """The judgements of one file, by query; those of unknown queries and documents are bad."""
    found: dict[str, list[_Judgement]] = defaultdict(list)
    folder = path.parent.parent
    asked, judged = _Names(queries.keys()), _Names(documents.keys())
    for each in _judgements(path, bad):
        query, document = asked.find(each.query), judged.find(each.document)
        if query is None:
            bad.add(f"{each.place}: judges query {each.query!r:.80}, which is not in {folder / 'queries.jsonl'}")
        elif not each.document and not each.score:  # as prepared data mark a query without a known answer
            found[query] += []
        elif document is None:
            bad.add(f"{each.place}: judges {each.document!r:.80}, which is not in {folder / 'corpus.jsonl'}")
        else:
            found[query].append(replace(each, query=query, document=document))
    return found


def _judgements(path: Path, bad: BadRows) -> Iterator[_Judgement]:
    try:
        with open_unzipped(path) as file:
            for number, line in enumerate(io.TextIOWrapper(file, encoding="utf-8-sig"), 1):
                place, fields = f"{path}, line {number}", _fields(line)
                try:
                    if fields and not (number == 1 and _is_header(fields)):
                        yield _judgement(place, fields)
                except SourceError as error:
                    bad.add(str(error))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error


def _fields(line: str) -> list[str]:
    """The fields of a line, with tabs, blanks or commas between them. A quote is a character like any other."""
    if "\t" in line:
        return line.rstrip("\n").split("\t") if line.strip() else []
    fields = line.split()
    return line.strip().split(",") if len(fields) == 1 and "," in line else fields


def _judgement(place: str, fields: Sequence[str]) -> _Judgement:
    if len(fields) not in (3, 4):
        raise SourceError(
            f"{place}: has {len(fields)} fields: expected query, document, score, or TREC's query, 0, document, score"
        )
    try:
        score = float(_unquoted(fields[-1]))
    except ValueError:
        score = math.nan
    if math.isnan(score):
        raise SourceError(f"{place}: the score is {fields[-1]!r:.80}: expected a number")
    return _Judgement(place, collapsed(fields[0]), collapsed(fields[-2]), score)


def _is_header(fields: Sequence[str]) -> bool:
    return _unquoted(fields[-1]).casefold() in ("score", "relevance", "rel", "label", "grade")


def _own_documents(
    folder: Path, queries: Mapping[str, _Entry], documents: Mapping[str, _Entry]
) -> dict[str, tuple[str, ...]]:
    """The documents that are a query itself: with its id and its words, perhaps below a title; or as prepared."""
    try:
        known = read_own(folder)
    except (OSError, ValueError) as error:
        raise SourceError(f"{folder / OWN}: cannot be read: {error}") from error
    found = {
        query: tuple(documents[name].text for name in names if name in documents) for query, names in known.items()
    }
    for name, query in queries.items():
        document = documents.get(name)
        if document and near_key(query.text) in (near_key(document.text), near_key(document.untitled)):
            found[name] = (*found.get(name, ()), document.text)
    return found


def _query(
    query: _Entry, part: str, documents: Mapping[str, _Entry], judged: Sequence[_Judgement], own: tuple[str, ...]
) -> JudgedQuery:
    return JudgedQuery(
        query.place,
        query.text,
        tuple(documents[each.document].text for each in judged if each.score >= 1),
        tuple(documents[each.document].text for each in judged if each.score < 1),
        {**query.columns, PART: part},
        own,
    )

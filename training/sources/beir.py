"""Reads a folder in BEIR layout (Thakur et al., 2021): documents, queries, graded judgements."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.texts.forms import collapsed
from registry.texts.words import near_key
from training.errors import SourceError
from training.sources.judged import JudgedQuery, Judgements, merged
from training.sources.own_documents import OWN, read_own
from training.tables.options import DEFAULTS, ReadOptions
from training.tables.part_column import PART, PARTS
from training.tables.reading import BadRows, plain_fields, plain_text, read_source

_ENDINGS = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True)
class _Entry:
    """A document or a query."""

    place: str
    name: str
    text: str
    untitled: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class _Judgement:
    place: str
    query: str
    document: str
    score: float


def read_beir(source: str, options: ReadOptions = DEFAULTS) -> Judgements:
    """Read a BEIR folder; a score of 1 or more is relevant, and one below is judged non-relevant.

    Args:
        source: a folder with ``corpus.jsonl`` (``_id``, ``title``, ``text``), ``queries.jsonl`` (``_id``, ``text``),
            each plain or ``.gz``, and ``qrels/*.tsv``: query, document and score, or the four columns of TREC.
        options: for reading; ``columns`` are those of the queries.

    Raises:
        SourceError: a file is missing, a row is bad, or nothing is judged relevant. A row is also bad if an
            earlier row has its id, or if it judges an unknown query or document.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise SourceError(f"{source}: not a folder: expected one with corpus.jsonl, queries.jsonl and qrels")
    bad = BadRows(options.skip_bad)
    judged = [(part, path) for path in sorted(folder.glob("qrels/*.tsv")) for part in [_part(path)]]
    if not judged:
        raise SourceError(f"{folder / 'qrels'}: no .tsv file found: expected train.tsv, dev.tsv or test.tsv")
    entries = {each.name: each for each in _entries(folder, "corpus", (), bad)}
    documents = {name: each.text for name, each in entries.items()}
    queries = {each.name: each for each in _entries(folder, "queries", options.columns, bad)}
    own = _own_documents(folder, queries, entries)
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
    return Judgements(source, "beir", different, list(documents.values()), bad.lines, counts)


def _part(path: Path) -> str:
    part = PARTS.get(path.stem.casefold())
    if part is None:
        raise SourceError(f"{path}: unknown part: expected the name {', '.join(PARTS)}, with .tsv")
    return part


def _entries(folder: Path, name: str, columns: Sequence[str], bad: BadRows) -> list[_Entry]:
    """The rows of a file, each id once."""
    path = next((path for path in (folder / f"{name}{end}" for end in _ENDINGS) if path.is_file()), None)
    if path is None:
        raise SourceError(f"{folder}: no {name}.jsonl found: expected a folder in BEIR layout")

    def entry(place: str, fields: Mapping[str, Any]) -> _Entry:
        found = plain_fields(fields, ("_id", "title"))
        if not found.get("_id"):
            raise SourceError(f"{place}: has no _id: expected a text or a number")
        text = fields.get("text")
        whole = f"{found.get('title', '')} {text}" if isinstance(text, str) else text
        untitled = collapsed(text) if isinstance(text, str) else ""
        return _Entry(place, found["_id"], plain_text(place, "text", whole), untitled, plain_fields(fields, columns))

    seen: dict[str, _Entry] = {}
    for each in read_source(str(path), entry, bad):
        first = seen.setdefault(each.name, each)
        if first is not each:
            bad.add(f"{each.place}: duplicate _id {each.name!r:.80}, first used at {first.place}")
    return list(seen.values())


def _by_query(
    path: Path, documents: Mapping[str, str], queries: Mapping[str, _Entry], bad: BadRows
) -> dict[str, list[_Judgement]]:
    """The judgements of one file, by query; those of unknown queries and documents are bad."""
    found: dict[str, list[_Judgement]] = defaultdict(list)
    folder = path.parent.parent
    for each in _judgements(path, bad):
        if each.query not in queries:
            bad.add(f"{each.place}: judges query {each.query!r:.80}, which is not in {folder / 'queries.jsonl'}")
        elif not each.document and not each.score:  # as prepared data mark a query without a known answer
            found[each.query] += []
        elif each.document not in documents:
            bad.add(f"{each.place}: judges {each.document!r:.80}, which is not in {folder / 'corpus.jsonl'}")
        else:
            found[each.query].append(each)
    return found


def _judgements(path: Path, bad: BadRows) -> Iterator[_Judgement]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.reader(file, delimiter="\t")
            for row in table:
                place = f"{path}, line {table.line_num}"
                fields = row if len(row) != 1 else row[0].split()
                try:
                    if fields and not (table.line_num == 1 and _is_header(fields)):
                        yield _judgement(place, fields)
                except SourceError as error:
                    bad.add(str(error))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error


def _judgement(place: str, fields: Sequence[str]) -> _Judgement:
    if len(fields) not in (3, 4):
        raise SourceError(
            f"{place}: has {len(fields)} fields: expected query, document, score, or TREC's query, 0, document, score"
        )
    try:
        score = float(fields[-1])
    except ValueError:
        score = math.nan
    if math.isnan(score):
        raise SourceError(f"{place}: the score is {fields[-1]!r:.80}: expected a number")
    return _Judgement(place, collapsed(fields[0]), collapsed(fields[-2]), score)


def _is_header(fields: Sequence[str]) -> bool:
    return fields[-1].strip().casefold() in ("score", "relevance", "rel", "label", "grade")


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
    query: _Entry, part: str, documents: Mapping[str, str], judged: Sequence[_Judgement], own: tuple[str, ...]
) -> JudgedQuery:
    return JudgedQuery(
        query.place,
        query.text,
        tuple(documents[each.document] for each in judged if each.score >= 1),
        tuple(documents[each.document] for each in judged if each.score < 1),
        {**query.columns, PART: part},
        own,
    )

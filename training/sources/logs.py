"""Reads router logs with feedback, which route each query got and whether that was right, as labelled texts."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from registry.paths import PathLike
from registry.texts.forms import text_key
from training.errors import SourceError
from training.sources.labels import LABEL_COLUMNS, TEXT_COLUMNS, Labelled, Labels, chosen_rows, collect, label_of
from training.tables.cells import cell_text, is_empty
from training.tables.column_filter import ColumnFilter
from training.tables.options import DEFAULTS, ReadOptions
from training.tables.part_column import part_field
from training.tables.reading import BadRows, column_found, column_named, plain_fields, read_source, text_field

QUERY_COLUMNS = ("query", *(name for name in TEXT_COLUMNS if name != "query"))
ROUTE_COLUMNS = ("route", "chosen_route", *(name for name in LABEL_COLUMNS if name != "route"))
ACCEPTED_COLUMNS = ("accepted", "accept", "correct", "is_correct")
CORRECTED_COLUMNS = ("corrected", "corrected_route", "correction", "correct_route")

_YES, _NO = ("true", "yes", "y", "1"), ("false", "no", "n", "0")
_NOTHING = ("", "null", "none")


@dataclass(frozen=True)
class _Logged(Labelled):
    """A logged query, labelled with the route that is right by its feedback."""

    chosen: str = ""
    """The route that the router chose; empty for none."""
    rejected: str | None = None
    """The route that was wrong, if the feedback names no other."""
    has_feedback: bool = True


@dataclass(frozen=True)
class JudgedText:
    """What the feedback on one text says.

    Attributes:
        text: white space collapsed.
        label: the route that is right, empty where none is; None where the feedback does not tell.
        rejected: the routes that are wrong by it, an empty name for no route.
        corrections: of each row that was corrected, the route that was chosen and the one that is right.
    """

    text: str
    label: str | None
    rejected: frozenset[str] = frozenset()
    corrections: tuple[tuple[str, str], ...] = ()


@dataclass
class _Votes:
    """The feedback on one text."""

    rows: list[_Logged] = field(default_factory=list)
    against: Counter[str] = field(default_factory=Counter)

    def count(self, row: _Logged) -> None:
        """Take a row's feedback into account, if it has any."""
        if row.rejected is not None:
            self.against[row.rejected] += 1
        elif row.has_feedback:
            self.rows.append(row)

    @property
    def at_odds(self) -> bool:
        """Whether two rows name different labels, or one rejects what another names."""
        labels = {row.label for row in self.rows}
        return len(labels) > 1 or any(self.against[label] for label in labels)

    def winner(self) -> _Logged | None:
        """The first row with the most frequent label; None if as many rows have another label, or reject this one."""
        ranked = Counter(row.label for row in self.rows).most_common(2)
        if not ranked:
            return None
        label, votes = ranked[0]
        others = max([self.against[label], *(count for _, count in ranked[1:])])
        return next(row for row in self.rows if row.label == label) if votes > others else None


def read_logs(
    source: PathLike,
    options: ReadOptions = DEFAULTS,
    *,
    text: str | None = None,
    label: str | None = None,
    accepted: str | None = None,
    corrected: str | None = None,
    where: ColumnFilter | None = None,
) -> Labels:
    """Read a router's decisions with people's feedback, such as the output of ``domain-router route --json``.

    A query's label is the route it was corrected to, or the chosen route if that was accepted. Queries without
    feedback, and those whose route was rejected without a correction, are counted in ``set_aside``. If rows disagree on
    a text, the most frequent label wins; the text is left out if as many rows have another label, or reject this one.

    Args:
        source: a JSONL, JSON, CSV, TSV or Parquet file, plain or ``.gz``, or the id of a Hub data set.
        options: for reading.
        text: the query's column; by default the first of ``QUERY_COLUMNS`` that the row has, in any case.
        label: the chosen route's column; likewise of ``ROUTE_COLUMNS``. It is empty where no route was chosen.
        accepted: the column that says whether it was right: true or false, 1 or 0, yes or no, or empty; likewise of
            ``ACCEPTED_COLUMNS``.
        corrected: the right route's column; likewise of ``CORRECTED_COLUMNS``. Empty, null and none are no correction.
        where: read only the rows that match.

    Raises:
        SourceError: the source cannot be read, a row is bad, or no row with a label is left. A row is also bad if it
            accepts one route and names another, or if it has no part and other rows have one.
    """
    source, bad = os.fspath(source), BadRows(options.skip_bad)
    columns = _Columns(text, label, accepted, corrected)
    return _voted(source, _logged_rows(source, options, columns, bad, where), bad, where)


def read_judged_texts(
    source: PathLike,
    options: ReadOptions = DEFAULTS,
    *,
    text: str | None = None,
    label: str | None = None,
    accepted: str | None = None,
    corrected: str | None = None,
) -> list[JudgedText]:
    """Read all texts of a log, those without feedback or without a right route too; see :func:`read_logs`.

    Raises:
        SourceError: the source cannot be read, a row is bad, or no row has feedback.
    """
    columns = _Columns(text, label, accepted, corrected)
    texts: dict[str, list[_Logged]] = defaultdict(list)
    for row in _logged_rows(os.fspath(source), options, columns, BadRows(options.skip_bad), None):
        texts[text_key(row.text)].append(row)
    return [_judged(rows) for rows in texts.values()]


class _Columns(NamedTuple):
    """The names of a log's columns; None for the usual ones."""

    text: str | None = None
    label: str | None = None
    accepted: str | None = None
    corrected: str | None = None


def _logged_rows(
    source: str, options: ReadOptions, columns: _Columns, bad: BadRows, where: ColumnFilter | None
) -> list[_Logged]:
    """The rows that match, of which at least one has feedback."""
    kept = (*options.columns, where.column) if where else options.columns

    def logged(place: str, fields: Mapping[str, Any]) -> _Logged:
        query = text_field(place, fields, columns.text, QUERY_COLUMNS, "text")
        column = column_named(place, fields, columns.label, ROUTE_COLUMNS, "label")
        chosen = _route(place, column, fields[column])
        row = _Logged(place, query, chosen, {**plain_fields(fields, kept), **part_field(place, fields)}, chosen)
        return _with_feedback(
            row,
            _truth(place, fields, column_found(fields, columns.accepted, ACCEPTED_COLUMNS)),
            _correction(place, fields, column_found(fields, columns.corrected, CORRECTED_COLUMNS)),
        )

    rows = chosen_rows(read_source(source, logged, bad, options), where)
    if not any(row.has_feedback for row in rows):
        raise SourceError(
            f"{source}: no row says whether its route was right: expected a column {ACCEPTED_COLUMNS[0]} or "
            f"{CORRECTED_COLUMNS[0]}; name them with `accepted` and `corrected`"
        )
    return rows


def _with_feedback(row: _Logged, accepted: bool | None, correction: str) -> _Logged:
    """The row with the right route as its label."""
    if correction:
        if accepted is not None and accepted != (correction == row.label):
            said = "accepted" if accepted else "not accepted"
            raise SourceError(f"{row.place}: {row.label or 'no route'} is {said}, but corrected to {correction}")
        return replace(row, label=correction)
    if accepted:
        return row
    return replace(row, label="", rejected=row.label if accepted is False else None, has_feedback=accepted is not None)


def _voted(source: str, rows: Sequence[_Logged], bad: BadRows, where: ColumnFilter | None) -> Labels:
    texts: dict[str, _Votes] = defaultdict(_Votes)
    for row in rows:
        texts[text_key(row.text)].count(row)
    voted = [votes for votes in texts.values() if votes.rows]
    winners = [winner for winner in (votes.winner() for votes in voted) if winner]
    if not any(winner.label for winner in winners):
        raise SourceError(f"{source}: no row accepts or corrects a route, so there is nothing to learn")
    labels = collect(source, winners, bad)
    labels.where = where
    labels.repeated = sum(len(votes.rows) for votes in voted) - len(voted)
    labels.set_aside = {
        "without_feedback": sum(not row.has_feedback for row in rows),
        "rejected": sum(row.rejected is not None for row in rows),
        "at_odds": sum(votes.at_odds for votes in voted),
        "undecided": len(voted) - len(winners),
    }
    return labels


def _judged(rows: Sequence[_Logged]) -> JudgedText:
    """What the rows of one text say together."""
    votes = _Votes()
    for row in rows:
        votes.count(row)
    winner = votes.winner()
    label = winner.label if winner else None
    corrections = tuple(
        (row.chosen, row.label) for row in rows if row.has_feedback and row.label and row.chosen != row.label
    )
    return JudgedText((winner or rows[0]).text, label, frozenset(votes.against) - {label}, corrections)


def _route(place: str, name: str, value: Any) -> str:
    found = label_of(place, name, value)
    return "" if found.casefold() in _NOTHING else found


def _correction(place: str, fields: Mapping[str, Any], name: str | None) -> str:
    return _route(place, name, fields[name]) if name else ""


def _truth(place: str, fields: Mapping[str, Any], name: str | None) -> bool | None:
    value = fields[name] if name else None
    said = (cell_text(value) or "").casefold()
    if said in (*_YES, *_NO):
        return said in _YES
    if said not in _NOTHING or not (is_empty(value) or isinstance(value, str)):
        raise SourceError(f"{place}: {name} is {value!r:.80}: expected true or false, 1 or 0, yes or no, or nothing")
    return None

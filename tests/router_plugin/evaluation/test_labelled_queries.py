"""Labelled queries from files: a missing label is none, and a number is one label however it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from router_plugin import QueryError, read_labelled_queries


def labels(folder: Path, *values: Any, known: list[str] | None = None) -> list[str | None]:
    path = folder / "queries.jsonl"
    rows = [{"text": f"query {number}", "route": value} for number, value in enumerate(values)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_labelled_queries(path, known=known).labels


def test_missing_labels_are_none(tmp_path: Path) -> None:
    assert labels(tmp_path, None, float("nan"), "", " ", "nan", "NULL", "x") == [None] * 6 + ["x"]


def test_numbers_name_a_route_however_they_are_written(tmp_path: Path) -> None:
    assert labels(tmp_path, 3, 3.0, "3.0", "3", known=["3"]) == ["3"] * 4
    assert labels(tmp_path, "3.0", known=["3.0"]) == ["3.0"]


@pytest.mark.parametrize("value", ["4", 4.5, ["3"], {"a": 1}])
def test_other_labels_are_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(QueryError, match="line 1: unknown route .*: expected 3, or none"):
        labels(tmp_path, value, known=["3"])


def test_a_query_that_is_missing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "queries.csv").write_text("text,route\nnan,x\n")
    with pytest.raises(QueryError, match="line 2: no text"):
        read_labelled_queries(tmp_path / "queries.csv")

"""Holding out: whole values of a column are the test split, and what cannot be held out is reported."""

import json

import pytest

from training import PrepareOptions, SourceError, prepare, read_pairs, read_prepared
from training.tables.column_filter import ColumnFilter
from training.tables.options import ReadOptions

SOURCES = ["clinic", "library", "forum", None]


@pytest.fixture
def rows(tmp_path):
    """Forty pairs of three sources and some of none, with a year."""
    path = tmp_path / "pairs.jsonl"
    lines = [
        {"q": f"question {n} of {n * 7}", "a": f"answer {n} on {n * 3}", "Source": SOURCES[n % 4], "year": 2000 + n % 2}
        for n in range(40)
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def held_out_rows(rows, out, *given, split="grouped"):
    """Source and year of every test pair."""
    hold_outs = tuple(map(ColumnFilter.parse, given))
    pairs = read_pairs(str(rows), ReadOptions(columns=tuple(hold_out.column for hold_out in hold_outs)))
    prepare(pairs, out, PrepareOptions(split=split, hold_out=hold_outs))
    data = read_prepared(out)
    numbers = [int(data.queries[name].split()[1]) for name in data.qrels["test"]]
    assert len(numbers) == data.manifest["counts"]["test_queries"]
    return {(SOURCES[n % 4], 2000 + n % 2) for n in numbers}, len(numbers)


@pytest.mark.parametrize("split", ["grouped", "random"])
@pytest.mark.parametrize(
    ("given", "expected", "count"),
    [
        (["source=clinic"], {("clinic", 2000)}, 10),
        (["Source= clinic , forum"], {("clinic", 2000), ("forum", 2000)}, 20),
        (["source=library", "year=2000"], {("clinic", 2000), ("library", 2001), ("forum", 2000)}, 30),
    ],
)
def test_the_rows_of_any_given_value_are_the_test_split(rows, tmp_path, split, given, expected, count):
    assert held_out_rows(rows, tmp_path / "out", *given, split=split) == (expected, count)


def test_the_manifest_says_what_was_held_out(rows, tmp_path):
    held_out_rows(rows, tmp_path / "out", "source=clinic")
    options = read_prepared(tmp_path / "out").manifest["options"]
    assert options["hold_out"] == [{"column": "source", "values": ["clinic"]}]


@pytest.mark.parametrize("given", ["", "source", "source=", "source= , ", "=clinic"])
def test_a_filter_of_another_form_is_refused(given):
    with pytest.raises(SourceError, match=f"^`hold_out` '{given}': expected COLUMN=VALUE"):
        PrepareOptions(hold_out=(given,))


def test_values_may_hold_an_equals_sign():
    assert PrepareOptions(hold_out=("kind=a=b, c",)).hold_out == (ColumnFilter("kind", ("a=b", "c")),)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("origin=clinic", "`hold_out` origin: no row has that column"),
        ("source=hospital", "`hold_out` source=hospital: no row has that value: found clinic, forum, library$"),
        ("source=None", "`hold_out` source=None: no row has that value"),
        ("source=clinic,library,forum", None),
    ],
)
def test_a_column_or_value_that_no_row_has_is_refused(rows, tmp_path, given, expected):
    if expected is None:
        assert held_out_rows(rows, tmp_path / "out", given)[1] == 30
        return
    with pytest.raises(SourceError, match=expected):
        held_out_rows(rows, tmp_path / "out", given)
    assert not (tmp_path / "out").exists()


def test_models_can_be_chosen_by_a_source_and_tested_on_another(rows, tmp_path):
    options = PrepareOptions(
        hold_out=(ColumnFilter("source", ("clinic",)),), hold_out_dev=(ColumnFilter("source", ("forum",)),)
    )
    prepare(read_pairs(str(rows), ReadOptions(columns=("source",))), tmp_path / "out", options)
    data = read_prepared(tmp_path / "out")
    for part, sources in (("test", {"clinic"}), ("dev", {"forum"}), ("train", {"library", None})):
        assert {SOURCES[int(data.queries[name].split()[1]) % 4] for name in data.qrels[part]} == sources


def test_errors_about_dev_rows_name_their_option(rows, tmp_path):
    with pytest.raises(SourceError, match="^`hold_out_dev` 'source': expected COLUMN=VALUE"):
        PrepareOptions(hold_out_dev=("source",))
    options = PrepareOptions(hold_out_dev=(ColumnFilter("source", ("hospital",)),))
    with pytest.raises(SourceError, match="^`hold_out_dev` source=hospital: no row has that value"):
        prepare(read_pairs(str(rows), ReadOptions(columns=("source",))), tmp_path / "out", options)

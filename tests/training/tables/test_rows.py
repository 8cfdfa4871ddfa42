"""Rows of published files: formats by content, separators, blanks and line ends, columns that nobody asked for."""

from __future__ import annotations

import bz2
import datetime
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import SourceError, read_labels, read_pairs, read_triplets
from training.sources.pairs import Pair
from training.tables.options import ReadOptions
from training.tables.rows import read_rows

ROWS = [{"question": f"what is {n}", "answer": f"it is\n{n}, or «ö» {n}"} for n in range(3)]
PAIRS = [Pair(f"what is {n}", f"it is {n}, or «ö» {n}") for n in range(3)]
JSON_LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def write(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def fields(path: str) -> list[dict[str, Any] | None]:
    return [row.fields and dict(row.fields) for row in read_rows(path)]


CONTENTS = {
    "lines": JSON_LINES,
    "lines with a mark and blank lines": "\ufeff\n" + JSON_LINES.replace("\n", "\n\n"),
    "array": json.dumps(ROWS),
    "array over several lines": json.dumps(ROWS, indent=2),
    "objects over several lines": "\n".join(json.dumps(row, indent=2) for row in ROWS),
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "ROWS.JSON", "rows.txt", "rows"])
def test_json_is_read_whatever_its_layout_and_name(tmp_path: Path, content: str, name: str) -> None:
    if content.startswith("objects") and name.endswith("jsonl"):
        pytest.skip("a broken line of JSONL is a bad row")
    assert read_pairs(write(tmp_path, name, CONTENTS[content])).pairs == PAIRS


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, bytes])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.JSONL.GZ", "rows.json.bz2", "rows.xz"])
def test_compression_is_told_by_the_content(tmp_path: Path, compress: Any, name: str) -> None:
    assert read_pairs(write(tmp_path, name, compress(JSON_LINES.encode()))).pairs == PAIRS


@pytest.mark.parametrize("name", ["rows.parquet", "rows.pq", "rows.json", "rows"])
def test_parquet_is_told_by_its_content(tmp_path: Path, name: str) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / name)
    assert read_pairs(str(tmp_path / name)).pairs == PAIRS


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.jsonl"])
def test_lines_may_end_in_any_way(tmp_path: Path, end: str, name: str) -> None:
    lines = ['{"question": "q", "answer": "a"}'] * 2 if name == "rows.jsonl" else ["question,answer", "q,a", "q,a"]
    assert read_pairs(write(tmp_path, name, end.join(lines))).pairs == [Pair("q", "a")] * 2


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv"])
def test_the_separator_is_that_of_the_header(tmp_path: Path, separator: str, name: str) -> None:
    text = f'question{separator}answer\nq; one, two{separator}"a, | {separator} b"\n'.replace(
        "q; one, two", '"q; 1, 2"'
    )
    assert read_pairs(write(tmp_path, name, text)).pairs == [
        Pair("q; 1, 2", f"a, | {separator.strip()} b".replace("  ", " "))
    ]


def test_the_line_in_which_excel_names_the_separator_is_no_row(tmp_path: Path) -> None:
    assert read_pairs(write(tmp_path, "rows.csv", "sep=;\nquestion;answer\nq;a\n")).pairs == [Pair("q", "a")]


@pytest.mark.parametrize(
    "row",
    ['q, "one, ""two"""', 'q,"one, ""two"""', '"q", "one, ""two"""', '"q" , "one, ""two""" ', '  "q"  ,"one, ""two"""'],
)
def test_blanks_beside_quotes_do_not_belong_to_the_field(tmp_path: Path, row: str) -> None:
    for content in (f"question, answer\n{row}\nr,s\n", f"question,answer\n{row}"):
        found = read_pairs(write(tmp_path, "rows.csv", content)).pairs
        assert found[0] == Pair("q", 'one, "two"')


def test_quotes_in_tsv_may_be_characters_like_others(tmp_path: Path) -> None:
    text = 'question\tanswer\n"Why" he asked\tsaid "no" to it\nq\ta\n'
    assert read_pairs(write(tmp_path, "rows.tsv", text)).pairs == [
        Pair('"Why" he asked', 'said "no" to it'),
        Pair("q", "a"),
    ]


def test_rows_of_a_spreadsheet_with_nothing_in_them_are_no_rows(tmp_path: Path) -> None:
    text = "\nquestion,answer\nq,a\n,\n\n , \nr,s\n,,,\n"
    assert [pair.place[-6:] for pair in read_pairs(write(tmp_path, "rows.csv", text)).pairs] == ["line 3", "line 7"]


def test_a_quote_that_is_not_closed_is_never_one_bad_row(tmp_path: Path) -> None:
    """The rest of the file would be lost in it."""
    path = write(tmp_path, "rows.csv", 'question,answer\nq,a\n"q,a\n' + "q,a\n" * 50)
    with pytest.raises(SourceError, match="line 3: a quote is not closed"):
        read_pairs(path, ReadOptions(skip_bad=True))


def test_a_bad_row_over_several_lines_says_where_it_ends(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.csv", 'question,answer\n"q,a\nq,a\n",b,c\nq,a\n')
    found = read_pairs(path, ReadOptions(skip_bad=True))
    assert len(found.pairs) == 1
    assert found.skipped[0].startswith(f"{path}, line 2: has 3 fields (up to line 4), the header 2")


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(blacklist_categories=("Cs", "Cc", "Z"), blacklist_characters="\ufeff"))] * 2),
        min_size=1,
    ),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["rows.csv", "rows.tsv", "rows.txt.csv"]),
)
def test_what_a_writer_of_csv_quotes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], separator: str, end: str, name: str
) -> None:
    quoted = [separator.join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in rows]
    text = end.join([f"question{separator}answer", *quoted])
    found = fields(write(tmp_path_factory.mktemp("csv"), name, text))
    assert found == [{"question": a, "answer": b} for a, b in rows if a.strip() or b.strip()]


def table(**columns: Any) -> pyarrow.Table:
    return pyarrow.table({"question": ["q1", "q2"], "answer": ["a1", "a2"], **columns})


FAR = pyarrow.array([2_932_897, 1], pyarrow.int32()).cast(pyarrow.date32())  # the first of January 10000


def test_a_parquet_column_that_is_not_used_may_hold_anything(tmp_path: Path) -> None:
    bad = pyarrow.array([b"\xff", b"x"]).view(pyarrow.string())
    pyarrow.parquet.write_table(table(valid_to=FAR, raw=bad), tmp_path / "rows.parquet")
    assert read_pairs(str(tmp_path / "rows.parquet")).pairs == [Pair("q1", "a1"), Pair("q2", "a2")]


def test_a_parquet_value_that_python_does_not_have_is_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(table(valid_to=FAR), path)
    with pytest.raises(SourceError, match=f"{path}, row 1: valid_to cannot be read: date value out of range"):
        read_pairs(str(path), ReadOptions(columns=("valid_to",)))
    found = read_pairs(str(path), ReadOptions(columns=("valid_to",), skip_bad=True))
    assert (found.pairs, len(found.skipped)) == ([Pair("q2", "a2")], 1)
    assert list(read_rows(path))[1].fields["valid_to"] == datetime.date(1970, 1, 2)  # type: ignore[index]


def test_text_that_programs_write_as_bytes_is_text(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(
        pyarrow.table({"q": ["é".encode(), b"\xff"], "a": ["x", "y"]}), tmp_path / "rows.parquet"
    )
    found = read_pairs(str(tmp_path / "rows.parquet"), ReadOptions(skip_bad=True))
    assert (found.pairs, len(found.skipped)) == ([Pair("é", "x")], 1)


def test_a_hub_data_set_is_read_without_what_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    data = datasets.Dataset(table(valid_to=FAR)).select([1, 0])
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: data)
    found = read_pairs("owner/name").pairs
    assert [(pair.question, pair.place) for pair in found] == [
        ("q2", "owner/name, split train, row 1"),
        ("q1", "owner/name, split train, row 2"),
    ]


@pytest.mark.parametrize(
    "cell",
    [
        '["no", "never, ever"]',
        "['no', 'never, ever']",
        '["no", null, "never, ever", ""]',
        "['no',\n 'never, ever', None]",
    ],
)
def test_a_list_in_a_cell_of_csv_is_a_list(tmp_path: Path, cell: str) -> None:
    quoted = cell.replace('"', '""')
    path = write(tmp_path, "rows.csv", f'anchor,positive,negative\nq,a,"{quoted}"\nr,"[1] is a text","[see above]"\n')
    first, second = read_triplets(path).queries
    assert first.non_relevant == ("no", "never, ever")
    assert (second.relevant, second.non_relevant) == (("[1] is a text",), ("[see above]",))


def test_a_list_without_commas_is_refused(tmp_path: Path) -> None:
    """Python joins strings that follow each other, so that two texts would become one."""
    path = write(tmp_path, "rows.csv", "anchor,positive,negative\nq,a,['no' 'never']\n")
    with pytest.raises(SourceError, match="line 2: negative is a list without commas: expected JSON"):
        read_triplets(path)


MISSING = [None, float("nan"), "", "  ", "nan", "NaN", "<NA>", "NULL", "null", "None", "NaT", "#N/A"]
TEXTS = ["NA", "N/A", "none", "nano", "Null and void", "na", "0"]


@pytest.mark.parametrize("value", MISSING)
def test_a_missing_value_is_never_a_text_or_a_label(tmp_path: Path, value: Any) -> None:
    rows = [{"text": "one", "label": value}, {"text": "two", "label": "x"}, {"text": value, "label": "y"}]
    path = write(tmp_path, "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    found = read_labels(path, ReadOptions(skip_bad=True))
    assert [(each.text, each.label) for each in found.texts] == [("two", "x")]
    assert (found.out_of_scope, len(found.skipped)) == (1, 1)
    triplet = {"anchor": "q", "positive": "a", "negative": value, "negative_2": [value, "b"]}
    assert read_triplets(write(tmp_path, "t.jsonl", json.dumps(triplet))).queries[0].non_relevant == ("b",)


@pytest.mark.parametrize("value", TEXTS)
def test_words_that_people_write_are_texts_and_labels(tmp_path: Path, value: str) -> None:
    path = write(tmp_path, "rows.csv", f"text,label\n{value},x\ntwo,{value}\n")
    assert [(each.text, each.label) for each in read_labels(path).texts] == [(value, "x"), ("two", value)]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([3, None, 1], ["3", "1"]),
        ([3.0, float("nan"), 1.0], ["3", "1"]),
        (["3.0", "", "1.00"], ["3", "1"]),
        ([True, None, False], ["true", "false"]),
        (["True", "", "False"], ["true", "false"]),
        ([0.5, None, 1.5], ["0.5", "1.5"]),
        (["007", "", "1.10"], ["007", "1.10"]),
    ],
)
def test_a_label_is_the_same_however_a_program_writes_it(
    tmp_path: Path, column: list[Any], expected: list[str]
) -> None:
    texts = ["one", "two", "three"]
    pyarrow.parquet.write_table(
        pyarrow.table({"text": texts, "label": pyarrow.array(column, from_pandas=False)}), tmp_path / "p.parquet"
    )
    lines = "".join(
        json.dumps({"text": text, "label": label}) + "\n" for text, label in zip(texts, column, strict=True)
    )
    cells = ["" if value is None else str(value) for value in column]
    table = "".join(f"{text},{label}\n" for text, label in zip(texts, cells, strict=True))
    for path in (
        str(tmp_path / "p.parquet"),
        write(tmp_path, "j.jsonl", lines),
        write(tmp_path, "c.csv", "text,label\n" + table),
    ):
        assert [each.label for each in read_labels(path).texts] == expected


def test_a_row_is_selected_by_a_number_however_a_program_writes_it(tmp_path: Path) -> None:
    years = pyarrow.array([2024.0, None, 2025.0])
    pyarrow.parquet.write_table(
        pyarrow.table({"text": ["a", "b", "c"], "label": ["x"] * 3, "year": years}), tmp_path / "p.parquet"
    )
    from training import ColumnFilter

    for value in ("2024", "2024.0"):
        found = read_labels(str(tmp_path / "p.parquet"), where=ColumnFilter.parse(f"year={value}"))
        assert [each.text for each in found.texts] == ["a"]

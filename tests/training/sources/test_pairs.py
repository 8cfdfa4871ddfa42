"""Reading pairs: every format gives the same pairs, and bad input is reported with its place and what was expected."""

import csv
import gzip
import io
import json
import os
import sys

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training import SourceError, read_pairs
from training.sources.pairs import ANSWER_COLUMNS, QUESTION_COLUMNS, Pair
from training.tables.options import ReadOptions

ROWS = [
    {"question": "Was heißt »Naïveté«?", "answer": 'Einfalt, "ganz" ohne\nArg\tund List, 无知'},
    {"question": "  what   is\u00a0it ", "answer": "one, two; three"},
    {"question": "why 🙂", "answer": "because"},
]
PAIRS = [Pair(" ".join(row["question"].split()), " ".join(row["answer"].split())) for row in ROWS]


def separated(delimiter):
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, ["question", "answer"], delimiter=delimiter)
    table.writeheader()
    table.writerows(ROWS)
    return text.getvalue().encode()


def parquet(rows=ROWS):
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return file.getvalue()


def json_lines(rows=ROWS):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


CONTENTS = {
    "jsonl": json_lines(),
    "ndjson": "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode(),
    "json": json.dumps(ROWS, indent=1, ensure_ascii=False).encode(),
    "csv": separated(","),
    "tsv": separated("\t"),
    "parquet": parquet(),
}


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("capitals", [False, True])
def test_every_format_gives_the_same_pairs(tmp_path, kind, zipped, capitals):
    name = f"my.pairs.{kind}" + (".gz" if zipped else "")
    path = tmp_path / (name.upper() if capitals else name)
    path.write_bytes(gzip.compress(CONTENTS[kind]) if zipped else CONTENTS[kind])
    result = read_pairs(str(path))
    assert (result.pairs, result.skipped, result.source) == (PAIRS, [], str(path))


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv"])
def test_a_byte_order_mark_does_not_count(tmp_path, kind):
    path = tmp_path / f"pairs.{kind}"
    path.write_bytes(b"\xef\xbb\xbf" + CONTENTS[kind])
    assert read_pairs(str(path)).pairs == PAIRS


def test_windows_line_ends_do_not_count(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(json_lines().replace(b"\n", b"\r\n"))
    assert read_pairs(str(path)).pairs == PAIRS


@pytest.mark.parametrize("word", ["NA", "N/A", "n/a", "none", "Null", "Nan", "true", "1e5", "007"])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_words_that_others_take_for_missing_values_or_numbers_are_text(tmp_path, word, separator):
    path = tmp_path / ("pairs.csv" if separator == "," else "pairs.tsv")
    path.write_text(f"question{separator}answer\n{word}{separator}a\nq{separator}{word}\n", encoding="utf-8")
    assert read_pairs(str(path)).pairs == [Pair(word, "a"), Pair("q", word)]


def test_other_columns_may_change_their_type_their_order_and_be_missing(tmp_path):
    rows = [
        {"question": "q0", "answer": "a0", "note": None},
        {"note": {"by": "x"}, "answer": "a1", "question": "q1"},
        {"question": "q2", "answer": "a2", "note": [1, "two"], "added": "later"},
        {"question": "q3", "answer": "a3"},
    ]
    for kind, content in (("jsonl", json_lines(rows)), ("json", json.dumps(rows).encode())):
        path = tmp_path / f"pairs.{kind}"
        path.write_bytes(content)
        assert read_pairs(str(path)).pairs == [Pair(f"q{number}", f"a{number}") for number in range(4)]


@pytest.mark.parametrize("question", [QUESTION_COLUMNS[0].upper(), *QUESTION_COLUMNS])
@pytest.mark.parametrize("answer", [" Answer ", *ANSWER_COLUMNS])
def test_usual_columns_are_found_in_any_case(tmp_path, question, answer):
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"id": 7, question: "q", answer: "a"}), encoding="utf-8")
    assert read_pairs(str(path)).pairs == [Pair("q", "a")]


def test_named_columns_win_over_the_usual_ones(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("question,answer,Title,Body\n1,2,3,4\n", encoding="utf-8")
    assert read_pairs(str(path), question="title", answer="Body").pairs == [Pair("3", "4")]


GOOD = '{"question": "q", "answer": "a"}\n'
HEAD = "question,answer\n"

LIMITS_DIGITS = hasattr(sys, "get_int_max_str_digits")
"""Whether Python refuses numbers of thousands of digits, as it does from 3.10.7 on."""

BAD_ROWS = {
    "broken JSON": ("jsonl", GOOD + '{"question": \n' + GOOD, 2, "JSON object"),
    "no object": ("jsonl", GOOD + "\n[1, 2]\n", 3, "JSON object"),
    "not UTF-8": ("jsonl", GOOD.encode() + b'{"question": "\xe9", "answer": "a"}', 2, "UTF-8"),
    **(
        {"huge number": ("jsonl", GOOD + '{"question": ' + "1" * 5000 + "}\n", 2, "JSON object")}
        if LIMITS_DIGITS
        else {}
    ),
    "deep nesting": ("jsonl", GOOD + "[" * 200_000 + "\n", 2, "JSON object"),
    "missing column": ("jsonl", GOOD + '{"question": "q", "text": "a"}\n', 2, "one of answer, response"),
    "empty": ("jsonl", GOOD + '{"question": "", "answer": "a"}\n', 2, "question is empty: expected text"),
    "blank": ("jsonl", GOOD + '{"question": "q", "answer": " \\n\\u00a0"}\n', 2, "answer is empty: expected text"),
    "number": ("jsonl", GOOD + '{"question": 7, "answer": "a"}\n', 2, "question is int: expected text"),
    "null": ("jsonl", GOOD + '{"question": "q", "answer": null}\n', 2, "answer is NoneType: expected text"),
    "list": ("jsonl", GOOD + '{"question": "q", "answer": ["a"]}\n', 2, "answer is list: expected text"),
    "surrogate": ("jsonl", GOOD + '{"question": "\\ud83d", "answer": "a"}\n', 2, "expected Unicode text"),
    "element of a JSON array": ("json", f"[\n{GOOD},\n\n 5]", 5, "JSON object"),
    "row of a JSON array": ("json", f'[\n{GOOD},\n{{"question": "q",\n"answer": ""}}]', 4, "expected text"),
    "too many fields": ("csv", HEAD + "q,a\nq,a,b\nq,a\n", 3, "3 fields, the header 2"),
    "too few fields": ("csv", HEAD + "q,a\nq\nq,a\n", 3, "1 fields, the header 2"),
    "fields of TSV": ("tsv", "question\tanswer\nq\ta\nq,a\n", 3, "1 fields, the header 2"),
    "text after a quote": ("csv", HEAD + 'q,a\n"q"r,a\nq,a\n', 3, "quoted fields"),
    "CSV not UTF-8": ("csv", HEAD.encode() + b"q,a\nq,\xe9\nq,a\n", 3, "is not UTF-8 text"),
    "NUL byte in CSV": ("csv", HEAD + "q,a\nq\0,a\nq,a\n", 3, "holds a NUL byte"),
    "huge field": ("csv", HEAD + "q,a\n" + "x" * 1100 + ",a\nq,a\n", 3, "field larger than field limit"),
    "pandas' word for nothing": ("csv", HEAD + "q,a\nq,nan\nq,a\n", 3, "answer is 'nan', as programs write a missing"),
    "JSON's word for nothing": (
        "csv",
        HEAD + "q,a\nNULL,a\nq,a\n",
        3,
        "question is 'NULL', as programs write a missing",
    ),
    "NaN": ("jsonl", GOOD + '{"question": "q", "answer": NaN}\n', 2, "answer is float: expected text"),
    "row of several lines": ("csv", HEAD + 'q,a\n"q\nr\ns",\nq,a\n', 3, "answer is empty"),
}


def write(folder, kind, content):
    path = folder / f"pairs.{kind}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture(autouse=True)
def small_fields(monkeypatch):
    """A limit that a test can exceed."""
    monkeypatch.setattr("training.tables.separated_rows._MAX_FIELD", 1000)


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_reported_with_its_file_and_line_and_what_was_expected(tmp_path, case):
    kind, content, line, expected = BAD_ROWS[case]
    path = write(tmp_path, kind, content)
    with pytest.raises(SourceError) as caught:
        read_pairs(str(path))
    assert f"{path}, line {line}: " in str(caught.value)
    assert expected in str(caught.value)
    assert "`skip_bad`" in str(caught.value)


@pytest.mark.parametrize("case", BAD_ROWS)
def test_skip_bad_counts_the_bad_row_and_keeps_the_good_ones(tmp_path, case):
    kind, content, line, _ = BAD_ROWS[case]
    path = write(tmp_path, kind, content)
    result = read_pairs(str(path), ReadOptions(skip_bad=True))
    assert set(result.pairs) == {Pair("q", "a")}
    assert [skipped.startswith(f"{path}, line {line}: ") for skipped in result.skipped] == [True]


BAD_FILES = {
    "broken JSON array": ("json", '[\n{"question": "q", "answer": "a"},\n{"question": oops}\n]', ", line 3: ", "array"),
    "JSON array not closed": ("json", '[\n\n{"question": "q",\n"answer": "a"}\n', ", line 3: ", "array"),
    "JSON array cut short": ("json", '[\n{"question": "q", "answer": "a"},\n', ", line 3: ", "array"),
    "text after the JSON array": ("json", f"[{GOOD}]\n[{GOOD}]", ", line 3: ", "array"),
    **(
        {"huge number in an array": ("json", f"[{GOOD},\n{'1' * 5000}]", ", line 3: ", "array")}
        if LIMITS_DIGITS
        else {}
    ),
    "deep nesting in an array": ("json", "[\n" + "[" * 200_000, ", line 2: ", "array"),
    "JSON not UTF-8": ("json", b'[{"question": "\xe9"}]', ": ", "UTF-8"),
    "binary file with a text name": ("json", bytes(range(256)), ": ", "UTF-8"),
    "quote not closed": ("csv", HEAD + 'q,a\n"q,a\nq,a\nq,a\n', ", line 3: ", "quoted"),
    "column twice": ("csv", "question,answer,answer\nq,a,b\n", "line 1", "duplicate column 'answer'"),
    "binary CSV": ("csv", bytes(range(1, 256)), ": ", "UTF-8"),
    "not Parquet": ("parquet", b"PAR1" + bytes(100) + b"PAR1", ": ", "Parquet"),
    "Parquet cut short": ("parquet", CONTENTS["parquet"][:-20], ": ", "Parquet"),
    "gzip cut short": ("jsonl.gz", gzip.compress(json_lines(ROWS * 100))[:-20], ": ", "cannot be read"),
    "gzip damaged": ("csv.gz", gzip.compress(separated(","))[:-8] + bytes(8), ": ", "cannot be read"),
    "unknown kind": ("docx", "question;answer", ": ", ".jsonl"),
    "no kind": ("", "question", ": ", ".jsonl"),
    "Excel": ("csv", b"PK\x03\x04" + bytes(50), ": ", "save it as CSV"),
    "zstd": ("jsonl.zst", b"\x28\xb5\x2f\xfd" + bytes(50), ": ", "decompress it"),
    "UTF-16": ("csv", (HEAD + "q,a").encode("utf-16"), ": ", "UTF-16: save it as UTF-8"),
    "UTF-16 without a mark": ("jsonl", GOOD.encode("utf-16-le"), ": ", "UTF-16: save it as UTF-8"),
    "rows inside an object": ("json", f'{{"version": 1, "data": [{GOOD}]}}', ": ", "whose 'data' holds the rows"),
    "columns of pandas": ("json", '{"question": {"0": "q"}, "answer": {"0": "a"}}', ": ", "whose keys are columns"),
    "empty": ("jsonl", "", ": ", "no usable row"),
    "empty array": ("json", "[]", ": ", "no usable row"),
    "empty JSON": ("json", "", ": ", "array"),
    "header alone": ("csv", HEAD, ": ", "no usable row"),
    "empty CSV": ("csv", "", ": ", "no usable row"),
    "Parquet without rows": ("parquet", parquet(ROWS[:0]), ": ", "no usable row"),
}


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_is_not_what_it_says_is_reported(tmp_path, case, skip_bad):
    kind, content, place, expected = BAD_FILES[case]
    path = write(tmp_path, kind, content)
    with pytest.raises(SourceError) as caught:
        read_pairs(str(path), ReadOptions(skip_bad=skip_bad))
    assert str(caught.value).startswith(str(path))
    assert place in str(caught.value)
    assert expected in str(caught.value)


def test_parquet_rows_are_reported_by_number(tmp_path):
    path = write(tmp_path, "parquet", parquet([*ROWS, {"question": "q", "answer": None}]))
    with pytest.raises(SourceError, match=r"pairs\.parquet, row 4: answer is NoneType: expected text"):
        read_pairs(str(path))


def test_parquet_text_that_is_not_utf8_is_reported(tmp_path):
    path = tmp_path / "pairs.parquet"
    bad = pyarrow.array([b"\xff\xfe"], type=pyarrow.binary()).view(pyarrow.string())
    pyarrow.parquet.write_table(pyarrow.table({"question": bad, "answer": ["a"]}), path)
    with pytest.raises(SourceError, match=r"pairs\.parquet"):
        read_pairs(str(path))


def test_when_all_rows_are_bad_the_first_fault_is_reported(tmp_path):
    path = write(tmp_path, "jsonl", '{"q": ""}\n{"q": 1}\n')
    with pytest.raises(SourceError, match=r"no usable row found; the first of 2 bad rows: .*, line 1: q is empty"):
        read_pairs(str(path), ReadOptions(skip_bad=True))


def test_a_named_column_that_is_missing_is_reported_with_those_found(tmp_path):
    path = write(tmp_path, "csv", "Title,Body\nq,a\n")
    with pytest.raises(SourceError, match=r"line 2: no question column: expected a column 'head', found Title, Body"):
        read_pairs(str(path), question="head", answer="Body")


@pytest.mark.parametrize("name", ["missing.jsonl", "folder/missing.csv", "/no/such/place"])
def test_a_missing_file_is_reported(name):
    with pytest.raises(SourceError, match=f"{name}: no such file"):
        read_pairs(name)


@pytest.mark.parametrize("name", ["~nobody-of-this-name/pairs.jsonl", "x" * 5000, "x" * 300 + ".csv", "\0.csv", ""])
def test_a_name_that_no_file_can_have_is_reported(name):
    with pytest.raises(SourceError):
        read_pairs(name)


def test_a_folder_is_reported_as_what_it_is(tmp_path):
    with pytest.raises(SourceError, match=": is a folder"):
        read_pairs(str(tmp_path))


@pytest.mark.parametrize("name", ["nobody/nothing", "nobody/questions-v1.5"])
def test_a_hub_data_set_that_cannot_be_reached_is_reported(name):
    with pytest.raises(SourceError, match=f"{name}: not found locally, and could not be downloaded"):
        read_pairs(name)


def test_a_file_may_have_a_name_that_is_not_utf8(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.jsonl"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(json_lines())
    assert read_pairs(os.fsdecode(path)).pairs == PAIRS


PIECES = [
    *(b"[", b"]", b"{", b"}", b":", b",", b'"', b"\n", b"\r", b"\t", b" ", b"\\u", b"\\ud800", b"\x00", b"\xff\xfe"),
    *(b'"question"', b'"answer"', b"question,answer", b"null", b"NaN", b"1e999", b"1" * 5000, b"[" * 5000),
    *("\N{BYTE ORDER MARK}".encode(), "é\u2028\x85".encode(), GOOD.encode(), b"q,a\n"),
]


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv"])
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(content=st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=15).map(b"".join)))
def test_any_bytes_give_pairs_or_a_source_error(tmp_path, kind, content):
    path = write(tmp_path, kind, content)
    try:
        result = read_pairs(str(path), ReadOptions(skip_bad=True))
    except SourceError as error:
        assert str(path) in str(error)
    else:
        assert all(pair.question.strip() and pair.answer.strip() for pair in result.pairs)

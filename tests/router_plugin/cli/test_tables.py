"""Tables: readable at every width of a terminal, the same lines in every pipe, and no text lost."""

from __future__ import annotations

import io
import re
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from router_plugin.cli.printing import print_fields, print_table
from router_plugin.cli.terminal.style import toned, visible
from router_plugin.cli.terminal.tables import MAX_WIDTH, MIN_WIDTH, cell, dotted

BOX = set("┏━┳┓┃┡╇┩│└─┴┘├┼┤")
DIGEST = "0123456789ab" + "cdef" * 13


class Terminal(io.StringIO):
    """A terminal that keeps what is written."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def shown(monkeypatch, columns, *table, print_it=print_table, **environment):
    """What a terminal of some columns shows; a pipe for None."""
    with monkeypatch.context() as patch:
        for name in ("NO_COLOR", "FORCE_COLOR"):
            patch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm", "COLUMNS": str(columns or 70), **environment}.items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdout", io.StringIO() if columns is None else Terminal())
        print_it(*table)
        return sys.stdout.getvalue()


texts = st.text(st.characters(exclude_characters="".join(BOX), exclude_categories=["Cs"]), max_size=40)
words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=30)


@st.composite
def tables(draw, cells):
    columns = draw(st.integers(1, 9))
    row = st.lists(cells, min_size=columns, max_size=columns)
    return draw(cells), draw(row), draw(st.lists(row, max_size=4))


def letters(*parts):
    """How often each character is there, but for white space and lines of boxes."""
    return Counter(letter for part in parts for letter in part if not letter.isspace() and letter not in BOX)


@settings(max_examples=150)
@given(tables(st.one_of(texts, words)), st.integers(30, 260))
def test_a_terminal_gets_no_line_wider_than_itself_and_every_letter(monkeypatch, table, columns):
    title, heads, rows = table
    out = shown(monkeypatch, columns, title, heads, rows, NO_COLOR="1")
    assert all(cell_len(line) <= min(max(columns, MIN_WIDTH), MAX_WIDTH) for line in out.split("\n"))
    cells = [each for row in rows for each in row]
    grid, records = (letters(*map(visible, (title, *names, *cells))) for names in (heads, heads * len(rows)))
    assert letters(out) in (grid, records)


@settings(max_examples=150)
@given(tables(texts))
def test_a_pipe_gets_one_line_a_row_whatever_the_terminal(monkeypatch, table):
    title, heads, rows = table
    out = shown(monkeypatch, None, title, heads, rows)
    assert out == shown(monkeypatch, None, title, heads, rows, COLUMNS="40", FORCE_COLOR="1", TERM="dumb")
    lines = out.split("\n")
    assert len(lines) == 2 + len(rows) + 2 and lines[-2:] == ["", ""] and lines[0] == visible(title)
    for line, row in zip(lines[1:], (heads, *rows), strict=False):
        assert all(visible(each) in line or not each for each in row) or " " in "".join(row)


@given(tables(words))
def test_fields_of_a_pipe_are_cut_by_two_spaces(monkeypatch, table):
    _, heads, rows = table
    lines = shown(monkeypatch, None, "title", heads, rows).splitlines()[1:-1]
    assert [re.split("  +", line.strip()) for line in lines] == [heads, *rows]


def test_empty_cells_and_nested_values_are_fields_too(monkeypatch):
    row = (None, "", {"a": {"b": 1}, "c": [1, 2]}, ["x", "y"], True, 5e-05, 0.25, f"sha256:{DIGEST}")
    out = shown(monkeypatch, None, "title", "abcdefgh", [row]).splitlines()[2]
    assert re.split("  +", out) == [
        "-",
        "-",
        "a.b=1, c=1, 2",
        "x, y",
        "true",
        "5e-05",
        "0.2500",
        f"sha256:{DIGEST[:12]}",
    ]


def test_nested_values_have_dotted_names(monkeypatch):
    value = {"counts": {"pairs": 3, "empty": {}}, "guards": [{"name": "a"}, {"name": "b"}], "tags": ["x", "y"]}
    assert dict(dotted(value)) == {
        "counts.pairs": 3,
        "counts.empty": {},
        "guards.1.name": "a",
        "guards.2.name": "b",
        "tags": ["x", "y"],
    }
    out = shown(monkeypatch, None, "title", value, print_it=print_fields)
    assert "counts.empty   -\n" in out and "tags           x, y\n" in out and "{" not in out and "[" not in out


plain = st.none() | st.booleans() | st.integers() | words.filter(lambda word: word not in ("None", "True", "False"))


@given(
    st.recursive(
        plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=6
    )
)
def test_no_cell_holds_a_value_as_python_writes_it(value):
    assert not re.search(r"[][{}()'\"]|\b(None|True|False)\b", cell(value))


@pytest.mark.parametrize("text", [DIGEST, f"file@{DIGEST}", f"{DIGEST}, {DIGEST}"])
def test_digests_are_shortened_and_other_numbers_are_not(text):
    assert cell(text) == text.replace(DIGEST, DIGEST[:12])
    for other in (DIGEST[:-1], DIGEST + "0", DIGEST.upper().replace("0", "G")):
        assert cell(other) == other


def test_a_narrow_terminal_shows_records(monkeypatch):
    table = (
        "moves",
        ("when", "alias", "who", "why"),
        [("2026-11-01 12:00:00", "champion", "someone@example", "w" * 40)],
    )
    wide, narrow = (shown(monkeypatch, columns, *table, NO_COLOR="1") for columns in (140, 60))
    assert "┃ when" in wide and "┃" not in narrow
    assert re.search(r"^alias +champion *$", narrow, re.MULTILINE)


def test_colours_are_for_terminals_that_want_them(monkeypatch):
    table = ("gains", ("metric", "gain"), [("mrr@5", "+0.1000"), ("ndcg@10", "-0.2000"), ("mrr@1", "+0.0000")])
    out = shown(monkeypatch, 80, *table)
    assert "\x1b[32m+0.1000" in out and "\x1b[31m-0.2000" in out and "m+0.0000" not in out
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in shown(monkeypatch, 80, *table, **environment)
    assert "\x1b" in shown(monkeypatch, 80, *table, NO_COLOR="")
    assert toned("x", "red", Terminal()) == "\x1b[31mx\x1b[0m" and toned("x", "red", io.StringIO()) == "x"
    monkeypatch.setenv("NO_COLOR", "0")
    assert toned("x", "red", Terminal()) == "x"

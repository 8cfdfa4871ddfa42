"""Printing: texts of users as they are, and output that cannot be written ends like a user's mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_plugin.cli.printing import print_json, print_line, print_table, visible
from tests.conftest import ROOT

MARKUP = [
    "account:key:reset",
    "08:00:27:cd:af:88",
    ":x: closed",
    "[bold]shouted[/bold]",
    "[/]",
    "[link=http://a.b]c[/link]",
    "\\[x]",
    "{{name}} %s",
]


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")


def lines_of(capsys):
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("text", MARKUP)
def test_a_table_shows_texts_as_they_are_wherever_they_stand(wide, capsys, text):
    print_table(text, (text, "second"), [(text, 1.0), ("other", 2.0)])
    out = lines_of(capsys)
    assert out[0].strip() == text
    assert sum(text in line for line in out) == 3


@settings(max_examples=60)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Zl", "Zp")), max_size=20))
def test_a_table_and_a_line_hold_nothing_that_steers_a_terminal(wide, capsys, text):
    capsys.readouterr()
    print_table(text, (text,), [(text,)])
    printed = capsys.readouterr().out.replace("\n", "")
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)):
        assert chr(code) not in printed and chr(code) not in visible(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("two\nlines\r\tand", r"two\nlines\r\tand"),
        ("\x9b2J", r"\x9b2J"),
        ("abc\u202edef", r"abc\u202edef"),
        ("caf\udce9", r"caf\udce9"),
        ("क्\u200dष 👩\u200d🚒", "क्\u200dष 👩\u200d🚒"),
        ("שלום \u200f ok", "שלום \u200f ok"),
    ],
)
def test_characters_that_steer_are_escaped_and_letters_are_not(wide, capsys, text, shown):
    assert visible(text) == shown
    print_table("title", ("text",), [(text,)])
    assert shown in capsys.readouterr().out


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3))
def test_json_is_read_back_and_steers_no_terminal(value):
    import contextlib
    import io

    for print_it in (print_json, print_line):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            print_it(value)
        assert json.loads(out.getvalue()) == value
        assert not any("\x7f" <= letter <= "\x9f" or "\u202a" <= letter <= "\u202e" for letter in out.getvalue())


def test_a_decision_is_shown_as_it_was_asked(cli, served, tmp_path, monkeypatch):
    routes = tmp_path / "routes.yaml"
    names = {"routes": [{"name": "account:key:reset", "utterances": ["I lost my access key"], "threshold": -1}]}
    routes.write_text(json.dumps(names), encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "300")
    status, out, _ = cli("route", "I lost :key: \x1b[31m[b]it[/b]", "--routes", routes, "--registry", served)
    assert status == 0
    assert "account:key:reset" in out and r"I lost :key: \x1b[31m[b]it[/b]" in out and "\x1b" not in out
    status, out, _ = cli("route", "I lost :key:", "--routes", routes, "--registry", served, "--explain")
    assert status == 0 and out.count("account:key:reset") >= 2


def test_what_a_model_did_not_read_is_shown(cli, served, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    routes = tmp_path / "routes.yaml"
    routes.write_text('routes: [{name: a, utterances: ["yes", "ok 👎"], threshold: -1}]', encoding="utf-8")
    status, out, _ = cli("route", "👍", "--routes", routes, "--registry", served)
    assert status == 0 and "none: the model cannot read the query" in out
    status, out, _ = cli("route", "ok 👍", "--routes", routes, "--registry", served)
    assert status == 0 and "ok 👍 (50% unread)" in out


@pytest.mark.parametrize("text", ["\x1b[31mx", "a\nb", "\u202ex"])
def test_errors_show_no_character_that_steers_a_terminal(cli, tmp_path, text):
    for arguments in (("models", "list", "--registry", tmp_path / text), (text,), ("route", "x", "--routes", text)):
        status, out, err = cli(*arguments)
        assert (status, out) == (2, "")
        assert "\x1b" not in err and "\u202e" not in err and "Traceback" not in err


def run(command, unbuffered=False, **streams):
    code = "import sys\nfrom router_plugin.cli import main\nsys.argv[0] = 'domain-router'\nmain()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} | ({"PYTHONUNBUFFERED": "1"} if unbuffered else {})
    return subprocess.run([sys.executable, "-c", code, *map(str, command)], env=environment, check=False, **streams)


COMMANDS = [("models", "list"), ("models", "list", "--json"), ("plugins",), ("--help",), ("models", "--help")]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_output_to_a_full_disk_is_one_line_and_status_2(served, command, unbuffered):
    command = (*command, "--registry", served) if "list" in command else command
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = run(command, unbuffered, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (2, "error: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize("command", COMMANDS[:3], ids=" ".join)
def test_output_that_nobody_reads_ends_silently(served, command):
    command = (*command, "--registry", served) if "list" in command else command
    reading, writing = os.pipe()
    os.close(reading)
    done = run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")  # noqa: PTH110
def test_an_error_that_cannot_be_written_keeps_its_status(tmp_path):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = run(
            ("models", "verify", "legal", "--registry", tmp_path), stderr=full, stdout=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stdout) == (2, "")

"""Progress bars: they show what is done as it is written."""

import io

from rich.console import Console

from registry.progress import LARGE, byte_bar
from training.runs import progress


def test_a_description_is_no_markup(monkeypatch):
    written = io.StringIO()
    terminal = Console(file=written, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr("rich.console.Console", lambda stderr: terminal)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert list(progress.track("ab", "encoding [red]cards[/] of [/home]")) == ["a", "b"]
    assert "encoding [red]cards[/] of [/home]" in written.getvalue()


def test_a_bar_of_few_bytes_and_a_bar_on_a_pipe_write_nothing(monkeypatch, capsys):
    written = io.StringIO()
    terminal = Console(file=written, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr("rich.console.Console", lambda stderr: terminal)
    for at_terminal, size in ((True, LARGE - 1), (False, LARGE)):
        monkeypatch.setattr("sys.stderr.isatty", lambda answer=at_terminal: answer)
        with byte_bar("copying", size) as advance:
            advance(size)
    assert written.getvalue() == "" and capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with byte_bar("copying", LARGE) as advance:
        advance(LARGE)
    assert "copying" in written.getvalue() and "200.0/200.0 MB" in written.getvalue()

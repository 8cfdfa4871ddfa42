"""Progress bars: they show what is done as it is written."""

import io

from rich.console import Console

from training.runs import progress


def test_a_description_is_no_markup(monkeypatch):
    written = io.StringIO()
    terminal = Console(file=written, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(progress, "Console", lambda stderr: terminal)
    assert list(progress.track("ab", "encoding [red]cards[/] of [/home]")) == ["a", "b"]
    assert "encoding [red]cards[/] of [/home]" in written.getvalue()

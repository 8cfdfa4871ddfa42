"""Checks the files that a command will write, before it does long work."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from registry.errors import OutputError
from router_plugin.errors import FittedError


def check_page(html: Path | None) -> None:
    """Make sure that ``--html`` can be written.

    Raises:
        OutputError: it cannot, or is another file than an earlier page.
    """
    if html:
        _check_file("html", html, _is_page)


def check_fitted(out: Path) -> None:
    """Make sure that ``--out`` of ``routes fit`` can be written.

    Raises:
        OutputError: it cannot, or is another file than an earlier output.
    """
    _check_file("out", out, _is_fitted)


def check_new(parameter: str, out: Path | None, overwrite: bool, endings: tuple[str, ...] = ()) -> None:
    """Make sure that a file can be written, if one is wanted.

    Args:
        parameter: of the command.
        out: the file.
        overwrite: whether an earlier file may be replaced.
        endings: one of which its name must have; any without them.

    Raises:
        OutputError: it cannot, or exists already.
    """
    if out is None:
        return
    if endings and out.suffix.lower() not in endings:
        raise OutputError(f"`{parameter}` {out}: expected a name that ends in {', '.join(endings)}")
    if out.exists() and not (overwrite and out.is_file()):
        raise OutputError(
            f"`{parameter}` {out}: exists already: choose another file"
            + (", or set `overwrite`" if out.is_file() else "")
        )
    _check_file(parameter, out, lambda _: True)


def _check_file(parameter: str, path: Path, is_earlier: Callable[[Path], bool]) -> None:
    try:
        if path.exists() and not is_earlier(path):
            raise OutputError(f"`{parameter}` {path}: exists already and is not an earlier output: choose another file")
        with tempfile.TemporaryFile(dir=path.absolute().parent):
            pass
    except OSError as error:
        raise OutputError(f"`{parameter}` {path}: cannot be written: {error.strerror}") from error


def _is_page(path: Path) -> bool:
    from registry.pages.templates import SHARED, render_html

    start = render_html(SHARED / "page.html", title="").partition("<title>")[0]
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(len(start)) == start
    except (OSError, UnicodeDecodeError):
        return False


def _is_fitted(path: Path) -> bool:
    from router_plugin.evaluation.fitted import Fitted

    try:
        Fitted.load(path)
    except FittedError:
        return False
    return True

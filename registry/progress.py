"""Progress bars with the time left, on standard error, only if that is a terminal and there is enough to wait for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from functools import cache
from threading import Timer
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

T = TypeVar("T")

Progress: TypeAlias = Callable[[float], None]
"""Hears what fraction of some work is done, where that is shown elsewhere than in a bar."""
DELAY = 1.0
"""Seconds after which a bar appears: what is done sooner needs none."""
LARGE = 200_000_000
"""Bytes that a disk takes a second for."""


class Advance(Protocol):
    """Moves a bar by a number of finished steps; ``total`` sets their number if it was unknown."""

    def __call__(self, steps: int, total: int | None = None) -> None: ...


@contextmanager
def bar(what: str, total: int | None = None, *, shown: bool = True, of_bytes: bool = False) -> Iterator[Advance]:
    """A bar, moved by calling the yielded function; it appears if the work takes longer than :data:`DELAY`.

    Args:
        what: is done.
        total: steps; None if their number is unknown.
        shown: False for a step that is done at once.
        of_bytes: whether a step is a byte.
    """
    if not (shown and sys.stderr is not None and sys.stderr.isatty()):
        yield lambda steps, total=None: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn() if of_bytes else MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=_console())
    task = progress.add_task(what, total=total)
    with _appearing(progress):
        yield lambda steps, total=None: progress.update(task, advance=steps, total=total)


@contextmanager
def _appearing(progress: RichProgress) -> Iterator[None]:
    """Show a bar from :data:`DELAY` on, if the block takes as long, and leave it there in the end."""
    timer = Timer(DELAY, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if progress.live.is_started:
            progress.stop()


@cache
def _console() -> Console:
    """One for all bars, so that a bar within another one is shown below it."""
    from rich.console import Console

    return Console(stderr=True)


@contextmanager
def byte_bar(what: str, total: int) -> Iterator[Advance]:
    """A bar of bytes, if they are many."""
    with bar(what, total, shown=total >= LARGE, of_bytes=True) as advance:
        yield advance


def track(items: Iterable[T], what: str, total: int | None = None, *, shown: bool = True) -> Iterator[T]:
    """The items, with a bar that moves as they are consumed; ``total`` is their number if they have no length."""
    with bar(what, len(items) if isinstance(items, Sized) else total, shown=shown) as advance:
        for item in items:
            yield item
            advance(1)

"""Progress bars with the time left, on standard error, only if that is a terminal."""

from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from training.runs.processes import is_main_process

T = TypeVar("T")


class Advance(Protocol):
    """Moves a bar by a number of finished steps; ``total`` sets their number if it was unknown."""

    def __call__(self, steps: int, total: int | None = None) -> None: ...


@contextmanager
def bar(what: str, total: int | None = None) -> Iterator[Advance]:
    """A bar, moved by calling the yielded function."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not (console.is_terminal and is_main_process())) as progress:
        task = progress.add_task(what, total=total)
        yield lambda steps, total=None: progress.update(task, advance=steps, total=total)


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """The items, with a bar that moves as they are consumed; ``total`` is their number if they have no length."""
    with bar(what, len(items) if isinstance(items, Sized) else total) as advance:
        for item in items:
            yield item
            advance(1)

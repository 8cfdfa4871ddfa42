"""Progress bars of training: those of the registry, of the first of several processes alone."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from registry import progress
from registry.progress import Advance as Advance
from training.runs.processes import is_main_process

T = TypeVar("T")


@contextmanager
def bar(what: str, total: int | None = None) -> Iterator[Advance]:
    """See :func:`registry.progress.bar`."""
    with progress.bar(what, total, shown=is_main_process()) as advance:
        yield advance


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """See :func:`registry.progress.track`."""
    return progress.track(items, what, total, shown=is_main_process())

"""Keeps what training runs report: a folder with one JSON file for each run, and its report page beside it."""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from registry.shared.outputs import write_atomically
from router_plugin.errors import ServerError
from router_plugin.server.errors import NotFoundError, NotServingError, RequestError, TooLargeError
from router_plugin.server.runs.reports import ENDED, MAX_PAGE, Run, RunReport, StoredRun

MAX_RUNS = 100
"""Runs that are kept; the oldest that have ended, or are silent for long, make room for new ones."""
MAX_BYTES = 500_000_000
"""Of all files together, whenever one is written."""
MAX_REPORT = 2_000_000
"""Bytes of a run but for its page."""
KEPT_DAYS = 90.0
"""Days for which a run is kept after it was heard of last."""
LOST = timedelta(days=1)
"""After which a silent run counts as ended."""

_ID = re.compile(r"[0-9a-f]{32}")


class RunStore:
    """Runs by their identifier. Several processes of a server may use one folder."""

    def __init__(self, folder: Path, keep_days: float = KEPT_DAYS) -> None:
        """
        Args:
            folder: made if it is missing, for its owner alone: report pages show texts of the data.
            keep_days: days for which a run that has ended is kept, see :meth:`tidy`.

        Raises:
            ServerError: it cannot be written.
        """
        self._folder, self._lock, self._keep = folder, threading.Lock(), timedelta(days=keep_days)
        self._read: dict[str, tuple[tuple[int, int], StoredRun]] = {}
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ServerError(f"`runs` {folder}: cannot be written: {error.strerror}") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ServerError(f"`runs` {folder}: cannot be written")

    def put(self, run: str, report: RunReport) -> None:
        """Keep the state of a run, in place of its earlier one.

        Raises:
            RequestError: its options are nested too deeply.
            TooLargeError: it is too large.
            NotServingError: too many others go on, or they are too large.
        """
        now = datetime.now(timezone.utc)
        with self._lock:
            known = self._load(run)
            stored = StoredRun(began=known.began if known else now, heard=now, report=report)
            try:
                content = stored.model_dump_json()
            except PydanticSerializationError as error:
                raise RequestError("`options` are nested too deeply", "options") from error
            if len(content) > MAX_REPORT:
                raise TooLargeError(f"a report of a run has at most {MAX_REPORT // 1000} KB, without its page")
            self._write(run, self._path(run), content)

    def put_page(self, run: str, page: str) -> None:
        """Keep the report page of a run.

        Raises:
            NotFoundError: there is no such run.
            TooLargeError: it is too large.
            NotServingError: runs that go on are too large.
        """
        if len(page) > MAX_PAGE:
            raise TooLargeError(f"a report page has at most {MAX_PAGE} characters")
        with self._lock:
            self._known(run)
            self._write(run, self._page(run), page)

    def all(self) -> list[Run]:
        """All runs, the newest first. A file that another version of this software wrote is left out."""
        names = [path.stem for path in self._folder.glob("*.json") if _ID.fullmatch(path.stem)]
        with self._lock:
            self._read = {name: each for name, each in self._read.items() if name in names}
            found = [(name, stored) for name in names if (stored := self._load(name))]
        runs = [self._run(name, stored) for name, stored in found]
        return sorted(runs, key=lambda run: (run.began, run.id), reverse=True)

    def get(self, run: str) -> Run:
        """A run.

        Raises:
            NotFoundError: there is none.
        """
        with self._lock:
            return self._run(run, self._known(run))

    def page(self, run: str) -> str:
        """The report page of a run: HTML from outside, not to be trusted.

        Raises:
            NotFoundError: there is no such run, or it has none.
        """
        self.get(run)
        try:
            return self._page(run).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            raise NotFoundError(f"{run}: this run has no report page") from None

    def remove(self, run: str) -> None:
        """Delete all that is kept of a run.

        Raises:
            NotFoundError: there is none.
        """
        with self._lock:
            self._known(run)
            self._delete(run)

    def tidy(self) -> None:
        """Delete the runs that have ended, or are silent for long, and have been kept for long enough."""
        now = datetime.now(timezone.utc)
        for run in self.all():
            if _has_ended(run, now) and now - run.heard > self._keep:
                with suppress(NotFoundError):  # another process was faster
                    self.remove(run.id)

    def _run(self, name: str, stored: StoredRun) -> Run:
        return Run(name, stored.began, stored.heard, stored.report, self._page(name).exists())

    def _known(self, run: str) -> StoredRun:
        stored = self._load(run) if _ID.fullmatch(run) else None
        if stored is None:
            raise NotFoundError(f"{run}: there is no such run: it may have been deleted")
        return stored

    def _load(self, run: str) -> StoredRun | None:
        """A stored run, parsed once for each time that it is written."""
        path = self._path(run)
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if run not in self._read or self._read[run][0] != stamp:
                self._read[run] = stamp, StoredRun.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        return self._read[run][1]

    def _write(self, run: str, path: Path, content: str) -> None:
        """Write a file of a run. The oldest runs that nobody waits for are deleted until there is room for it."""
        now, sizes = datetime.now(timezone.utc), self._sizes()
        needed = len(content.encode(errors="replace"))
        sizes.pop(path, None)
        names = {each.stem for each in sizes} - {run}
        if len(names) >= MAX_RUNS or needed + sum(sizes.values()) > MAX_BYTES:
            known = [(each.began, name) for name in names if (each := self._load(name)) and _has_ended(each, now)]
            for _, name in sorted(known):
                self._delete(name)
                names.remove(name)
                sizes = {each: size for each, size in sizes.items() if each.stem != name}
                if len(names) < MAX_RUNS and needed + sum(sizes.values()) <= MAX_BYTES:
                    break
            else:
                raise NotServingError(f"{len(names)} other runs are kept, none of them has ended, and there is no room")
        write_atomically(path, content)

    def _sizes(self) -> dict[Path, int]:
        """The bytes of all files of runs."""
        found = {}
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):  # another process deleted it
                if _ID.fullmatch(path.stem):
                    found[path] = path.stat().st_size
        return found

    def _delete(self, run: str) -> None:
        self._page(run).unlink(missing_ok=True)
        self._path(run).unlink(missing_ok=True)
        self._read.pop(run, None)

    def _path(self, run: str) -> Path:
        return self._folder / f"{run}.json"

    def _page(self, run: str) -> Path:
        return self._folder / f"{run}.html"


def _has_ended(run: Run | StoredRun, now: datetime) -> bool:
    """Whether nobody waits for it."""
    return run.report.state in ENDED or now - run.heard > LOST

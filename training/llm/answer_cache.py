"""Answers of language models kept on this machine by content, so that none is paid for twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from registry.shared.home import cache_folder
from training.errors import LanguageModelError

FILE = "answers.db"
_NAMES = 500
_SECONDS = 30.0


def content_key(*content: Any) -> bytes:
    """The digest of JSON values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()


class AnswerCache:
    """Texts by key, in an SQLite file that several threads and processes may use at a time."""

    def __init__(self, folder: Path | None = None) -> None:
        """
        Args:
            folder: holds the file; by default ``cache/llm`` in :func:`registry.shared.home.home`.

        Raises:
            LanguageModelError: nothing can be kept there.
        """
        folder = folder or cache_folder("llm")
        self.path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LanguageModelError(f"{folder}: answers cannot be kept there: {error.strerror}") from error
        with self._open() as database:
            database.execute("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer TEXT NOT NULL)")

    def get(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Those texts that are kept."""
        found: dict[bytes, str] = {}
        with self._open() as database:
            for start in range(0, len(keys), _NAMES):
                part = keys[start : start + _NAMES]
                marks = ", ".join("?" * len(part))
                found |= database.execute(f"SELECT key, answer FROM answers WHERE key IN ({marks})", part).fetchall()
        return found

    def put(self, key: bytes, answer: str) -> None:
        """Keep a text."""
        with self._open() as database:
            database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, answer))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=_SECONDS)) as database, database:
                yield database
        except sqlite3.Error as error:
            raise LanguageModelError(
                f"{self.path}: answers cannot be kept there: {error}; remove the file, or choose another `cache`"
            ) from error

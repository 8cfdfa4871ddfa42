"""Answers of language models, kept on this machine by content so that none is paid for twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from registry.errors import OutputError
from registry.paths import PathLike, local_path
from registry.shared.home import home
from registry.shared.sqlite_cache import CacheError, SqliteCache
from training.errors import LanguageModelError

FILE = "answers.db"


def content_key(*content: Any) -> bytes:
    """The digest of JSON values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()


class AnswerCache:
    """Texts by key. Safe to use from several threads and processes.

    A damaged file is an error, and not replaced: its answers were paid for.
    """

    def __init__(self, folder: PathLike | None = None) -> None:
        """
        Args:
            folder: holds the file; by default ``cache/llm`` in :func:`registry.shared.home.home`.

        Raises:
            LanguageModelError: nothing can be kept there.
        """
        with _in_words():
            self._cache = SqliteCache((local_path(folder, OutputError) if folder else home() / "cache" / "llm") / FILE)
            self._cache.create()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Those of the texts that are kept.

        Raises:
            LanguageModelError: they cannot be read.
        """
        with _in_words():
            return {key: value.decode("utf-8", "replace") for key, value in self._cache.get(keys).items()}

    def put(self, key: bytes, answer: str) -> None:
        """Keep a text.

        Raises:
            LanguageModelError: it cannot be written.
        """
        with _in_words():
            self._cache.put({key: answer.encode("utf-8")})


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except OutputError as error:
        damaged = isinstance(error, CacheError) and error.damaged
        remedy = "remove the file, or choose another `cache`" if damaged else "choose another `cache`"
        raise LanguageModelError(f"answers cannot be kept: {error}: {remedy}") from error

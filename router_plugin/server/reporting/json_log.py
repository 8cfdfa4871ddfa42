"""Writes the log as one JSON object on a line."""

from __future__ import annotations

import logging
import traceback
from datetime import datetime, timezone

import orjson

OF_A_REQUEST = {"of_a_request": True}
"""Extra of a record whose error may quote the text of a query."""


class JsonFormatter(logging.Formatter):
    """One object a record: time, level, what it is about, and fields of its own."""

    def __init__(self, log_queries: bool = False) -> None:
        """
        Args:
            log_queries: write what the errors of requests say, which may quote queries.
        """
        super().__init__()
        self._log_queries = log_queries

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        when = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line = {"time": when, "level": record.levelname.lower(), "message": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1]:
            quotes = getattr(record, "of_a_request", False) and not self._log_queries
            line["error"] = _without_words(record.exc_info[1]) if quotes else self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def _without_words(error: BaseException) -> str:
    """Where an error and its causes were raised, without what they say."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    own = f"{''.join(traceback.format_tb(error.__traceback__))}{type(error).__name__}\n"
    return (_without_words(cause) if cause else "") + own


def log_as_json(log_queries: bool = False) -> None:
    """Write this process's log to standard error, that of other libraries from warnings on.

    Args:
        log_queries: see :class:`JsonFormatter`.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(log_queries))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("router_plugin.server").setLevel(logging.INFO)

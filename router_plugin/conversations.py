"""What a query of a conversation means: a follow-up is read together with the question that it follows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from registry.paths import PathLike, local_path
from registry.texts.words import count_words
from router_plugin.errors import QueryError

Turn = Mapping[str, Any]
"""A message as OpenAI's chat API has it: ``role``, and as ``content`` a text or a list of parts."""

MAX_QUESTIONS = 3
"""Earlier questions that a query is read with at most."""
MAX_CHARACTERS = 250
"""Of an earlier question the end is read, so that an encoder that cuts long texts still reads the query behind it."""
SHORT = 3
"""A query with at most this number of words may be a follow-up, in any language. In a script without spaces every
letter counts as a word."""
REFERRING = 7
"""So may a query with at most this number of words, one of which refers to something."""

_CONTINUES = re.compile(
    r"\W*(?:and|or|but|also|then|so|ok(?:ay)?|what|how)\b(?:\W+(?:about|if|else|for|with|without|when|then)\b|\W*$)"
    r"|\W*(?:and|or|but|also|otherwise|instead)\b",
    re.IGNORECASE,
)
_REFERS = re.compile(
    r"\b(?:it|its|that|this|these|those|they|them|their|he|she|him|her|his|ones?|same|instead|another|the others?)\b",
    re.IGNORECASE,
)
"""English words that stand for something said before."""


def continues(text: str) -> bool:
    """Whether a query says that it goes on with an earlier one, like "and for children?"."""
    return bool(_CONTINUES.match(text))


def is_follow_up(text: str) -> bool:
    """Whether a query may depend on earlier ones, by its form: it goes on, is short, or refers to something."""
    length = count_words(text)
    return continues(text) or length <= SHORT or (length <= REFERRING and bool(_REFERS.search(text)))


def with_questions(query: str, history: Sequence[str]) -> str | None:
    """A query behind the question that it follows, and the follow-ups in between; None if it stands alone.

    Args:
        query: the present one.
        history: the user's earlier messages, the latest last.
    """
    if not query.strip() or not is_follow_up(query):
        return None
    read: list[str] = []
    for question in reversed(history[-MAX_QUESTIONS:]):
        read.insert(0, question[-MAX_CHARACTERS:])
        if not is_follow_up(question):
            break
    return " ".join([*read, query]) if read else None


def load_history(path: PathLike) -> list[Turn]:
    """The messages of a JSON file: a list of them, or a request of OpenAI's chat API with ``messages``.

    Raises:
        QueryError: it cannot be read, or holds something else.
    """
    file = local_path(path)
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise QueryError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise QueryError(f"{file}: is not JSON: {error}") from error
    messages: Any = content.get("messages") if isinstance(content, Mapping) else content
    user_messages(messages, str(file))
    return list(messages)


def user_messages(history: Iterable[Turn], name: str = "history") -> list[str]:
    """The texts of what a user said, the latest last; what others said is passed over, and so are blank messages.

    Args:
        history: earlier messages, the latest last.
        name: of the parameter, for errors.

    Raises:
        QueryError: a message has no ``role``, or its ``content`` is neither text, a list of parts, nor None.
    """
    if isinstance(history, (str, bytes, Mapping)) or not isinstance(history, Iterable):
        raise QueryError(f"`{name}`: expected a list of messages, each with `role` and `content`")
    said = [_text(turn, f"{name}[{number}]") for number, turn in enumerate(history)]
    return [text for role, text in said if role == "user" and text.strip()]


def _text(turn: Any, place: str) -> tuple[str, str]:
    """Role and text of a message."""
    if not isinstance(turn, Mapping) or not isinstance(turn.get("role"), str):
        raise QueryError(f"`{place}`: expected a message with `role` and `content`, not {type(turn).__name__}")
    content = turn.get("content")
    if content is None or isinstance(content, str):
        return turn["role"], content or ""
    if isinstance(content, (list, tuple)) and all(isinstance(part, Mapping) for part in content):
        texts = (part.get("text") for part in content)
        return turn["role"], " ".join(text for text in texts if isinstance(text, str))
    raise QueryError(f"`{place}`: `content` must be text or a list of parts, not {type(content).__name__}")

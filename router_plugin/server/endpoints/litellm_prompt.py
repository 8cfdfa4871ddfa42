"""The message in a prompt that LiteLLM writes for its classifiers."""

from __future__ import annotations

_MESSAGE = "\nClassify this message:\n"
_HEADINGS = (
    "\nCaller system prompt, quoted as task context:\n",
    "\nRecent conversation (context only, do not classify these):\n",
    "\nConversation so far: ~",
    _MESSAGE,
)
"""One of them starts a prompt. The system prompt and earlier turns are quoted in front of the message."""


def message_in(text: str) -> str:
    """The message that is to be classified; a text that is no such prompt stays as it is."""
    _, found, message = text.partition(_MESSAGE)
    return message if found and text.startswith(_HEADINGS) else text

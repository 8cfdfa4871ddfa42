"""One model behind an OpenAI-compatible API: requests for JSON, repeated after faults, paid from a budget."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import pydantic

from training.errors import LanguageModelError
from training.llm.spending import RESUME_HINT, Spending

try:
    import httpx
    import openai

    from training.llm.retries import retrying
except ImportError as missing:
    raise LanguageModelError(
        "calling a language model needs a package that is not installed: pip install 'domain-router[llm]'"
    ) from missing

_OVERHEAD_TOKENS = 200
"""Input tokens that a server may add to those of the messages."""
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_MAX_SHOWN = 300
"""Characters of a server's message, or of an invalid value, that an error shows."""

_Format = Callable[[dict[str, Any], int], dict[str, Any]]

_FORMATS: tuple[_Format, ...] = (
    lambda schema, limit: {"response_format": schema, "temperature": 0, "max_tokens": limit},
    lambda schema, limit: {"response_format": schema, "max_completion_tokens": limit},  # for reasoning models
    lambda schema, limit: {"response_format": {"type": "json_object"}, "temperature": 0, "max_tokens": limit},
    lambda schema, limit: {"temperature": 0, "max_tokens": limit},
    lambda schema, limit: {"max_completion_tokens": limit},
)
"""Ways to request JSON, the strictest first; the next one is used if a server refuses one with 400 or 422."""


class UnusableAnswer(ValueError):
    """An answer that cannot be used; the text continues a sentence that begins with it.

    Attributes:
        messages: that tell the model so in the next request.
    """

    def __init__(self, fault: str, messages: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(fault)
        self.messages = list(messages)


class Endpoint:
    """Sends requests to one model. Safe to use from several threads.

    Attributes:
        url: of the API.
        name: of the model.
        spending: counts, and limits by its budget.
        works: whether the model has answered; if so, a refused request is the fault of that request.
    """

    def __init__(self, url: str, name: str, key_variable: str | None, timeout: float, spending: Spending) -> None:
        """
        Args:
            url: of the API, up to its version: ``https://host/v1``.
            name: of the model, as the server knows it.
            key_variable: environment variable that holds the key; None to send no key.
            timeout: seconds after which an unanswered request is repeated.
            spending: counts, and limits by its budget.

        Raises:
            LanguageModelError: the URL or the key is invalid.
        """
        _check_url(url)
        self.url = url.rstrip("/")
        self.name = name
        self.spending = spending
        self.works = False
        self._timeout = timeout
        self._key = _read_key(key_variable)
        self._client = openai.OpenAI(
            base_url=url,
            api_key=self._key or "none",
            max_retries=0,  # see training.llm.retries
            timeout=timeout,
        )
        self._headers = {} if self._key else {"Authorization": openai.Omit()}
        self._format = 0

    def complete(self, messages: list[dict[str, str]], form: type[pydantic.BaseModel], max_tokens: int) -> str:
        """The text of an answer, requested in the strictest format that the server accepts.

        Args:
            messages: of the conversation.
            form: its JSON schema is sent along.
            max_tokens: limit of the answer.

        Raises:
            UnusableAnswer: there is none, it is incomplete, or the server refuses this request.
            BudgetError: the budget is used up.
            LanguageModelError: the server cannot be reached, or refuses all requests.
        """
        schema = {
            "type": "json_schema",
            "json_schema": {"name": form.__name__.lower(), "schema": form.model_json_schema(), "strict": True},
        }
        for number in range(self._format, len(_FORMATS)):
            try:
                text = retrying()(self._request, messages, _FORMATS[number](schema, max_tokens), max_tokens)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                last = error
            except openai.OpenAIError as error:
                raise self._in_words(error) from None
            else:
                self._format = max(self._format, number)
                self.works = True
                return text
        if self.works:
            raise UnusableAnswer(f"was refused ({self._message(last)})")
        raise self._in_words(last)

    def _request(self, messages: list[dict[str, str]], options: dict[str, Any], max_tokens: int) -> str:
        """The text of the answer to one request. Its tokens are counted, by their limits if the server reports none."""
        limits = (len(str((messages, options)).encode()) + _OVERHEAD_TOKENS, max_tokens)
        with self.spending.request(*limits) as count:
            try:
                reply = self._client.chat.completions.create(
                    model=self.name, messages=cast("Any", messages), extra_headers=self._headers, **options
                )
            except openai.APIConnectionError as error:
                if not isinstance(error.__cause__, _NEVER_SENT):
                    count(*limits)
                raise
            except ValueError as error:
                count(*limits)
                raise UnusableAnswer(f"is not JSON ({error})") from error
            count(*(_usage(reply) or limits))
        return _text(reply, max_tokens)

    def _in_words(self, error: openai.OpenAIError) -> LanguageModelError:
        message = self._message(error)
        if isinstance(error, openai.APITimeoutError):
            words = f"did not answer within {self._timeout:g} s: use a higher `timeout`, or a lower `concurrency`"
        elif isinstance(error, openai.APIConnectionError):
            cause = self._without_key(error.__cause__ or message)
            words = f"cannot be reached ({cause}): expected the address of an API, https://host/v1"
        elif isinstance(error, (openai.AuthenticationError, openai.PermissionDeniedError)):
            words = f"refuses the key ({message}): give the environment variable of a valid one as `key_variable`"
        elif isinstance(error, openai.NotFoundError):
            words = f"has no model {self.name}, or this is not the address of its API, https://host/v1 ({message})"
        else:
            words = f"does not answer: {message}"
        return LanguageModelError(f"{self.url} {words}. {RESUME_HINT}")

    def _message(self, error: openai.OpenAIError) -> str:
        """The server's own message, but never the key."""
        return self._without_key(getattr(error, "message", error))

    def _without_key(self, message: object) -> str:
        text = " ".join(str(message).split())
        return (text.replace(self._key, "***") if self._key else text)[:_MAX_SHOWN]


def _usage(reply: Any) -> tuple[int, int] | None:
    """Input and output tokens that a reply reports; None if it reports no numbers."""
    usage = getattr(reply, "usage", None)
    tokens = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    numbers = [count for count in tokens if isinstance(count, int) and count >= 0]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None


def _text(reply: Any, max_tokens: int) -> str:
    """The text that the model wrote.

    Raises:
        UnusableAnswer: there is none, or it is incomplete.
    """
    choices = getattr(reply, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    if getattr(choice, "finish_reason", None) == "length":
        raise UnusableAnswer(f"is cut off after {max_tokens} tokens")
    text = getattr(getattr(choice, "message", None), "content", None)
    if not isinstance(text, str):
        raise UnusableAnswer("has no text")
    return text


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid:
        raise LanguageModelError(f"`url` {url[:_MAX_SHOWN]!r}: expected the address of an API, like https://host/v1")
    if parts.username or parts.password:
        raise LanguageModelError(
            "`url`: leave out the name and the password, and give the environment variable of the key as `key_variable`"
        )


def _read_key(variable: str | None) -> str:
    """The key that an environment variable holds; empty without a variable."""
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise LanguageModelError(f"`key_variable` {variable}: the environment variable is missing or empty")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise LanguageModelError(
            f"`key_variable` {variable}: invalid key: expected one line of ASCII characters without spaces"
        )
    return key

"""A language model behind an OpenAI-compatible endpoint, asked for JSON, every answer checked and kept."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlsplit

import pydantic

from training.errors import LanguageModelError
from training.llm.answer_cache import AnswerCache, content_key
from training.llm.spending import GO_ON, Spending
from training.runs.progress import track

try:
    import httpx
    import openai

    from training.llm.retries import retrying
except ImportError as missing:
    raise LanguageModelError(
        "asking a language model needs a package that is not installed: pip install 'domain-router[llm]'"
    ) from missing

log = logging.getLogger(__name__)

Answer = TypeVar("Answer", bound=pydantic.BaseModel)

ATTEMPTS = 3
"""Requests for an answer that can be used; each may be four times as long as the one before."""
TOKENS = 1024
"""That the first of them may write."""
FAILURES = 8
"""Prompts one after another without an answer that can be used: then the model is not asked further."""
_EXTRA_TOKENS = 200
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_SHOWN = 300

Shape = Callable[[dict[str, Any], int], dict[str, Any]]

_SHAPES: tuple[Shape, ...] = (
    lambda schema, most: {"response_format": schema, "temperature": 0, "max_tokens": most},
    lambda schema, most: {"response_format": schema, "max_completion_tokens": most},  # as reasoning models want it
    lambda schema, most: {"response_format": {"type": "json_object"}, "temperature": 0, "max_tokens": most},
    lambda schema, most: {"temperature": 0, "max_tokens": most},
    lambda schema, most: {"max_completion_tokens": most},
)
"""How a request asks for JSON: the strictest first, the next where a server refuses that with 400 or 422."""


@dataclass(frozen=True)
class Prompt(Generic[Answer]):
    """What is asked, the form of the answer, and what else must be true of it.

    Attributes:
        text: says in words, too, what JSON is wanted.
        form: its JSON schema is sent along.
        check: raises ValueError, with words that the model is told, for an answer that cannot be used.
    """

    text: str
    form: type[Answer]
    check: Callable[[Answer], None] = lambda answer: None


class _Unusable(ValueError):
    """An answer that cannot be used, and the messages that say so to the model."""

    def __init__(self, fault: str, messages: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(fault)
        self.messages = list(messages)


class ChatModel:
    """Asks one model. Use it from one thread; it uses several."""

    def __init__(
        self,
        url: str,
        name: str,
        *,
        key_variable: str | None = None,
        concurrency: int = 4,
        timeout: float = 60.0,
        cache: Path | None = None,
        spending: Spending | None = None,
    ) -> None:
        """
        Args:
            url: of the API, up to its version: ``https://host/v1``.
            name: of the model, as the server knows it.
            key_variable: environment variable that holds the key; None for a server that asks for none.
            concurrency: requests at a time.
            timeout: seconds until a request without an answer is made again.
            cache: folder that answers are kept in; see :class:`training.llm.answer_cache.AnswerCache`.
            spending: counts, and holds a budget.

        Raises:
            LanguageModelError: no such URL can be, the variable holds no key, or answers cannot be kept.
        """
        _check_url(url)
        self.name = name
        self.url = url.rstrip("/")
        self.spending = spending or Spending()
        self._timeout = timeout
        self._key = _key(key_variable)
        self._client = openai.OpenAI(
            base_url=url,
            api_key=self._key or "none",
            max_retries=0,  # each try is a request of its own, which has its costs
            timeout=timeout,
        )
        self._headers = {} if self._key else {"Authorization": openai.Omit()}
        self._cache = AnswerCache(cache)
        self._concurrency = concurrency
        self._shape = self._failures = 0
        self._answered = False
        self._lock = Lock()

    def ask_all(self, prompts: Sequence[Prompt[Answer]], what: str) -> list[Answer | None]:
        """The answer to each prompt, None where the model gives none that can be used.

        Only what is not kept from before is asked, equal prompts once.

        Args:
            prompts: any number.
            what: is asked, for the progress bar.

        Raises:
            BudgetError: the budget is used up.
            LanguageModelError: the server cannot be reached or refuses, or no answer can be used.
        """
        keys = [self._cache_key(prompt) for prompt in prompts]
        by_key = dict(zip(keys, prompts, strict=True))
        found = self._kept(by_key)
        self._answered = self._answered or bool(found)
        missing = [key for key in by_key if key not in found]
        pool = ThreadPoolExecutor(self._concurrency)
        try:
            asked = {pool.submit(self._ask, key, by_key[key]): key for key in missing}
            for future in track(as_completed(asked), what, len(asked)):
                found[asked[future]] = future.result()
        finally:
            pool.shutdown(cancel_futures=True)  # what is under way is waited for, and kept
        return [found[key] for key in keys]

    def _cache_key(self, prompt: Prompt[Any]) -> bytes:
        return content_key(self.url, self.name, _messages(prompt), prompt.form.model_json_schema())

    def _kept(self, prompts: dict[bytes, Prompt[Answer]]) -> dict[bytes, Answer | None]:
        found: dict[bytes, Answer | None] = {}
        for key, text in self._cache.get(list(prompts)).items():
            try:
                found[key] = _checked(text, prompts[key])
            except ValueError:  # kept by another version of this program
                continue
        return found

    def _ask(self, key: bytes, prompt: Prompt[Answer]) -> Answer | None:
        messages, fault = _messages(prompt), ""
        for attempt in range(ATTEMPTS):
            try:
                text = self._request([*messages], prompt.form, TOKENS * 4**attempt)
                answer = _checked(text, prompt)
            except _Unusable as error:
                fault = str(error)
                messages = [*_messages(prompt), *error.messages]
            else:
                self._cache.put(key, answer.model_dump_json())
                self._failures = 0
                return answer
        self._fail(fault)
        return None

    def _fail(self, fault: str) -> None:
        log.warning("%s gave no answer that can be used, one prompt is passed over: %s", self.name, fault)
        with self._lock:
            self._failures += 1
            if self._failures >= FAILURES:
                raise LanguageModelError(
                    f"{self.name}: {FAILURES} prompts running had no answer that can be used, of the last one {fault}: "
                    f"choose another model. {GO_ON}"
                )

    def _request(self, messages: list[dict[str, str]], form: type[Answer], most: int) -> str:
        """The text of an answer, asked for as strictly as the server lets us."""
        schema = {
            "type": "json_schema",
            "json_schema": {"name": form.__name__.lower(), "schema": form.model_json_schema(), "strict": True},
        }
        first = self._shape
        for number in range(first, len(_SHAPES)):
            try:
                text = retrying()(self._tried, messages, _SHAPES[number](schema, most), most)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if number + 1 == len(_SHAPES) and self._answered:
                    raise _Unusable(f"is refused ({self._said(error)})") from None
                if number + 1 == len(_SHAPES):
                    raise self._error(error) from None
            except openai.OpenAIError as error:
                raise self._error(error) from None
            else:
                self._shape = max(self._shape, number)
                self._answered = True
                return text
        raise AssertionError("there is a shape")

    def _tried(self, messages: list[dict[str, str]], shape: dict[str, Any], most: int) -> str:
        """The text of the answer to one request; its tokens are counted, by their limits where nobody says."""
        read = len(str((messages, shape)).encode()) + _EXTRA_TOKENS
        with self.spending.request(read, most) as count:
            try:
                reply = self._client.chat.completions.create(
                    model=self.name, messages=cast("Any", messages), extra_headers=self._headers, **shape
                )
            except openai.APIConnectionError as error:
                if not isinstance(error.__cause__, _NEVER_SENT):
                    count(read, most)
                raise
            except ValueError as error:
                count(read, most)
                raise _Unusable(f"the server's answer is no JSON ({error})") from error
            count(*(_used(reply) or (read, most)))
        return _text(reply, most)

    def _error(self, error: openai.OpenAIError) -> LanguageModelError:
        """What the user is told."""
        said = self._said(error)
        if isinstance(error, openai.APITimeoutError):
            said = f"did not answer within {self._timeout:g} s: give a higher `timeout`, or a lower `concurrency`"
        elif isinstance(error, openai.APIConnectionError):
            said = f"cannot be reached ({self._hidden(error.__cause__ or said)}): expected the address of an API, https://host/v1"
        elif isinstance(error, (openai.AuthenticationError, openai.PermissionDeniedError)):
            said = f"refuses the key ({said}): name the environment variable with the right one with `key_variable`"
        elif isinstance(error, openai.NotFoundError):
            said = f"has no model {self.name}, or this is not the address of its API, https://host/v1 ({said})"
        else:
            said = f"does not answer: {said}"
        return LanguageModelError(f"{self.url} {said}. {GO_ON}")

    def _said(self, error: openai.OpenAIError) -> str:
        """The server's own words, but never the key."""
        return self._hidden(getattr(error, "message", error))

    def _hidden(self, said: object) -> str:
        text = " ".join(str(said).split())
        return (text.replace(self._key, "***") if self._key else text)[:_SHOWN]


def _messages(prompt: Prompt[Any]) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt.text}]


def _used(reply: Any) -> tuple[int, int] | None:
    """The tokens that a reply says it read and wrote; None where it does not say so in numbers."""
    usage = getattr(reply, "usage", None)
    read, written = (getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens"))
    return (read, written) if isinstance(read, int) and isinstance(written, int) and min(read, written) >= 0 else None


def _text(reply: Any, most: int) -> str:
    """What the model wrote.

    Raises:
        _Unusable: nothing, or not to the end.
    """
    choices = getattr(reply, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    if getattr(choice, "finish_reason", None) == "length":
        raise _Unusable(f"is cut off after {most} tokens")
    text = getattr(getattr(choice, "message", None), "content", None)
    if not isinstance(text, str):
        raise _Unusable("the server's answer holds no text")
    return text


def _checked(text: str, prompt: Prompt[Answer]) -> Answer:
    """The answer in a text, which may stand in a code fence or after words.

    Raises:
        _Unusable: there is none, or it is not as wanted.
    """
    try:
        answer = prompt.form.model_validate_json(text[text.find("{") : text.rfind("}") + 1])
        prompt.check(answer)
    except ValueError as error:
        fault = (
            "; ".join(each["msg"] for each in error.errors()) if isinstance(error, pydantic.ValidationError) else error
        )
        correction = f"That cannot be used: {fault}. Answer with the JSON object alone, in the form that was asked for."
        raise _Unusable(
            f"is not as wanted ({fault})",
            [{"role": "assistant", "content": text[:4000]}, {"role": "user", "content": correction}],
        ) from error
    return answer


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise LanguageModelError(f"`url` {url[:_SHOWN]!r}: expected the address of an API, like https://host/v1")
    if parts.username or parts.password:
        raise LanguageModelError(
            "`url`: leave name and password out of it, and name the variable that holds the key with `key_variable`"
        )


def _key(variable: str | None) -> str:
    """The key that an environment variable holds; empty where none is named."""
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise LanguageModelError(f"`key_variable` {variable}: the environment variable is missing or empty")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise LanguageModelError(
            f"`key_variable` {variable}: not a key that can be sent: expected one line of ASCII without spaces"
        )
    return key

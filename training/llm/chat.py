"""Prompts to a language model, answered with checked JSON: several at a time, and each answer kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, TypeVar

import pydantic

from registry.paths import PathLike
from training.errors import LanguageModelError
from training.llm.answer_cache import AnswerCache, content_key
from training.llm.endpoint import Endpoint, UnusableAnswer
from training.llm.spending import RESUME_HINT, Spending
from training.runs.progress import track

log = logging.getLogger(__name__)

Answer = TypeVar("Answer", bound=pydantic.BaseModel)

ATTEMPTS = 3
"""Requests for a usable answer to one prompt; each allows an answer four times as long as the previous one."""
MAX_TOKENS = 1024
"""Limit of the answer to the first of them."""
MAX_FAILURES = 8
"""Consecutive prompts without a usable answer, after which the model is given up."""


@dataclass(frozen=True)
class Prompt(Generic[Answer]):
    """A question to the model, and the form of its answer.

    Attributes:
        text: also describes in words the JSON that is expected.
        form: its JSON schema is sent along, and the answer is validated by it.
        check: raises ValueError for an unusable answer; the model is sent its message.
    """

    text: str
    form: type[Answer]
    check: Callable[[Answer], None] = lambda answer: None


class ChatModel:
    """Sends prompts to one model. To be used from one thread; it starts several of its own."""

    def __init__(
        self,
        url: str,
        name: str,
        *,
        key_variable: str | None = None,
        concurrency: int = 4,
        timeout: float = 60.0,
        cache: PathLike | None = None,
        spending: Spending | None = None,
    ) -> None:
        """
        Args:
            url: of the API, up to its version: ``https://host/v1``.
            name: of the model, as the server knows it.
            key_variable: environment variable that holds the key; None to send no key.
            concurrency: concurrent requests.
            timeout: seconds after which an unanswered request is repeated.
            cache: folder in which answers are kept; see :class:`training.llm.answer_cache.AnswerCache`.
            spending: counts, and limits by its budget.

        Raises:
            LanguageModelError: the URL or the key is invalid, or answers cannot be kept.
        """
        self.spending = spending or Spending()
        self._endpoint = Endpoint(url, name, key_variable, timeout, self.spending)
        self._cache = AnswerCache(cache)
        self._concurrency = concurrency
        self._failures = 0
        self._lock = Lock()

    @property
    def url(self) -> str:
        """The address of the API."""
        return self._endpoint.url

    @property
    def name(self) -> str:
        """The model, as the server knows it."""
        return self._endpoint.name

    def ask_all(self, prompts: Sequence[Prompt[Answer]], what: str) -> list[Answer | None]:
        """The answer to each prompt; None where the model gives no usable one.

        Only prompts without a kept answer are sent, equal ones once.

        Args:
            prompts: any number.
            what: label of the progress bar.

        Raises:
            BudgetError: the budget is used up.
            LanguageModelError: the server cannot be reached or refuses, or answers are unusable.
        """
        keys = [self._cache_key(prompt) for prompt in prompts]
        by_key = dict(zip(keys, prompts, strict=True))
        found = self._kept(by_key)
        self._endpoint.works = self._endpoint.works or bool(found)
        missing = [key for key in by_key if key not in found]
        pool = ThreadPoolExecutor(self._concurrency)
        try:
            asked = {pool.submit(self._ask, key, by_key[key]): key for key in missing}
            for future in track(as_completed(asked), what, len(asked)):
                found[asked[future]] = future.result()
        finally:
            pool.shutdown(cancel_futures=True)  # answers to open requests are still kept
        return [found[key] for key in keys]

    def _cache_key(self, prompt: Prompt[Any]) -> bytes:
        return content_key(self.url, self.name, _messages(prompt), prompt.form.model_json_schema())

    def _kept(self, prompts: dict[bytes, Prompt[Answer]]) -> dict[bytes, Answer | None]:
        found: dict[bytes, Answer | None] = {}
        for key, text in self._cache.get(list(prompts)).items():
            try:
                found[key] = _validated(text, prompts[key])
            except ValueError:  # kept by another version of this program
                continue
        return found

    def _ask(self, key: bytes, prompt: Prompt[Answer]) -> Answer | None:
        messages, fault = _messages(prompt), ""
        for attempt in range(ATTEMPTS):
            try:
                text = self._endpoint.complete([*messages], prompt.form, MAX_TOKENS * 4**attempt)
                answer = _validated(text, prompt)
            except UnusableAnswer as error:
                fault = str(error)
                messages = [*_messages(prompt), *error.messages]
            else:
                self._cache.put(key, answer.model_dump_json())
                self._failures = 0
                return answer
        self._fail(fault)
        return None

    def _fail(self, fault: str) -> None:
        log.warning("%s gave no usable answer to a prompt, which is skipped: the last one %s", self.name, fault)
        with self._lock:
            self._failures += 1
            if self._failures >= MAX_FAILURES:
                raise LanguageModelError(
                    f"{self.name} gave no usable answer to {MAX_FAILURES} prompts in a row (the last one {fault}): "
                    f"choose another model. {RESUME_HINT}"
                )


def _messages(prompt: Prompt[Any]) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt.text}]


def _validated(text: str, prompt: Prompt[Answer]) -> Answer:
    """The answer in a text, which may be in a code fence or follow other words.

    Raises:
        UnusableAnswer: there is none, or it does not have the form or fails the check.
    """
    try:
        answer = prompt.form.model_validate_json(text[text.find("{") : text.rfind("}") + 1])
        prompt.check(answer)
    except ValueError as error:
        errors = error.errors() if isinstance(error, pydantic.ValidationError) else [{"msg": str(error)}]
        fault = "; ".join(str(each["msg"]) for each in errors)
        correction = f"That cannot be used: {fault}. Answer with the JSON object only, in the requested form."
        raise UnusableAnswer(
            f"does not have the requested form ({fault})",
            [{"role": "assistant", "content": text[:4000]}, {"role": "user", "content": correction}],
        ) from error
    return answer

"""The contract of decision models: typed questions about a state, answered with probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from registry import GENERAL
from router_plugin.conversations import user_messages
from router_plugin.decision import NO_ROUTE
from router_plugin.errors import QueryError
from router_plugin.evaluation.outcomes import DEFAULT_WEIGHTS, default_threshold, softmax
from router_plugin.server.endpoints.litellm_prompt import message_in
from router_plugin.server.endpoints.of_service import ServiceNow
from router_plugin.server.probabilities import route_probabilities
from router_plugin.server.reporting.answers import ErrorAnswer, documented, naming
from router_plugin.server.service import Service
from router_plugin.serving.state import ServingState

router = APIRouter(prefix="/v1", tags=["decisions"], responses=documented(ErrorAnswer))

MAX_QUESTIONS = 128
MAX_OPTIONS = 255
MAX_LEVELS = 10

BETWEEN = "; "
"""Separates the examples in the meaning of an option, as semantic-router writes them."""

Meaning = str | dict[str, Any] | list[Any] | None


class Choice(BaseModel):
    """Which of several named options applies."""

    type: Literal["choice"]
    instructions: Meaning = None
    criteria: dict[str, Meaning] = Field(min_length=1, max_length=MAX_OPTIONS, description="Option to its meaning.")


class Noul(BaseModel):
    """A yes/no question."""

    type: Literal["noul"]
    instructions: Meaning = None
    criteria: dict[Literal["true", "false"], Meaning] | None = None

    @model_validator(mode="after")
    def _asks_something(self) -> Noul:
        if self.instructions is None and not self.criteria:
            raise ValueError("a noul question needs instructions or criteria")
        return self


class Score(BaseModel):
    """Where the state is on an ordered scale."""

    type: Literal["score"]
    instructions: Meaning = None
    criteria: list[Meaning] = Field(min_length=1, max_length=MAX_LEVELS, description="Levels, the lowest first.")


Question = Annotated[Choice | Noul | Score, Field(discriminator="type")]


class DecisionsRequest(BaseModel):
    """Questions about a state."""

    state: Meaning = Field(description="A text, the messages of a conversation, or any JSON.")
    questions: dict[str, Question] = Field(min_length=1, max_length=MAX_QUESTIONS)
    model: str | None = Field(default=None, description="Not used: every question is answered by the served domains.")


class ChoiceAnswer(BaseModel):
    """The probability of every option."""

    type: Literal["choice"] = "choice"
    choice: str
    confidence: float
    probabilities: dict[str, float]


class NoulAnswer(BaseModel):
    """The probability of yes."""

    type: Literal["noul"] = "noul"
    noul: float


class ScoreAnswer(BaseModel):
    """The expected level, and the probability of every level."""

    type: Literal["score"] = "score"
    score: float
    confidence: float
    legend: dict[str, str]
    probabilities: dict[str, float]


class TokenUsage(BaseModel):
    """Tokens that were read, about."""

    input_tokens: int = 0
    output_tokens: int = 0


class DecisionsResponse(BaseModel):
    """An answer to each question, by its name."""

    model: str
    answers: dict[str, Annotated[ChoiceAnswer | NoulAnswer | ScoreAnswer, Field(discriminator="type")]]
    usage: TokenUsage = TokenUsage()


@router.post("/systemone")
@router.post("/decisions")
async def decisions(asked: DecisionsRequest, service: ServiceNow, response: Response) -> DecisionsResponse:
    """Answer typed questions about a state.

    Options that are routes, or ``none``, have the probabilities of the routes, and the router chooses; options that are
    domains have those of the domain classifier, and the most probable domain is chosen. ``none`` and ``general`` stand
    for all that is no option; without them, it is missing from the sum. Other options are compared by what they mean,
    in the base model's space: this is a similarity, and no understanding of the instructions.
    """
    about = About(_text(asked.state), service, service.router.state)
    compared = [meaning for question in asked.questions.values() for meaning in _meanings(question, about.state)]
    service.check(_texts(about.text, compared))
    answers = {name: await _answer(about, question) for name, question in asked.questions.items()}
    response.headers.update(naming(about.state.domains.versions()))
    return DecisionsResponse(model=asked.model or "domain-router", answers=answers)


class About(NamedTuple):
    """What the questions of a request are about, and what answers all of them.

    Attributes:
        text: of the request's state.
        service: that answers.
        state: of its router.
    """

    text: str
    service: Service
    state: ServingState


def _meanings(question: Choice | Noul | Score, state: ServingState) -> list[str]:
    """What a text is compared with: options that are neither routes nor domains, levels, or yes and no."""
    if isinstance(question, Score):
        return [_text(level) for level in question.criteria]
    if isinstance(question, Noul):
        criteria = question.criteria or {}
        given = [_text(criteria[name]) for name in ("true", "false") if criteria.get(name) is not None]
        return given or [_text(question.instructions)]
    if _are_routes(question.criteria, state) or _are_domains(question.criteria, state):
        return []
    return [_text(name if meaning is None else meaning) for name, meaning in question.criteria.items()]


def _are_routes(options: Mapping[str, Meaning], state: ServingState) -> bool:
    return options.keys() <= {NO_ROUTE, *(route.name for route in state.served.routes)}


def _are_domains(options: Mapping[str, Meaning], state: ServingState) -> bool:
    return options.keys() <= set(state.domains.names)


async def _answer(about: About, question: Choice | Noul | Score) -> ChoiceAnswer | NoulAnswer | ScoreAnswer:
    if isinstance(question, Choice):
        choice, probabilities = await _of_options(about, question)
        return ChoiceAnswer(choice=choice, confidence=probabilities[choice], probabilities=probabilities)
    if isinstance(question, Score):
        levels = _meanings(question, about.state)
        shares = _shares(await _cosines(about, levels))
        return ScoreAnswer(
            score=sum(number * share for number, share in enumerate(shares)),
            confidence=max(shares),
            legend={str(number): level for number, level in enumerate(levels)},
            probabilities={str(number): share for number, share in enumerate(shares)},
        )
    return NoulAnswer(noul=await _of_yes(about, question))


async def _of_options(about: About, question: Choice) -> tuple[str, dict[str, float]]:
    """The option that is chosen, and the probability of each; they sum to at most 1.

    What is missing is the probability that none of them applies: a host that answers the best one whatever it has needs
    a threshold, and this makes it mean the same for every choice of options.
    """
    criteria = question.criteria
    if _are_routes(criteria, about.state):
        (scored,) = await about.service.score([about.text], about.state)
        return _among(criteria, route_probabilities(scored), scored.verdict().route or NO_ROUTE, NO_ROUTE)
    if _are_domains(criteria, about.state):
        (known,) = await about.service.classify([about.text], about.state)
        return _among(criteria, known, _likeliest(known), GENERAL)
    cosines = await _cosines(about, _meanings(question, about.state))
    shares = dict(zip(criteria, _shares(cosines), strict=True))
    return _likeliest(shares), shares


def _among(options: Iterable[str], known: Mapping[str, float], decided: str, rest: str) -> tuple[str, dict[str, float]]:
    """The option that is chosen, and the probability of each.

    Args:
        options: some of the known names, or others, which are impossible.
        known: the probability of every name.
        decided: which name applies.
        rest: stands for all names that are no option, if it is one.
    """
    found = {name: known.get(name, 0.0) for name in options}
    if rest in found:
        found[rest] = min(1.0, found[rest] + sum(share for name, share in known.items() if name not in found))
    chosen = next((name for name in (decided, rest) if name in found), None)
    return chosen or _likeliest(found), found


def _likeliest(probabilities: Mapping[str, float]) -> str:
    return max(probabilities, key=probabilities.__getitem__)


async def _of_yes(about: About, question: Noul) -> float:
    cosines = await _cosines(about, _meanings(question, about.state))
    if len(cosines) == 2:
        return _shares(cosines)[0]
    yes, _ = softmax(np.array([[DEFAULT_WEIGHTS.sharpness * (cosines[0] - default_threshold(1)), 0.0]]))[0].tolist()
    given = {name for name, meaning in (question.criteria or {}).items() if meaning is not None}
    return float(1 - yes if given == {"false"} else yes)


async def _cosines(about: About, meanings: Sequence[str]) -> list[float]:
    """The cosine of a text with each meaning, or with the nearest of its examples."""
    every = _texts(about.text, meanings)
    _, found = await about.service.embed(GENERAL, every, state=about.state)
    vectors = {each: embedded.vector for each, embedded in zip(every, found, strict=True)}
    return [max(float(vectors[about.text] @ vectors[each]) for each in _examples(meaning)) for meaning in meanings]


def _texts(text: str, meanings: Iterable[str]) -> list[str]:
    """What is embedded to compare a text with meanings, each once."""
    return list(dict.fromkeys([text, *(each for meaning in meanings for each in _examples(meaning))]))


def _examples(meaning: str) -> list[str]:
    """A meaning, and the examples in it."""
    return [meaning, *meaning.split(BETWEEN)] if BETWEEN in meaning else [meaning]


def _shares(cosines: Sequence[float]) -> list[float]:
    """Probabilities that sum to 1."""
    shares: list[float] = softmax(DEFAULT_WEIGHTS.sharpness * np.array([cosines]))[0].tolist()
    return shares


def _text(value: Meaning) -> str:
    """Of messages what the user said last, of a prompt its message, another text as it is, anything else as JSON."""
    if isinstance(value, str):
        return message_in(value)
    if isinstance(value, list) and value:
        with suppress(QueryError):  # no messages
            return next(reversed(user_messages(value)), "")
    return json.dumps(value, ensure_ascii=False)

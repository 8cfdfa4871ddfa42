"""What each method of the clients asks for, and how its answer is read."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter

from router_plugin.decision import Decision
from router_plugin.errors import QueryError
from router_plugin.explanation import Explanation

if TYPE_CHECKING:
    from router_plugin.conversations import Turn

T = TypeVar("T")

CANARY = "X-Domain-Router-Canary"
"""Header that names the domain whose candidate is to decide."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and how its answer is read.

    Attributes:
        path: of the endpoint.
        read: makes the result of the body of an answer; raises ValueError where it is not what was expected.
        body: sent as JSON; None for none.
        repeat: whether it may be sent again: ``always``, only if the server has not taken it, or ``never``.
        headers: beside those of every call.
    """

    path: str
    read: Callable[[bytes], T]
    body: Mapping[str, Any] | None = None
    repeat: Literal["always", "untaken", "never"] = "always"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Embeddings:
    """Vectors of texts.

    Attributes:
        vectors: of unit length, ``(n, d)`` float32, in the order of the texts.
        space: identifier of their vector space; only vectors of the same space may be compared.
    """

    vectors: NDArray[np.float32]
    space: str


class _Decisions(BaseModel):
    decisions: list[Decision]


class _Embedding(BaseModel):
    index: int
    embedding: str


class _Embedded(BaseModel):
    data: list[_Embedding]
    system_fingerprint: str


class _Label(BaseModel):
    label: str
    score: float


class _Model(BaseModel):
    id: str
    version: str


class _Models(BaseModel):
    data: list[_Model]


class _Status(BaseModel):
    status: str


_DECISION, _EXPLANATION = TypeAdapter(Decision), TypeAdapter(Explanation)
_LABELS = TypeAdapter(list[list[_Label]])


def route(query: str, history: Iterable[Turn], canary: str | None) -> Call[Decision]:
    """See :meth:`router_plugin.DomainRouterClient.route`, and so on."""
    body = {"query": query, "history": [dict(turn) for turn in history]}
    return Call("/v1/route", partial(_DECISION.validate_json, strict=True), body, headers=_canary(canary))


def route_many(queries: Iterable[str], canary: str | None) -> Call[list[Decision]]:
    """Decisions in the order of the queries."""
    asked = _several(queries)

    def read(body: bytes) -> list[Decision]:
        return _as_many(_Decisions.model_validate_json(body, strict=True).decisions, asked)

    return Call("/v1/route/batch", read, {"queries": asked}, headers=_canary(canary))


def explain(query: str, limit: int) -> Call[Explanation]:
    """A decision, and what led to it."""
    return Call("/v1/explain", partial(_EXPLANATION.validate_json, strict=True), {"query": query, "limit": limit})


def feedback(about: Decision | str, route: str | None, accepted: bool | None, corrected: str | None) -> Call[None]:
    """Sent again only if it was not taken, so that it is recorded once.

    Raises:
        QueryError: a route is given beside a decision, which has its own.
    """
    if isinstance(about, Decision) and route is not None:
        raise QueryError("`route` is only for a query: a decision has its own")
    query, chosen = (about.query, about.route) if isinstance(about, Decision) else (about, route)
    body = {"query": query, "route": chosen, "accepted": accepted, "corrected": corrected}
    return Call("/v1/feedback", lambda answer: _status(answer, "recorded"), body, "untaken")


def embed(model: str, texts: Iterable[str], dimensions: int | None) -> Call[Embeddings]:
    """Vectors as base64, which are a third of their size as numbers."""
    asked = _several(texts)

    def read(body: bytes) -> Embeddings:
        answer = _Embedded.model_validate_json(body, strict=True)
        items = sorted(_as_many(answer.data, asked), key=lambda item: item.index)
        rows = [np.frombuffer(base64.b64decode(item.embedding, validate=True), "<f4") for item in items]
        return Embeddings(np.stack(rows).astype(np.float32), answer.system_fingerprint)

    body = {"model": model, "input": asked, "encoding_format": "base64", "dimensions": dimensions}
    return Call("/v1/embeddings", read, body)


def classify(path: Literal["/classify", "/routes/classify"], texts: Iterable[str]) -> Call[list[dict[str, float]]]:
    """The probability of every label, the most probable first, for each text."""
    asked = _several(texts)

    def read(body: bytes) -> list[dict[str, float]]:
        rows = _as_many(_LABELS.validate_json(body, strict=True), asked)
        return [{each.label: each.score for each in row} for row in rows]

    return Call(path, read, {"inputs": asked})


def models() -> Call[dict[str, str]]:
    """Names of models, each with the version that serves it."""
    return Call(
        "/v1/models",
        lambda body: {each.id: each.version for each in _Models.model_validate_json(body, strict=True).data},
    )


def ready() -> Call[None]:
    """Answered with an error where the server is not ready."""
    return Call("/health/ready", lambda body: _status(body, "ready"), repeat="never")


def _canary(domain: str | None) -> dict[str, str]:
    """
    Raises:
        QueryError: it cannot be sent as a header.
    """
    if domain is None:
        return {}
    if not (domain.isascii() and domain.isprintable()):
        raise QueryError(f"`canary` {domain!r}: expected the name of a domain, or 'none'")
    return {CANARY: domain}


def _several(texts: Iterable[str]) -> list[str]:
    """
    Raises:
        QueryError: one text in place of several, whose characters would be taken for texts.
    """
    if isinstance(texts, str):
        raise QueryError("expected several texts: put a single one into a list")
    return list(texts)


def _as_many(found: list[T], asked: Sequence[str]) -> list[T]:
    if len(found) != len(asked):
        raise ValueError(f"expected {len(asked)} results, but found {len(found)}")
    return found


def _status(body: bytes, wanted: str) -> None:
    if (found := _Status.model_validate_json(body, strict=True).status) != wanted:
        raise ValueError(f"expected the status {wanted!r}, but found {found!r}")

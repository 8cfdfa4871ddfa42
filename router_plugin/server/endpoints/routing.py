"""The router's own contract: decisions, explanations, and feedback on decisions."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from router_plugin.contracts import Evidence
from router_plugin.explanation import Neighbour, RankedRoute
from router_plugin.server.endpoints.of_service import ServiceNow
from router_plugin.server.errors import NotServingError
from router_plugin.server.reporting.answers import ErrorAnswer, JsonResponse, documented
from router_plugin.server.service import Decided

router = APIRouter(prefix="/v1", tags=["routing"], responses=documented(ErrorAnswer))


CANARY = "X-Domain-Router-Canary"
CanaryHeader = Annotated[
    str | None, Header(alias=CANARY, description="Domain whose candidate is to decide, or none.", max_length=200)
]


class Message(BaseModel):
    """An earlier message of a conversation, as in OpenAI's chat API."""

    role: str
    content: str | list[dict[str, Any]] | None = None


class RouteRequest(BaseModel):
    """A query."""

    query: str
    history: list[Message] = Field(default=[], max_length=200, description="Earlier messages, the latest last.")


class RouteBatchRequest(BaseModel):
    """Several queries."""

    queries: list[str]


class ExplainRequest(BaseModel):
    """A query whose decision is to be explained."""

    query: str
    limit: int = Field(default=5, ge=0, le=100, description="Maximum number of nearest utterances.")


class DecisionAnswer(BaseModel):
    """A decision; see the attributes of router_plugin.Decision."""

    query: str
    route: str | None
    score: float | None
    domain: str
    domains: dict[str, float]
    model_version: str
    timings_ms: dict[str, float]
    secondary_domains: list[str]
    confidence: float
    truncated: bool
    unread: float
    reason: str | None
    read_as: str | None


class DecisionAnswers(BaseModel):
    """Decisions about several queries, in their order, all by the same models."""

    decisions: list[DecisionAnswer]


class ExplanationAnswer(BaseModel):
    """An explanation; see the attributes of router_plugin.explanation.Explanation."""

    decision: DecisionAnswer
    evidence: Evidence | None
    threshold: float | None
    nearest: list[Neighbour]
    nearest_in_general: list[Neighbour]
    hybrid: list[RankedRoute]


class FeedbackRequest(BaseModel):
    """What somebody says about a decision: that it was right or not, or which route is right."""

    query: str = Field(min_length=1)
    route: str | None = Field(description="That was chosen; null for none.")
    accepted: bool | None = None
    corrected: str | None = Field(default=None, description="The route that is right.")

    @model_validator(mode="after")
    def _says_something(self) -> FeedbackRequest:
        if self.accepted is None and self.corrected is None:
            raise ValueError("feedback needs `accepted` or `corrected`")
        if None not in (self.accepted, self.corrected) and self.accepted != (self.corrected == self.route):
            raise ValueError("`accepted` and `corrected` contradict each other")
        return self


@router.post("/route", response_model=DecisionAnswer)
async def route(asked: RouteRequest, service: ServiceNow, canary: CanaryHeader = None) -> Response:
    """Route a query, or the last message of a conversation."""
    history = [message.model_dump() for message in asked.history]
    decided = await service.decide([asked.query], canary, history)
    return JsonResponse(decided.decisions[0].to_dict(), headers=_headers(decided))


@router.post("/route/batch", response_model=DecisionAnswers)
async def route_batch(asked: RouteBatchRequest, service: ServiceNow, canary: CanaryHeader = None) -> Response:
    """Route several queries, all by the same models."""
    decided = await service.decide(asked.queries, canary)
    return JsonResponse({"decisions": [each.to_dict() for each in decided.decisions]}, headers=_headers(decided))


def _headers(decided: Decided) -> dict[str, str]:
    """Names the candidate that decided."""
    return {CANARY: decided.canary} if decided.canary else {}


@router.post("/explain", response_model=ExplanationAnswer)
async def explain(asked: ExplainRequest, service: ServiceNow) -> Response:
    """A decision, and what led to it."""
    return JsonResponse((await service.explain(asked.query, asked.limit)).to_dict())


@router.post("/feedback", status_code=202)
async def feedback(asked: FeedbackRequest, service: ServiceNow, request: Request) -> dict[str, str]:
    """Append feedback to the server's log, which ``prepare --kind logs`` and ``routes improve`` read."""
    if service.feedback is None:
        raise NotServingError("this server takes no feedback: start it with --feedback FILE")
    service.check([asked.query])
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    await service.feedback.append([{"time": now, "key": request.scope["key"].name, **asked.model_dump()}])
    return {"status": "recorded"}

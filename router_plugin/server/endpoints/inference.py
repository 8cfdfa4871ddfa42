"""The contract of Hugging Face's text-embeddings-inference: probabilities of labels, and embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from router_plugin.joint_space.space import JOINT
from router_plugin.server.endpoints.of_service import ServiceNow
from router_plugin.server.errors import LimitError
from router_plugin.server.probabilities import route_probabilities
from router_plugin.server.reporting.answers import JsonResponse, TeiErrorAnswer, documented, naming
from router_plugin.serving.state import ServingState

router = APIRouter(tags=["text-embeddings-inference"], responses=documented(TeiErrorAnswer))


class Inputs(BaseModel):
    """A text or several."""

    inputs: str | list[str] = Field(description="A text or several.")


class Label(BaseModel):
    """A label with its probability."""

    label: str
    score: float


@router.post("/classify", response_model=list[Label] | list[list[Label]])
async def classify(asked: Inputs, service: ServiceNow) -> Response:
    """The probability of every domain, the most probable first; they sum to 1."""
    state = service.router.state
    return _labelled(asked, await service.classify(_texts(asked), state), state)


@router.post("/routes/classify", response_model=list[Label] | list[list[Label]])
async def classify_routes(asked: Inputs, service: ServiceNow) -> Response:
    """The probability that each route is right, and that none is, the most probable first; they sum to 1."""
    state = service.router.state
    found = await service.score(_texts(asked), state)
    return _labelled(asked, [route_probabilities(scored) for scored in found], state)


@router.post("/embed", response_model=list[list[float]])
async def embed(asked: Inputs, service: ServiceNow) -> Response:
    """Unit vectors in the joint space of all domains."""
    state = service.router.state
    _, found = await service.embed(JOINT, _texts(asked), state=state)
    vectors = [np.ascontiguousarray(each.vector) for each in found]
    return JsonResponse(vectors, headers=naming(state.domains.versions()))


def _texts(asked: Inputs) -> list[str]:
    texts = [asked.inputs] if isinstance(asked.inputs, str) else asked.inputs
    if not texts:
        raise LimitError("`inputs` is empty: expected a text, or a list of at least one")
    return texts


def _labelled(asked: Inputs, found: Sequence[Mapping[str, float]], state: ServingState) -> Response:
    rows = [
        [{"label": label, "score": score} for label, score in sorted(each.items(), key=lambda item: -item[1])]
        for each in found
    ]
    answer = rows[0] if isinstance(asked.inputs, str) else rows
    return JsonResponse(answer, headers=naming(state.domains.versions()))

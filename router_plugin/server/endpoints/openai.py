"""OpenAI's contract: embeddings and the list of models."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from router_plugin.encoders.embedding import Vector
from router_plugin.joint_space.space import JOINT
from router_plugin.server.endpoints.of_service import ServiceNow
from router_plugin.server.errors import RequestError, UnknownModelError
from router_plugin.server.reporting.answers import ErrorAnswer, JsonResponse, documented

router = APIRouter(prefix="/v1", tags=["OpenAI"], responses=documented(ErrorAnswer))

TOKENS = (
    "`input`: token ids belong to the tokenizer of another model: send the text itself (LangChain's OpenAIEmbeddings "
    "does with check_embedding_ctx_length=False)"
)


class EmbeddingsRequest(BaseModel):
    """Texts to embed."""

    model: str = Field(description="A domain, a version like medical@3, or domain-routed.")
    input: str | list[str] | list[int] | list[list[int]] = Field(description="A text or several.")
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(default=None, ge=1, description="Leading dimensions to keep.")


class EmbeddingItem(BaseModel):
    """An embedding."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Tokens that were read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsResponse(BaseModel):
    """Embeddings of texts, in their order."""

    object: Literal["list"] = "list"
    data: list[EmbeddingItem]
    model: str
    usage: Usage
    system_fingerprint: str = Field(description="Identifier of the vector space; it changes with a promotion.")


class Model(BaseModel):
    """A model by which texts can be embedded."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "domain-router"
    version: str = Field(description="The model version that serves it; for domain-routed, all of them.")


class ModelList(BaseModel):
    """All models by which texts can be embedded, but earlier versions."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.post("/embeddings", response_model=EmbeddingsResponse)
async def embeddings(asked: EmbeddingsRequest, service: ServiceNow) -> Response:
    """Embed texts by the encoder of a domain, or in the joint space of all domains. All vectors have unit length."""
    texts = _texts(asked.input)
    space, found = await service.embed(asked.model, texts, asked.dimensions)
    encode = _base64 if asked.encoding_format == "base64" else _floats
    tokens = sum(each.tokens for each in found)
    return JsonResponse(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": encode(each.vector)}
                for index, each in enumerate(found)
            ],
            "model": space.name,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            "system_fingerprint": space.identifier,
        }
    )


@router.get("/models")
async def models(service: ServiceNow) -> ModelList:
    """The models by which texts can be embedded."""
    versions = service.champions.versions()
    every = ", ".join(versions.values())
    return ModelList(
        data=[*(Model(id=name, version=version) for name, version in versions.items()), Model(id=JOINT, version=every)]
    )


@router.get("/models/{name}")
async def model(name: Annotated[str, Field(max_length=200)], service: ServiceNow) -> Model:
    """One of the models."""
    for each in (await models(service)).data:
        if name in (each.id, each.version):
            return each
    raise UnknownModelError(f"unknown model {name!r}", "model")


def _texts(given: str | list[str] | list[int] | list[list[int]]) -> list[str]:
    if isinstance(given, str):
        return [given]
    if not given:
        raise RequestError("`input` is empty: expected a text, or a list of at least one", "input")
    texts = [each for each in given if isinstance(each, str)]
    if len(texts) < len(given):
        raise RequestError(TOKENS, "input")
    return texts


def _floats(vector: Vector) -> Any:
    return np.ascontiguousarray(vector)


def _base64(vector: Vector) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")

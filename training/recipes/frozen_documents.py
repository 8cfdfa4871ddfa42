"""Query-only adaptation: queries are trained against document embeddings of the base model, which do not change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router
from torch import Tensor, nn
from torch.nn import functional

from training.retrieval.states import State


class FrozenDocuments(nn.Module):
    """InfoNCE of each relevant document of a query against all irrelevant documents of the corpus.

    With frozen embeddings the whole corpus costs one matrix product, so negatives need not be sampled or mined.
    Near-duplicates of a relevant document, and of the query itself, are not negatives.
    """

    def __init__(self, model: SentenceTransformer, base: State, scale: float) -> None:
        """
        Args:
            model: encodes the queries.
            base: the state whose document embeddings are used.
            scale: factor on the cosine, the inverse of the temperature.
        """
        super().__init__()
        self.model = model
        self.scale = scale
        self._documents = torch.tensor(base.documents[:])
        self._relevant = [sorted(relevant) for relevant in base.texts.relevant["train"]]
        self._answers = [sorted(groups) for groups in base.texts.answer_groups()]
        self._groups = base.texts.document_groups

    def forward(self, features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        """The mean loss over queries.

        Args:
            features: of the queries, ``(b,)``.
            labels: the queries' positions in the training split, ``(b,)``.
        """
        (queries,) = features
        embeddings = functional.normalize(self.model(queries)["sentence_embedding"], dim=-1)
        self._documents = self._documents.to(embeddings)
        scores = self.scale * embeddings @ self._documents.T
        return torch.stack([self._loss(row, query) for row, query in zip(scores, labels.tolist(), strict=True)]).mean()

    def _loss(self, scores: Tensor, query: int) -> Tensor:
        relevant, near = self._relevant[query], np.isin(self._groups, self._answers[query])
        wrong = scores.masked_fill(torch.from_numpy(near).to(scores.device), -torch.inf).logsumexp(dim=0)
        right = scores[relevant]
        return (torch.logaddexp(right, wrong) - right).mean()


def with_frozen_documents(queries: SentenceTransformer, base: SentenceTransformer) -> SentenceTransformer:
    """A model with two branches: one model encodes queries, the other documents."""
    chains: list[Any] = [list(model.children()) for model in (queries, base)]
    router = Router.for_query_document(query_modules=chains[0], document_modules=chains[1])
    model = SentenceTransformer(modules=[router], device=str(queries.device))
    model.prompts, model.default_prompt_name = queries.prompts, queries.default_prompt_name
    return model

"""A model whose vectors are cheap, and an index of each kind."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

TEXTS = [f"text number {number} of {'abcdefgh'[number % 8]}" for number in range(60)]


class Hashed:
    """Embeds words by their digests; another name gives other vectors."""

    def __init__(self, model: str, dimension: int = 16, seconds: float = 0.0) -> None:
        self.model, self.dimension, self._seconds = model, dimension, seconds
        self.embedded = 0

    def documents(self, texts: Sequence[str]) -> Any:
        time.sleep(self._seconds)
        self.embedded += len(texts)
        return np.stack([self._vector(text) for text in texts]).astype(np.float32)

    queries = documents

    def _vector(self, text: str) -> Any:
        seeds = [
            int.from_bytes(hashlib.sha256(f"{self.model} {word}".encode()).digest()[:4], "big") for word in text.split()
        ]
        total = np.sum([np.random.default_rng(seed).normal(size=self.dimension) for seed in seeds], axis=0)
        return total / np.linalg.norm(total)


OLD, NEW = Hashed("medical@1", 16), Hashed("medical@2", 24)


def qdrant_index(folder: Path, fill: bool = False) -> Any:
    """An alias ``docs`` for a collection in an embedded Qdrant."""
    from qdrant_client import QdrantClient, models

    from router_plugin.reindexing.qdrant import QdrantIndex

    client = QdrantClient(path=str(folder))
    if fill:
        client.create_collection("first", models.VectorParams(size=16, distance=models.Distance.COSINE))
        vectors = OLD.documents(TEXTS)
        client.upsert(
            "first",
            [
                models.PointStruct(id=number, vector=vectors[number].tolist(), payload={"text": text, "page": number})
                for number, text in enumerate(TEXTS)
            ],
        )
        alias = models.CreateAlias(collection_name="first", alias_name="docs")
        client.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])
    return QdrantIndex(client, "docs")


def pgvector_index(url: str, fill: bool = False) -> Any:
    """A table ``docs`` with an HNSW index."""
    import psycopg

    from router_plugin.reindexing.pgvector import PgVectorIndex

    connection = psycopg.connect(url, autocommit=True)
    if fill:
        connection.execute("CREATE EXTENSION vector")
        connection.execute(
            "CREATE TABLE docs (id bigint PRIMARY KEY, text text, page int DEFAULT 0, embedding vector(16) NOT NULL)"
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO docs VALUES (%s, %s, %s, %s::vector)",
                [
                    (number, text, number, str(vector.tolist()))
                    for number, (text, vector) in enumerate(zip(TEXTS, OLD.documents(TEXTS), strict=True))
                ],
            )
        connection.execute("CREATE INDEX docs_hnsw ON docs USING hnsw (embedding vector_cosine_ops) WITH (m = 8)")
    return PgVectorIndex(connection, "docs")

"""Makes a small index in an embedded Qdrant: ``python examples/reindex/index.py REGISTRY MODEL FOLDER``."""

import json
import sys
from pathlib import Path

from qdrant_client import QdrantClient, models

from router_plugin.reindexing.embedders import RegistryEmbedder

registry, model, folder = sys.argv[1:]
lines = Path("examples/data/legal.jsonl").read_text(encoding="utf-8").splitlines()
texts = [json.loads(line)["answer"] for line in lines]
embedder = RegistryEmbedder(model, registry)
client = QdrantClient(path=folder)
client.create_collection("documents-1", models.VectorParams(size=embedder.dimension, distance=models.Distance.COSINE))
client.upsert(
    "documents-1",
    [
        models.PointStruct(id=number, vector=vector.tolist(), payload={"text": text})
        for number, (text, vector) in enumerate(zip(texts, embedder.documents(texts), strict=True))
    ],
)
alias = models.CreateAlias(collection_name="documents-1", alias_name="documents")
client.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])
client.close()
print(f"{len(texts)} entries")

"""Measures what a stage of static token vectors between the two stages of the domain classifier would be worth.

    OMP_NUM_THREADS=1 python benchmarks/static_stage.py --data ../shared/data

The vectors of the base model's tokens are distilled as by Model2Vec (Tulkens and van Dongen, 2024): every token is
embedded on its own, reduced to 256 dimensions by principal components, and weighted by its rank. A text is their mean.
A second classifier reads texts by these. Where the lexical stage is not sure, it decides if its probability of a domain
is high enough, and otherwise the base model does, as in the package. Known are CLINC150's training queries, asked its
validation queries. `spared` is the fraction of all passes of the base model that are not needed any more. The last line
is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from stage_one import print_rows, read_rows
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from registry import GENERAL, Profile, resolve_base_model
from router_plugin.classifier.cascade import CascadeClassifier
from router_plugin.classifier.known.everyday import everyday_profile
from router_plugin.classifier.known.subjects import known_subjects
from router_plugin.contracts import BaseEmbedder
from router_plugin.encoders.torch_encoder import TorchEncoder

DIMENSIONS = 256
FREQUENT = 1e-4
"""Tokens that are likelier than this count less (Arora et al., 2017, "A Simple but Tough-to-Beat Baseline")."""
SURE = (0.8, 0.9, 0.95, 0.98)
"""Probabilities from which the static stage decides."""

Vectors = NDArray[np.float32]


class StaticEmbedder:
    """The weighted mean of token vectors that are distilled from a base model."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, base: BaseEmbedder) -> None:
        """Distil them."""
        self._tokenizer = tokenizer
        tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        vectors = PCA(DIMENSIONS).fit_transform(base.encode([token.removeprefix("##") for token in tokens]))
        likely = 1 / np.arange(2, len(vectors) + 2)
        weights = FREQUENT / (FREQUENT + likely / likely.sum())
        self._vectors = (vectors * weights[:, None]).astype(np.float32)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, ``(n, DIMENSIONS)``; of a text without tokens, zeros."""
        found = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, ids in enumerate(self._tokenizer(list(texts), add_special_tokens=False)["input_ids"]):
            if ids:
                found[row] = self._vectors[ids].mean(axis=0)
        unit: Vectors = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
        return unit


def main() -> None:
    """Distil, assemble both classifiers, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    rows = read_rows(parser.parse_args().data / "clinc150.jsonl.gz")
    known: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row["part"] == "train" and row["domain"]:
            known[row["domain"]].append(row["text"])
    model = resolve_base_model()
    base = BaseEmbedder(model.digest, TorchEncoder(model.path, "cpu").encode)
    started = time.perf_counter()
    static = StaticEmbedder(AutoTokenizer.from_pretrained(model.path), base)
    seconds = round(time.perf_counter() - started, 1)
    asked = [row for row in rows if row["part"] == "val"]
    labels = np.array([[GENERAL, *known].index(row["domain"] or GENERAL) for row in asked])
    texts = [row["text"] for row in asked]
    found = _classifier(known, base).classify(texts)
    cheap = _classifier(known, BaseEmbedder("static", static.encode)).classify(texts).probabilities
    unsure = np.isin(np.arange(len(texts)), list(found.embedded))
    results = {"without": _figures(found.probabilities, labels, unsure, unsure)}
    for sure in SURE:
        decides = unsure & (cheap[:, 1:].max(axis=1) >= sure)
        probabilities = np.where(decides[:, None], cheap, found.probabilities)
        results[f"decides from {sure}"] = _figures(probabilities, labels, unsure, unsure & ~decides)
    print_rows(f"A static stage, distilled in {seconds} s", results)
    print(json.dumps({"distilled_s": seconds, **results}))


def _classifier(known: dict[str, list[str]], base: BaseEmbedder) -> CascadeClassifier:
    profiles = {name: Profile.from_queries(queries, base.encode, base.digest) for name, queries in known.items()}
    return CascadeClassifier(everyday_profile(base), profiles, base, known_subjects(base))


def _figures(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], before: NDArray[np.bool_], now: NDArray[np.bool_]
) -> dict[str, float | int | str]:
    """Figures of the queries, of which some were and some still are embedded by the base model."""
    right, inside = probabilities.argmax(axis=1) == labels, labels > 0
    return {
        "right": round(float(right.mean()), 4),
        "in scope": round(float(right[inside].mean()), 4),
        "oos_auroc": round(float(roc_auc_score(~inside, probabilities[:, 0])), 4),
        "embedded": round(float(now.mean()), 4),
        "embedded, in scope": round(float(now[inside].mean()), 4),
        "spared": round(1 - float(now.sum() / before.sum()), 4),
    }


if __name__ == "__main__":
    main()

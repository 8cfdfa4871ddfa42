"""Evaluates the domain classifier on CLINC150's ten domains, and each of its stages separately.

    OMP_NUM_THREADS=1 python benchmarks/domain_classifier.py --data ../shared/data

Every domain has its 1,500 training queries; `general` has the 100 out-of-scope training queries. `--part val` measures
on the validation queries, on which the classifier's constants were chosen. Accuracy is over in-scope queries.
`oos_auroc` is the AUROC of detecting out-of-scope queries by the probability of `general`. `ece` is the expected
calibration error of the most probable domain over all queries, in 15 bins. For `accuracy_typos`, one in ten characters
is deleted, replaced, swapped or followed by an additional one. The eleventh domain has 1,500 queries of BANKING77. The
last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from registry import GENERAL, Profile, resolve_base_model
from registry.classifier_profiles.typos import misspell
from router_plugin.classifier.cascade import CascadeClassifier
from router_plugin.classifier.known.subjects import known_subjects
from router_plugin.classifier.neighbour_stage import NeighbourStage
from router_plugin.contracts import BaseEmbedder
from router_plugin.encoders.torch_encoder import TorchEncoder
from router_plugin.evaluation.classifier import calibration_error

TIMED = 500
STAGES: dict[str, dict[str, float]] = {
    "cascade": {},
    "lexical stage only": {"sure": 0.0, "unknown": 1.0},
    "both stages always": {"sure": 2.0},
}


def main() -> None:
    """Make profiles, assemble classifiers, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--part", choices=("val", "test"), default="test")
    arguments = parser.parse_args()
    rows = _read(arguments.data / "clinc150.jsonl.gz")
    model = resolve_base_model()
    base = BaseEmbedder(model.digest, TorchEncoder(model.path, "cpu").encode)
    subjects = known_subjects(base)
    known: dict[str, list[str]] = {}
    for row in rows:
        if row["part"] == "train":
            known.setdefault(row["domain"] or GENERAL, []).append(row["text"])
    profiles = {name: Profile.from_queries(queries, base.encode, base.digest) for name, queries in known.items()}
    general = profiles.pop(GENERAL)
    asked = [row for row in rows if row["part"] == arguments.part]
    texts, domains = [row["text"] for row in asked], [row["domain"] or GENERAL for row in asked]
    results = {
        name: _measure(CascadeClassifier(general, profiles, base, subjects, **options), texts, domains)
        for name, options in STAGES.items()
    }
    results["neighbour stage only"] = _neighbours(
        [general, *profiles.values()], [GENERAL, *profiles], base, texts, domains
    )
    banking = [row["text"] for row in _read(arguments.data / "banking77.jsonl.gz") if row["part"] == "train"]
    started = time.perf_counter()
    eleventh = Profile.from_queries(random.Random(0).sample(banking, 1500), base.encode, base.digest)
    profiled = time.perf_counter()
    CascadeClassifier(general, {**profiles, "banking77": eleventh}, base, subjects)
    results["cascade"]["add_domain_s"] = round(time.perf_counter() - profiled, 3)
    results["cascade"]["profile_s"] = round(profiled - started, 2)
    _print(results)
    print(json.dumps({**results.pop("cascade"), "part": arguments.part, "single": results}))


def _read(file: Path) -> list[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _measure(classifier: CascadeClassifier, texts: Sequence[str], domains: Sequence[str]) -> dict[str, float]:
    labels = np.array([classifier.domains.index(domain) for domain in domains])
    inside = labels > 0
    found = classifier.classify(texts)
    cheap = np.array([row not in found.embedded for row in range(len(texts))])
    draw = random.Random(1)
    typos = classifier.classify([misspell(text, draw) for text in texts]).probabilities[:, 1:].argmax(axis=1) + 1
    probabilities = found.probabilities
    sure, hits = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    return {
        "accuracy": _mean(probabilities[inside, 1:].argmax(axis=1) + 1 == labels[inside]),
        "accuracy_with_general": _mean(probabilities[inside].argmax(axis=1) == labels[inside]),
        "oos_recall": _mean(probabilities[~inside].argmax(axis=1) == 0),
        "oos_auroc": round(float(roc_auc_score(inside, -probabilities[:, 0])), 4),
        "ece": round(calibration_error(sure, hits), 4),
        "ece_in_scope": round(calibration_error(sure[inside], hits[inside]), 4),
        "lexical_fraction": _mean(cheap[inside]),
        "lexical_fraction_of_all": _mean(cheap),
        "lexical_median_ms": _median_ms(classifier, [text for text, alone in zip(texts, cheap, strict=True) if alone]),
        "accuracy_typos": _mean(typos[inside] == labels[inside]),
    }


def _neighbours(
    profiles: Sequence[Profile], names: Sequence[str], base: BaseEmbedder, texts: Sequence[str], domains: Sequence[str]
) -> dict[str, float]:
    """The figures of the neighbour stage on its own, without calibration."""
    stage = NeighbourStage([profile.embeddings for profile in profiles])
    labels = np.array([names.index(domain) for domain in domains])
    inside, draw = labels > 0, random.Random(1)
    near = stage.similarities(base.encode(texts))[:, 1:]
    typos = stage.similarities(base.encode([misspell(text, draw) for text in texts]))[:, 1:]
    return {
        "accuracy": _mean(near[inside].argmax(axis=1) + 1 == labels[inside]),
        "oos_auroc": round(float(roc_auc_score(inside, near.max(axis=1))), 4),
        "accuracy_typos": _mean(typos[inside].argmax(axis=1) + 1 == labels[inside]),
    }


def _median_ms(classifier: CascadeClassifier, texts: Sequence[str]) -> float:
    seconds = []
    for text in texts[:TIMED]:
        started = time.perf_counter()
        classifier.classify([text])
        seconds.append(time.perf_counter() - started)
    return round(float(np.median(seconds)) * 1000, 3) if seconds else 0.0


def _mean(hits: Any) -> float:
    return round(float(np.mean(hits)), 4)


def _print(results: dict[str, dict[str, float]]) -> None:
    table = Table(title="Domain classifier on CLINC150")
    for column in ("", *results):
        table.add_column(column)
    for measure in results["cascade"]:
        table.add_row(measure, *(str(found.get(measure, "")) for found in results.values()))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()

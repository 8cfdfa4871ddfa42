"""Measures what the domain classifier gains by knowing what the routes say about their domains.

    OMP_NUM_THREADS=1 python benchmarks/known_utterances.py --data ../shared/data

Real questions: the two domains of benchmarks/stage_one.py, of which `finance` gets a route for every intent of
BANKING77, with a number of utterances from its training part. Printed is the fraction of each set that goes to its
domain.

Few queries: the domains of CLINC150 and HWU64 without a model, each known by 10 or 60 of its training queries. Every
intent is a route with 10 other training queries as utterances. Printed are the fraction of in-scope queries whose
domain is the likeliest, and the area under the ROC curve of the out-of-scope queries, where there are any.

What is known at most of a domain's routes, and in which order, was chosen with `--part val` on CLINC150 and on the real
questions. HWU64 has no validation part, and chose nothing. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np
import stage_one
from sklearn.metrics import roc_auc_score

from registry import GENERAL, Profile, resolve_base_model
from router_plugin import Route
from router_plugin.classifier.cascade import CascadeClassifier
from router_plugin.classifier.known.everyday import everyday_profile
from router_plugin.classifier.known.from_routes import queries_of, with_queries
from router_plugin.classifier.known.subjects import known_subjects
from router_plugin.contracts import BaseEmbedder
from router_plugin.encoders.torch_encoder import TorchEncoder

UTTERANCES = (0, 1, 2, 10)
"""Of every intent of BANKING77."""
KNOWN = (10, 60)
"""Queries that a domain without a model is known by."""
OF_A_ROUTE = 10
"""Utterances of every intent of these domains."""

Row = dict[str, Any]


def main() -> None:
    """Measure both, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--part", choices=("val", "test"), default="test")
    arguments = parser.parse_args()
    model = resolve_base_model()
    base = BaseEmbedder(model.digest, TorchEncoder(model.path, "cpu").encode)
    real = {str(count): _real(arguments.data, arguments.part, count, base) for count in UTTERANCES}
    few = {
        f"{name}, {count} queries, {'with' if routes else 'without'} routes": _few(rows, count, routes, base)
        for name, rows in _sets(arguments.data, arguments.part).items()
        for count in KNOWN
        for routes in (False, True)
    }
    stage_one.print_rows("Real questions by utterances of each intent of BANKING77", real)
    stage_one.print_rows("Domains without a model", few)
    print(json.dumps({"part": arguments.part, "real questions": real, "few queries": few}))


def _classifier(profiles: Mapping[str, Profile], routes: Sequence[Route], base: BaseEmbedder) -> CascadeClassifier:
    known = with_queries({GENERAL: everyday_profile(base), **profiles}, queries_of(routes), base)
    return CascadeClassifier(known.pop(GENERAL), known, base, known_subjects(base))


def _real(data: Path, part: str, utterances: int, base: BaseEmbedder) -> dict[str, float]:
    asked = stage_one.questions(data, part)
    seen = {text for _, texts in asked.values() for text in texts}
    by_intent = defaultdict(list)
    for row in _read(data, "banking77"):
        if row["part"] == "train" and row["text"] not in seen:
            by_intent[row["intent"]].append(row["text"])
    routes = [_route(name, "finance", texts[:utterances]) for name, texts in by_intent.items() if utterances]
    profiles = {name: stage_one.profile(each, base) for name, each in stage_one.known(data).items()}
    classifier = _classifier(profiles, routes, base)
    return {
        name: float(stage_one.measured(classifier, texts, domain)["right"]) for name, (domain, texts) in asked.items()
    }


def _sets(data: Path, part: str) -> dict[str, tuple[list[Row], list[Row]]]:
    """The training and the asked rows of each set."""
    found = {}
    for name in ("clinc150", "hwu64") if part == "test" else ("clinc150",):
        rows = [row | {"domain": _own_name(row["domain"])} for row in _read(data, name)]
        found[name] = [row for row in rows if row["part"] == "train"], [row for row in rows if row["part"] == part]
    return found


def _own_name(domain: str | None) -> str | None:
    """HWU64 has a domain of that name, which is no general one here."""
    return "chat" if domain == GENERAL else domain


def _few(rows: tuple[list[Row], list[Row]], known: int, with_routes: bool, base: BaseEmbedder) -> dict[str, float]:
    train, asked = rows
    by_domain: dict[str, list[Row]] = defaultdict(list)
    for row in random.Random(0).sample(train, len(train)):
        if row["domain"] is not None:
            by_domain[row["domain"]].append(row)
    profiles = {
        name: Profile.from_queries([row["text"] for row in of_domain[:known]], base.encode, base.digest)
        for name, of_domain in by_domain.items()
    }
    routes = []
    for name, of_domain in by_domain.items() if with_routes else ():
        by_intent = defaultdict(list)
        for row in of_domain[max(KNOWN) :]:
            by_intent[row["intent"]].append(row["text"])
        routes += [_route(intent, name, texts[:OF_A_ROUTE]) for intent, texts in by_intent.items()]
    classifier = _classifier(profiles, routes, base)
    probabilities = classifier.classify([row["text"] for row in asked]).probabilities
    labels = np.array([list(classifier.domains).index(row["domain"] or GENERAL) for row in asked])
    within = labels > 0
    found = {"domain is the likeliest": round(float((probabilities.argmax(axis=1) == labels)[within].mean()), 4)}
    if not within.all():
        found["AUROC, out of scope"] = round(float(roc_auc_score(~within, probabilities[:, 0])), 4)
    return found


def _route(name: str, domain: str, utterances: Sequence[str]) -> Route:
    return Route(name=name, domain=domain, utterances=tuple(utterances))


def _read(data: Path, name: str) -> list[Row]:
    return stage_one.read_rows(data / f"{name}.jsonl.gz")


if __name__ == "__main__":
    main()

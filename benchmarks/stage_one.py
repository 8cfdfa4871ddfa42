"""Measures how many real questions the domain classifier sends to their domain, when it knows quite different ones.

    OMP_NUM_THREADS=1 python benchmarks/stage_one.py --data ../shared/data

There are two domains, as after `domain-router quickstart`: `medical` is known by MedQuAD (every 4th pair, without the
sources NIHSeniorHealth, CDC and NHLBI), by the package's everyday questions about health and those about medicines by
name (models/medicines.txt), `finance` by the 400 everyday pairs of examples/data. Their profiles are built here; with
--registry, the classifier of a registry is measured instead. Asked are questions of other people and other sources, of
these domains and of none: `right` is the fraction that is decided for its domain, with the thresholds that a router
uses, `likeliest` the same without them, `embedded` the fraction that needed the base model.

The constants of the classifier were chosen with `--part val`. `--part test` has other sources, other companies or other
parts of the data sets, and chose nothing. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from registry import GENERAL, BaseModelFiles, Profile, resolve_base_model
from registry.model_folders.compiled import CompiledModel
from registry.model_folders.variants import BACKENDS, Backend
from router_plugin.classifier.cascade import CascadeClassifier
from router_plugin.classifier.known.everyday import everyday_profile, everyday_queries
from router_plugin.classifier.known.subjects import known_subjects
from router_plugin.contracts import BaseEmbedder, DomainClassifier, Encode
from router_plugin.encoders.selection import variant_of_base
from router_plugin.encoders.torch_encoder import TorchEncoder
from router_plugin.settings import Settings

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples" / "data"
MEDICINES = ROOT / "models" / "medicines.txt"
HELD_OUT_SOURCES = ("NIHSeniorHealth", "CDC", "NHLBI")
EVERYDAY = ("utility", "small_talk", "meta", "home", "auto_and_commute", "kitchen_and_dining")
"""Domains of CLINC150 that have nothing to do with money, health or work."""

MOST = {"val": 400, "test": 1000}
"""Questions of each set, spread evenly over it."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Known:
    """What a domain is known by."""

    queries: list[str]
    documents: list[str]


def main() -> None:
    """Assemble the classifier, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--part", choices=("val", "test"), default="test")
    parser.add_argument("--registry", help="of a quickstart; by default the profiles are built")
    parser.add_argument("--backend", choices=BACKENDS, help="that embeds the questions; torch embeds what is known")
    arguments = parser.parse_args()
    registry = arguments.registry
    classifier = _of_registry(registry) if registry else _built(arguments.data, arguments.backend)
    started = time.perf_counter()
    asked = questions(arguments.data, arguments.part)
    results = {name: measured(classifier, texts, domain) for name, (domain, texts) in asked.items()}
    print_rows(f"Real questions, {arguments.part}: the fraction that goes to its domain", results)
    print(json.dumps({"part": arguments.part, "seconds": round(time.perf_counter() - started, 1), **results}))


def _of_registry(registry: str) -> DomainClassifier:
    from router_plugin import ServedDomains

    classifier = ServedDomains(registry).classifier
    if missing := {"medical", "finance"} - set(classifier.domains):
        raise SystemExit(f"{registry} has no domain {min(missing)}: give the registry of `domain-router quickstart`")
    return classifier


def _built(data: Path, backend: Backend | None) -> DomainClassifier:
    model = resolve_base_model()
    encoder = TorchEncoder(model.path, "cpu")
    base = BaseEmbedder(model.digest, encoder.encode)
    profiles = {name: profile(each, base) for name, each in known(data).items()}
    asking = BaseEmbedder(model.digest, _one_by_one(model, backend)) if backend else base
    return CascadeClassifier(everyday_profile(base), profiles, asking, known_subjects(base))


def _one_by_one(model: BaseModelFiles, backend: Backend) -> Encode:
    """Encode as a router does that gets single queries."""
    folder = variant_of_base(model, backend, False, everyday_queries)
    if folder is None:
        raise SystemExit(f"{model.name} has no variant for {backend}")
    variant = CompiledModel(folder)
    return lambda texts: np.concatenate([variant.encode([text]) for text in texts])


def profile(known: Known, base: BaseEmbedder) -> Profile:
    """The classifier profile of a domain."""
    return Profile.from_queries(known.queries, base.encode, base.digest, documents=known.documents)


def known(data: Path) -> dict[str, Known]:
    """What the domains of a quickstart are made of."""
    medquad = [row for row in read_rows(data / "medquad.jsonl.gz")[::4] if row["source"] not in HELD_OUT_SOURCES]
    medical, finance = (read_rows(EXAMPLES / f"{name}.jsonl") for name in ("medical", "finance"))
    templates = [row["question"] for row in medquad]
    asked = [*(row["question"] for row in medical), *MEDICINES.read_text(encoding="utf-8").splitlines()]
    return {
        "medical": Known(
            [*asked, *templates[:: len(templates) // len(asked)]],
            [row["answer"] for row in medquad],
        ),
        "finance": Known([row["question"] for row in finance], [row["answer"] for row in finance]),
    }


def questions(data: Path, part: str) -> dict[str, tuple[str, list[str]]]:
    """The name of each set, the domain that its questions belong to, and the questions."""
    sets = {name: (domain, read(data, part)) for name, (domain, read) in SETS[part].items()}
    return {name: (domain, _spread(dict.fromkeys(texts), MOST[part])) for name, (domain, texts) in sets.items()}


def measured(classifier: DomainClassifier, texts: Sequence[str], domain: str) -> dict[str, float | int | str]:
    """The figures of questions that all belong to one domain."""
    names, found = list(classifier.domains), classifier.classify(texts)
    minimums = np.array([max(classifier.thresholds.get(name, 0), Settings().min_confidence) for name in names])
    likeliest = found.probabilities.argmax(axis=1)
    enough = found.probabilities.max(axis=1) >= minimums[likeliest]
    decided = np.where(enough, likeliest, names.index(GENERAL))
    return {
        "domain": domain,
        "queries": len(texts),
        "right": _mean(decided == names.index(domain)),
        "likeliest": _mean(likeliest == names.index(domain)),
        "embedded": round(len(found.embedded) / len(texts), 4),
    }


def _medquad(data: Path, part: str) -> list[str]:
    return [row["question"] for row in read_rows(data / "medquad.jsonl.gz") if row["source"] in HELD_OUT_SOURCES]


def _consumers(data: Path, part: str) -> list[str]:
    return [row["answer"] for row in read_rows(data / "meqsum.jsonl.gz")]


def _medication(data: Path, part: str) -> list[str]:
    return [row["question"] for row in read_rows(data / "medicationqa.jsonl.gz")]


def _filings(data: Path, part: str) -> list[str]:
    """Half of the companies are in each part."""
    rows = read_rows(data / "finance10k.jsonl.gz")
    return [row["question"] for row in rows if (sha256(row["ticker"].encode()).digest()[0] % 2 == 0) == (part == "val")]


def _banking(data: Path, part: str) -> list[str]:
    wanted = "train" if part == "val" else part
    return [row["text"] for row in read_rows(data / "banking77.jsonl.gz") if row["part"] == wanted]


def _out_of_scope(data: Path, part: str) -> list[str]:
    wanted = ("train", "val") if part == "val" else (part,)
    rows = read_rows(data / "clinc150.jsonl.gz")
    return [row["text"] for row in rows if row["domain"] is None and row["part"] in wanted]


def _everyday(data: Path, part: str) -> list[str]:
    rows = read_rows(data / "clinc150.jsonl.gz")
    return [row["text"] for row in rows if row["domain"] in EVERYDAY and row["part"] == part]


def _policies(data: Path, part: str) -> list[str]:
    rows = read_rows(data / "policyqa.jsonl.gz")
    of_val, of_test = ([row["question"] for row in rows if row["part"] == each] for each in ("dev", "test"))
    return of_val if part == "val" else [text for text in of_test if text not in set(of_val)]


Read = Callable[[Path, str], list[str]]

_SAME: dict[str, tuple[str, Read]] = {
    "10-K questions": ("finance", _filings),
    "BANKING77": ("finance", _banking),
    "CLINC150, out of scope": (GENERAL, _out_of_scope),
    "CLINC150, everyday": (GENERAL, _everyday),
    "privacy policies": (GENERAL, _policies),
}
SETS: dict[str, dict[str, tuple[str, Read]]] = {
    "val": {"MedQuAD, other sources": ("medical", _medquad), "MeQSum": ("medical", _consumers), **_SAME},
    "test": {"MedicationQA": ("medical", _medication), **_SAME},
}


def read_rows(file: Path) -> list[Row]:
    """The rows of a file of JSON lines."""
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return [json.loads(line) for line in content.splitlines()]


def _spread(texts: Iterable[str], most: int) -> list[str]:
    every = list(texts)
    return [every[number * len(every) // most] for number in range(most)] if len(every) > most else every


def _mean(hits: Any) -> float:
    return round(float(np.mean(hits)), 4)


def print_rows(title: str, results: Mapping[str, Mapping[str, object]]) -> None:
    """A table with a row for each result, and a column for each figure that one of them has."""
    table = Table(title=title)
    for column in ("", *dict.fromkeys(name for found in results.values() for name in found)):
        table.add_column(column)
    for name, found in results.items():
        table.add_row(name, *map(str, found.values()))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()

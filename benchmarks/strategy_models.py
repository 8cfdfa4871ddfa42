"""The models of strategies.py: one of every domain and one of all domains together, trained once and registered."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strategy_tasks import Given

from registry import Registry, resolve_base_model
from training import Contrastive, PreparedData, adapt, publish
from training.prepared.format import SPLITS
from training.prepared.preparation import write_folder
from training.reporting.report import TrainingReport

ALL = "all"
"""What the model of all domains is called."""
RANK = 16
BATCH = 32


@dataclass(frozen=True)
class Models:
    """Registries of the domains' models and of that of all domains, if there is one, and what training each took."""

    registry: str
    multi_registry: str | None
    training: dict[str, dict[str, Any]]


def models(task: str, given: Given, data: Mapping[str, PreparedData], whole: bool) -> Models:
    """The models of a task; those that an earlier run has trained are taken as they are.

    Args:
        task: its name.
        given: where things are kept.
        data: what each domain learns from.
        whole: train whole weights, not adapters.
    """
    work = given.folder.parent
    own, multi = (work / "registries" / name for name in (task, f"{task}-{ALL}"))
    training = {domain: trained(each, domain, work / "models" / domain, own, whole) for domain, each in data.items()}
    training[ALL] = trained(union(given, f"{ALL}-{task}", data), ALL, work / "models" / f"{ALL}-{task}", multi, whole)
    return Models(str(own), str(multi), training)


def trained(
    data: PreparedData | Mapping[str, PreparedData], domain: str, model: Path, registry: Path, whole: bool
) -> dict[str, Any]:
    """Train a model unless it is there, register it unless it is, and tell what training took."""
    if not model.exists():
        each = data if isinstance(data, PreparedData) else next(iter(data.values()))
        adapt(data, domain, resolve_base_model(), model, recipe(each, whole))
    with closing(Registry.open(str(registry))) as opened:
        if not opened.holding(model):
            publish(model, opened, force=True)
    return _told(model)


def recipe(data: PreparedData, whole: bool) -> Contrastive:
    """How a model is trained: where texts are labelled, a batch has one of each label, and no mined negative."""
    labels = data.manifest["counts"].get("labels")
    lora = None if whole else RANK
    if labels is None:
        return Contrastive(lora=lora, batch_size=BATCH)
    return Contrastive(lora=lora, batch_size=min(BATCH, labels), negatives=0, epochs=2, min_gain_kept=1.0)


def union(given: Given, name: str, data: Mapping[str, PreparedData]) -> PreparedData:
    """The data of all domains as one.

    Equal texts of several domains are one, and right wherever one of them is. A query that is also a document is left
    out, and one that stands in several splits is in the one nearest to measuring.
    """
    documents: dict[str, str] = {}
    names: dict[tuple[str, str], str] = {}
    for domain, each in data.items():
        for key, text in each.corpus.items():
            names[domain, key] = documents.setdefault(text.casefold(), f"{domain}-{key}")
    corpus = {names[domain, key]: text for domain, each in data.items() for key, text in each.corpus.items()}
    queries: dict[str, str] = {}
    relevant: dict[str, dict[str, None]] = defaultdict(dict)
    place: dict[str, str] = {}
    for split, domain, text, answers in _asked(data):
        if (folded := text.casefold()) not in documents:
            queries.setdefault(folded, text)
            place.setdefault(folded, split)
            relevant[folded] |= {names[domain, answer]: None for answer in answers}
    ids = {folded: f"q{number}" for number, folded in enumerate(queries)}
    qrels = {split: {ids[each]: list(relevant[each]) for each in queries if place[each] == split} for split in SPLITS}
    return given.kept(
        name,
        lambda out: write_folder(
            out,
            corpus,
            {ids[folded]: text for folded, text in queries.items()},
            qrels,
            kind=next(iter(data.values())).manifest["kind"],
            source=", ".join(data),
            options={},
            counts=dict(sum((Counter(each.manifest["counts"]) for each in data.values()), Counter())),
        ),
    )


def _asked(data: Mapping[str, PreparedData]) -> Iterator[tuple[str, str, str, list[str]]]:
    """Split, domain, text and documents of every query, those of the test split first."""
    for split in reversed(SPLITS):
        for domain, each in data.items():
            for query, answers in each.qrels[split].items():
                yield split, domain, each.queries[query], answers


def _told(model: Path) -> dict[str, Any]:
    """What a model's report says of its training."""
    report = TrainingReport.load(model)
    return {
        "train_queries": report.dataset.counts["train_queries"],
        "steps": sum(state.steps for state in report.iterations),
        "seconds": report.seconds,
        "megabytes": round(sum(file.stat().st_size for file in model.rglob("*") if file.is_file()) / 1e6, 1),
        "chosen": report.chosen,
        "dev": {state.name: round(state.dev["ndcg@10"], 4) for state in report.iterations},
    }

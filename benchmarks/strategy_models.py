"""Trains and registers the models of strategies.py once: one per domain, and one of all domains together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strategy_tasks import Given

from registry import Registry, resolve_base_model
from registry.texts.forms import text_key
from training import Contrastive, PreparedData, TrainingJob, adapt, publish
from training.prepared.format import SPLITS
from training.prepared.preparation import write_folder
from training.reporting.report import TrainingReport

ALL = "all"
"""The name of the model of all domains."""
RANK = 16
BATCH = 32


@dataclass(frozen=True)
class Models:
    """The registries of the domains' models and of the model of all domains, if any, and the cost of each training."""

    registry: str
    multi_registry: str | None
    training: dict[str, dict[str, Any]]


def models(task: str, given: Given, data: Mapping[str, PreparedData], whole: bool, together: bool = True) -> Models:
    """The models of a task. Models of an earlier run are reused.

    Args:
        task: its name.
        given: the working folders.
        data: the training data of each domain.
        whole: train all weights instead of adapters.
        together: train the model of all domains, too.
    """
    work = given.folder.parent
    own, multi = (work / "registries" / name for name in (task, f"{task}-{ALL}"))
    training = {domain: trained(each, domain, work / "models" / domain, own, whole) for domain, each in data.items()}
    if together:
        joined = union(given, f"{ALL}-{task}", data)
        training[ALL] = trained(joined, ALL, work / "models" / f"{ALL}-{task}", multi, whole)
    return Models(str(own), str(multi) if together else None, training)


def trained(
    data: PreparedData | Mapping[str, PreparedData], domain: str, model: Path, registry: Path, whole: bool
) -> dict[str, Any]:
    """Train and register a model, unless an earlier run has; returns the cost of training."""
    if not model.exists():
        each = data if isinstance(data, PreparedData) else next(iter(data.values()))
        adapt(TrainingJob(data, domain, resolve_base_model(), recipe(each, whole)), model)
    with closing(Registry.open(str(registry))) as opened:
        if not opened.find_by_content(model):
            publish(model, opened, force=True)
    return _told(model)


def recipe(data: PreparedData, whole: bool) -> Contrastive:
    """The recipe of a model. For labelled texts, a batch has one text of each label, and no mined negatives."""
    labels = data.manifest["counts"].get("labels")
    lora = None if whole else RANK
    if labels is None:
        return Contrastive(lora=lora, batch_size=BATCH)
    return Contrastive(lora=lora, batch_size=min(BATCH, labels), negatives=0, epochs=2, min_gain_kept=1.0)


def union(given: Given, name: str, data: Mapping[str, PreparedData]) -> PreparedData:
    """Merge the data of all domains.

    Equal texts of several domains are merged, and relevant wherever one of them is. A query that is also a document is
    left out. A query that occurs in several splits stays in test, else in dev.
    """
    documents: dict[str, str] = {}
    names: dict[tuple[str, str], str] = {}
    for domain, each in data.items():
        for key, text in each.corpus.items():
            names[domain, key] = documents.setdefault(text_key(text), f"{domain}-{key}")
    corpus = {names[domain, key]: text for domain, each in data.items() for key, text in each.corpus.items()}
    queries: dict[str, str] = {}
    relevant: dict[str, dict[str, None]] = defaultdict(dict)
    place: dict[str, str] = {}
    for split, domain, text, answers in _asked(data):
        if (folded := text_key(text)) not in documents:
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
    """Split, domain, text and documents of every query, the test split first."""
    for split in reversed(SPLITS):
        for domain, each in data.items():
            for query, answers in each.qrels[split].items():
                yield split, domain, each.queries[query], answers


def _told(model: Path) -> dict[str, Any]:
    """The cost of training, from the model's report."""
    report = TrainingReport.load(model)
    return {
        "train_queries": report.dataset.counts["train_queries"],
        "steps": sum(state.steps for state in report.iterations),
        "seconds": report.seconds,
        "megabytes": round(sum(file.stat().st_size for file in model.rglob("*") if file.is_file()) / 1e6, 1),
        "chosen": report.chosen,
        "dev": {state.name: round(state.dev["ndcg@10"], 4) for state in report.iterations},
    }

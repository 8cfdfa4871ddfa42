"""Measures a model that others trained on prepared data, beside the base model, and writes it as a model folder."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from registry import BaseModelFiles, ModelVersion, Registry
from registry.model_folders.loading import try_model
from registry.names import check_domain
from registry.records import TEST, ComparisonRecord, DatasetRecord
from registry.shared.outputs import make_folder
from training.model_folder import write_profile
from training.prepared.format import PreparedData
from training.publishing import publish
from training.readability import check_readable
from training.recipes.model_modules import describe_model
from training.reporting.card import CARD, model_card
from training.reporting.report import Iteration, TrainingReport
from training.reporting.test_sets import compare_on
from training.retrieval.encoding import load_model, resolve_device
from training.retrieval.hybrid import compare_hybrid
from training.retrieval.metrics import DECIDING
from training.retrieval.states import BASE_STATE, State
from training.retrieval.texts import Texts
from training.runs.run import save_model

RECIPE = "imported"


def import_model(
    model: BaseModelFiles,
    domain: str,
    data: PreparedData,
    base: BaseModelFiles,
    registry: Registry,
    *,
    device: str | None = None,
    encode_batch: int = 64,
    force: bool = False,
    hybrid: bool = False,
) -> ModelVersion:
    """Register a model as the next version of a domain, after measuring it and the base model on the same queries.

    The record says the recipe ``imported``, and in its options which model it was.

    Args:
        model: any SentenceTransformer.
        domain: name of the domain.
        data: prepared data, of whose training split only the classifier's profile is made.
        base: what it is compared with, and what the domain classifier runs on.
        registry: where to publish.
        device: torch's name of it; None for its own choice.
        encode_batch: texts encoded at a time.
        force: also if it does not beat the base model on dev; and with ``hybrid`` if that does not win there.
        hybrid: see :func:`training.publish`.

    Raises:
        BaseModelError: a model cannot be loaded, or its vectors cannot be used.
        TrainingError: it does not beat the base model, or ``hybrid`` does not win, and `force` is not given; or it
            cannot read the data's texts.
        InvalidNameError: of the domain.
    """
    check_domain(domain)
    with TemporaryDirectory(prefix="domain-router-import-") as scratch:
        folder = Path(scratch) / domain
        _write(folder, Path(scratch), model, domain, data, base, resolve_device(device), encode_batch)
        return publish(folder, registry, force, hybrid=hybrid)


def _write(
    folder: Path,
    scratch: Path,
    files: BaseModelFiles,
    domain: str,
    data: PreparedData,
    base: BaseModelFiles,
    device: str,
    encode_batch: int,
) -> None:
    """Make the model folder: weights as safetensors, classifier profile, card and report."""
    started, texts = time.monotonic(), Texts(data)
    before, after = (
        State(name, scratch / name, partial(load_model, each.path, device=device), texts, encode_batch, device)
        for name, each in ((BASE_STATE, base), (RECIPE, files))
    )
    try_model(after.model, files.name)
    check_readable(after.model, files.name, {"": data})
    dev = {state.name: state.metrics("dev") for state in (before, after)}
    found = compare_on(before, after)
    origin = files.record()
    report = TrainingReport(
        domain=domain,
        base_model=base.record(),
        recipe=RECIPE,
        options={"model": origin.name, "revision": origin.revision, "weights_sha256": origin.weights_sha256},
        dataset=DatasetRecord(fingerprint=data.fingerprint, counts=data.manifest["counts"]),
        encoded_with="torch",
        iterations=[Iteration.model_validate({"name": name, "dev": measured}) for name, measured in dev.items()],
        chosen=RECIPE,
        improved=dev[RECIPE][DECIDING] > dev[BASE_STATE][DECIDING],
        base_metrics={"dev": dev[BASE_STATE], TEST: found.base},
        adapted_metrics={"dev": dev[RECIPE], TEST: found.adapted},
        comparison=found.comparison,
        hybrid={metric: ComparisonRecord(**compared) for metric, compared in compare_hybrid(after, seed=0).items()},
        dims={},
        seeds=[],
        single_set_baselines={},
        **describe_model(after.model),
        device=device,
        threads=torch.get_num_threads(),
        seconds=round(time.monotonic() - started, 1),
    )
    make_folder(folder)
    save_model(after.model, folder, base)
    write_profile(folder, data, base, before, seed=0)
    (folder / CARD).write_text(model_card(report), encoding="utf-8")
    report.save(folder)

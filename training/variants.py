"""Adds variants for other runtimes than torch to a trained model folder, unless they rank worse on dev."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sentence_transformers import SentenceTransformer

from registry import BaseModelFiles
from registry.model_folders.compiled import CompiledModel
from registry.model_folders.exporting import export
from registry.model_folders.loading import try_model
from registry.model_folders.variants import RECORD, Backend, VariantRecord, variant_folder
from registry.paths import PathLike, local_path
from registry.shared.outputs import move_into_place, new_folder_beside
from training.errors import TrainingError
from training.lazy_texts.sequences import Chained
from training.prepared.format import PreparedData
from training.reporting.report import TrainingReport
from training.reporting.verdicts import MEASURE, falls_short
from training.retrieval.encoding import load_model
from training.retrieval.metrics import mean_metrics, query_metrics
from training.retrieval.ranking import DEPTH, ranked
from training.retrieval.texts import Texts
from training.runs.progress import track


def add_variants(
    folder: PathLike,
    data: PreparedData,
    backends: Sequence[Backend],
    *,
    base: BaseModelFiles | None = None,
    encode_batch: int = 64,
    trust_remote_code: bool = False,
) -> list[VariantRecord]:
    """Add variants to a model folder, each atomically, and measure them on the dev split.

    Args:
        folder: what ``adapt`` wrote.
        data: what it was trained on.
        backends: the runtimes; existing variants are replaced.
        base: the base model, if it is already resolved, for an adapter.
        encode_batch: texts encoded at a time.
        trust_remote_code: let the model run code of its own.

    Returns:
        The record of every variant. One that is more than :data:`training.reporting.verdicts.MAX_SHORTFALL` short of
        the model's MRR@5 is among them, but not in the folder.

    Raises:
        TrainingError: the data are not those that the model was trained on.
        VariantError: the model is of a kind that cannot be exported, or a package that this needs is missing.
    """
    folder = local_path(folder, TrainingError)
    record = TrainingReport.load(folder).record()
    if record.dataset.fingerprint != data.fingerprint:
        raise TrainingError(
            f"{folder} was trained on other data than {data.manifest.get('source')}: its variants are measured on the "
            "dev split of its own"
        )
    texts = Texts(data)
    model = load_model(folder, "cpu", trust_remote_code, base)
    try_model(model, str(folder))
    dev = record.adapted_metrics["dev"][MEASURE]
    return [_add(folder, backend, model, texts, dev, encode_batch) for backend in track(backends, "exporting variants")]


def _add(
    folder: Path, backend: Backend, model: SentenceTransformer, texts: Texts, dev: float, encode_batch: int
) -> VariantRecord:
    with new_folder_beside(folder) as staging:
        made = export(model, staging, backend, Chained([texts.queries["train"], texts.documents]))
        found = _measure(CompiledModel(staging), texts, encode_batch)
        record = made.model_copy(update={"dev": {MEASURE: found}, "dev_model": {MEASURE: dev}})
        (staging / RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if not falls_short(record):
            final = variant_folder(folder, backend)
            final.parent.mkdir(exist_ok=True)
            move_into_place(staging, final)
    return record


def _measure(variant: CompiledModel, texts: Texts, encode_batch: int) -> float:
    queries = variant.encode(texts.queries["dev"], "query", encode_batch)
    documents = variant.encode(texts.documents, "document", encode_batch)
    spans = texts.spans("dev")
    found = ranked(queries, documents, DEPTH, spans, left_out=texts.own["dev"])[1]
    metrics = query_metrics(found, texts.relevant["dev"])
    return mean_metrics(metrics, [queries for queries, _ in spans])[MEASURE]

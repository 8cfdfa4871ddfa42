"""Writes the folder of a trained model: weights, classifier profile, card, page, metrics and report."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from registry.classifier_profiles.profiles import Profile
from registry.gates.query_metrics import QueryMetrics, write_query_metrics
from registry.model_folders.base_models import BaseModelFiles
from registry.shared.outputs import make_folder
from training.job import TrainingJob
from training.lazy_texts.sequences import Chained
from training.prepared.format import PreparedData
from training.recipes.finetune import train_adapter_only
from training.reporting.card import CARD, model_card
from training.reporting.evidence import Evidence
from training.reporting.report import TrainingReport
from training.reporting.report_page import report_page, write_page
from training.retrieval.states import State
from training.runs.run import save_model


def write_model_folder(
    folder: Path,
    job: TrainingJob,
    model: SentenceTransformer,
    base: State,
    seed: int,
    report: TrainingReport,
    evidence: Evidence,
    by_query: Mapping[str, QueryMetrics],
) -> None:
    """Write a model folder; one that a crash left unfinished is replaced.

    Args:
        folder: where to.
        job: that the model was trained by.
        model: the model that was kept.
        base: the state of the base model.
        seed: that the model was trained with.
        report: of the run.
        evidence: for the page.
        by_query: metrics of every query, by test set.
    """
    if job.recipe.lora:
        train_adapter_only(model, job.recipe.lora, seed)  # the unadapted base model has no adapter yet
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    save_model(model, folder, job.base)
    write_profile(folder, job.training_set, job.base, base, seed)
    (folder / CARD).write_text(model_card(report), encoding="utf-8")
    write_page(folder, report_page(report, evidence))
    write_query_metrics(folder, by_query)
    report.save(folder)


def write_profile(folder: Path, data: PreparedData, files: BaseModelFiles, base: State, seed: int) -> None:
    """Write the domain's classifier profile, from documents and training queries as the base model encodes them.

    Labelled texts that became documents are queries of the domain instead.

    Args:
        folder: of the model.
        data: of the domain.
        files: of the base model.
        base: the state of the base model on the data.
        seed: for choosing some of many queries.
    """
    queries, embeddings = base.texts.queries["train"], base.query_embeddings("train")[:]
    sets = data.parts.values() or [data]
    labelled = [text for part in sets if part.labelled for text in part.documents.texts]
    if labelled:
        queries = queries + labelled
        embeddings = np.concatenate([embeddings, base.encode_queries(labelled)])
    documents = Chained(part.documents.texts for part in sets if not part.labelled)
    digest = files.record().weights_sha256
    Profile.from_queries(queries, base.encode_queries, digest, seed, embeddings, documents).save(folder)

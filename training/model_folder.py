"""Writes the folder of a trained model: weights, classifier profile, card, page, metrics and report."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from registry.classifier_profiles.profiles import Profile
from registry.gates.query_metrics import QueryMetrics, write_query_metrics
from registry.shared.outputs import make_folder
from training.job import TrainingJob
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
    _profile(job, base, seed).save(folder)
    (folder / CARD).write_text(model_card(report), encoding="utf-8")
    write_page(folder, report_page(report, evidence))
    write_query_metrics(folder, by_query)
    report.save(folder)


def _profile(job: TrainingJob, base: State, seed: int) -> Profile:
    """The domain's classifier profile, from the documents and the training queries as the base model has encoded them.

    Labelled texts that became documents are queries of the domain instead.
    """
    queries, embeddings = base.texts.queries["train"], base.query_embeddings("train")[:]
    sets = job.training_set.parts.values() or [job.training_set]
    labelled = [text for part in sets if part.labelled for text in part.corpus.values()]
    if labelled:
        queries = queries + labelled
        embeddings = np.concatenate([embeddings, base.encode_queries(labelled)])
    documents = [text for part in sets if not part.labelled for text in part.corpus.values()]
    digest = job.base.record().weights_sha256
    return Profile.from_queries(queries, base.encode_queries, digest, seed, embeddings, documents)

"""Assesses prepared data before anything is trained: three rankers, a ceiling, what looks wrong, and a verdict."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from registry import BaseModelFiles
from registry.model_folders.loading import try_model
from registry.records import ComparisonRecord, DatasetRecord
from training.assessment.findings import findings
from training.assessment.obstacles import agree, find_obstacles
from training.assessment.records import Assessment
from training.assessment.verdict import decide, hybrid_instead, visible_gain
from training.errors import TrainingError
from training.prepared.format import PreparedData
from training.retrieval.encoding import load_model, resolve_device
from training.retrieval.hybrid import fused_with, ranked_by_bm25
from training.retrieval.metrics import HEADLINE, query_metrics
from training.retrieval.ranking import DEPTH
from training.retrieval.significance import compare_metrics
from training.retrieval.states import BASE_STATE, State
from training.retrieval.texts import Texts

MEASURE = HEADLINE[0]
METRICS = (*HEADLINE, f"recall@{DEPTH}")
_SEED = 42


def assess(
    data: PreparedData,
    base: BaseModelFiles,
    *,
    encode_batch: int = 64,
    device: str | None = None,
    trust_remote_code: bool = False,
) -> Assessment:
    """Say whether it is worthwhile to adapt a base model to prepared data. Nothing is trained, and nothing written.

    The base model encodes the corpus once. Only dev queries are ranked; the test split is not measured.

    Args:
        data: one prepared set.
        base: where adaptation would start.
        encode_batch: texts encoded at a time.
        device: where texts are encoded; by default a GPU if available.
        trust_remote_code: run code that comes with the base model.

    Raises:
        TrainingError: there are no dev queries, or several sets are joined.
        BaseModelError: the base model cannot be used.
    """
    if data.parts:
        raise TrainingError("several sets are joined: assess one set at a time, each is ranked over its own documents")
    if not data.qrels["dev"]:
        raise TrainingError(
            "the prepared data have no dev queries, on which a base model is assessed: prepare them with a split that "
            "has some"
        )
    device = resolve_device(device)
    texts = Texts(data)
    with TemporaryDirectory(prefix="domain-router-assess-") as folder:
        load = partial(load_model, base.path, device, trust_remote_code, base)
        state = State(BASE_STATE, Path(folder), load, texts, encode_batch, device)
        try_model(state.model, base.name)
        return _assess(data, base, texts, state)


def _assess(data: PreparedData, base: BaseModelFiles, texts: Texts, state: State) -> Assessment:
    rankings = _rankings(texts, state)
    by_query = {
        name: query_metrics(ranking, texts.relevant["dev"], (1, 5, 10, DEPTH)) for name, ranking in rankings.items()
    }
    metrics = {name: {metric: float(found[metric].mean()) for metric in METRICS} for name, found in by_query.items()}
    compared = {
        metric: ComparisonRecord(**found)
        for metric, found in compare_metrics(by_query["base"], by_query["hybrid"], _SEED).items()
    }
    obstacles = find_obstacles(texts, rankings["base"], rankings["bm25"])
    found = findings(texts, agree(texts, rankings["base"], rankings["bm25"]), state.model)
    pairs = sum(map(bool, texts.relevant["train"]))
    decision = decide(
        metrics["base"][MEASURE], obstacles.ceiling(), {finding.name: finding for finding in found}, pairs
    )
    return Assessment(
        base_model=base.record(),
        dataset=DatasetRecord(fingerprint=data.fingerprint, counts=data.manifest["counts"]),
        training_queries=pairs,
        dev_queries=len(texts.queries["dev"]),
        metrics=metrics,
        hybrid=compared,
        errors=obstacles.errors(),
        ceiling=obstacles.ceiling(),
        findings=found,
        expected_gain=decision.expected_gain,
        visible_gain=visible_gain(len(texts.queries["dev"])),
        more_pairs=decision.more_pairs,
        verdict=decision.verdict,
        reason=decision.reason + hybrid_instead(compared[MEASURE], decision.expected_gain),
    )


def _rankings(texts: Texts, state: State) -> dict[str, NDArray[np.int64]]:
    base = state.ranked("dev")
    bm25 = ranked_by_bm25(texts, "dev")
    return {"base": base, "bm25": bm25, "hybrid": fused_with(base, bm25)}

"""Evaluates a domain classifier on labelled queries, as ``domain-router classifier evaluate`` does."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

from registry import GENERAL
from registry.progress import track
from router_plugin.batches import read_optional_texts, read_texts
from router_plugin.contracts import DomainClassifier
from router_plugin.errors import QueryError

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

BINS = 15
MISTAKES = 25
TIMED = 200
BLOCK = 256
CURVE_POINTS = 200


@dataclass(frozen=True)
class Bin:
    """Queries of similar confidence: their mean confidence, the fraction that is right, and their number."""

    confidence: float
    accuracy: float
    queries: int

    @property
    def place(self) -> tuple[float, float, int]:
        """As a diagram takes it."""
        return self.confidence, self.accuracy, self.queries


@dataclass(frozen=True)
class Mistake:
    """A query for which another domain was predicted."""

    query: str
    domain: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class Evaluation:
    """Figures of a domain classifier on labelled queries.

    Attributes:
        queries: their number.
        accuracy: fraction of the queries whose most probable domain is right; ``general`` counts as a domain.
        domain_accuracy: the same over queries of a domain, among all domains but ``general``.
        domains: rows and columns of ``confusion``.
        confusion: queries of each domain (rows) by the predicted domain (columns).
        calibration_error: expected calibration error of the most probable domain, in 15 bins.
        reliability: those bins that hold queries.
        out_of_domain_auroc: area under ``roc``; None if all queries belong to domains, or none does.
        roc: false and true positive rates of detecting queries of no domain by the probability of ``general``.
        lexical_fraction: fraction of the queries that were decided without an embedding.
        lexical_ms: median milliseconds of such a query, classified on its own; None if there is none.
        embedded_ms: the same for the other queries.
        mistakes: the most confident ones, the worst first.
    """

    queries: int
    accuracy: float
    domain_accuracy: float | None
    domains: list[str]
    confusion: list[list[int]]
    calibration_error: float
    reliability: list[Bin]
    out_of_domain_auroc: float | None
    roc: list[tuple[float, float]]
    lexical_fraction: float
    lexical_ms: float | None
    embedded_ms: float | None
    mistakes: list[Mistake]

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON can hold them."""
        return asdict(self)


def evaluate(classifier: DomainClassifier, queries: Iterable[str], domains: Iterable[str | None]) -> Evaluation:
    """Classify labelled queries, and compare with their labels.

    Args:
        classifier: to evaluate.
        queries: at least one, none of them empty.
        domains: of each query its domain, known to the classifier; ``general`` or None for a query of no domain.

    Raises:
        QueryError: there are no queries, one is not text, or its domain is unknown.
    """
    names = list(classifier.domains)
    queries = read_texts(queries, "queries")
    labels = _labels(read_optional_texts(domains, "domains", "no domain"), names)
    if not queries or len(queries) != len(labels):
        raise QueryError(
            f"expected a domain for every query, and at least one: {len(queries)} queries, {len(labels)} domains"
        )
    starts = range(0, len(queries), BLOCK)
    found = [
        classifier.classify(queries[start : start + BLOCK])
        for start in track(starts, "classifying queries", shown=len(starts) > 1)
    ]
    probabilities = np.concatenate([part.probabilities for part in found])
    embedded = np.concatenate([np.isin(np.arange(len(part.probabilities)), list(part.embedded)) for part in found])
    predicted, inside = probabilities.argmax(axis=1), labels != names.index(GENERAL)
    auroc, roc = _out_of_domain(probabilities[:, names.index(GENERAL)], inside)
    return Evaluation(
        queries=len(queries),
        accuracy=float(np.mean(predicted == labels)),
        domain_accuracy=_domain_accuracy(probabilities[inside], labels[inside], names.index(GENERAL)),
        domains=names,
        confusion=confusion_matrix(labels, predicted, labels=range(len(names))).tolist(),
        calibration_error=calibration_error(probabilities.max(axis=1), predicted == labels),
        reliability=reliability(probabilities.max(axis=1), predicted == labels),
        out_of_domain_auroc=auroc,
        roc=roc,
        lexical_fraction=float(np.mean(~embedded)),
        lexical_ms=_median_ms(classifier, queries, ~embedded),
        embedded_ms=_median_ms(classifier, queries, embedded),
        mistakes=_mistakes(queries, probabilities, labels, names),
    )


def _labels(domains: Sequence[str | None], names: Sequence[str]) -> Labels:
    for number, domain in enumerate(domains):
        if domain is not None and domain not in names:
            raise QueryError(f"`domains[{number}]`: unknown domain {domain!r}: expected {', '.join(names)}, or None")
    return np.array([names.index(domain or GENERAL) for domain in domains], dtype=np.int64)


def calibration_error(confidence: Floats, hits: NDArray[np.bool_]) -> float:
    """Expected calibration error (Guo et al., 2017, section 2), in ``BINS`` bins of equal width.

    Args:
        confidence: of each prediction, ``(n,)``.
        hits: whether it is right, ``(n,)``.
    """
    bins = reliability(confidence, hits)
    return float(sum(each.queries * abs(each.accuracy - each.confidence) for each in bins) / len(hits))


def reliability(confidence: Floats, hits: NDArray[np.bool_]) -> list[Bin]:
    """The bins that hold predictions; see :func:`calibration_error`."""
    number = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    members = [number == each for each in range(BINS)]
    return [
        Bin(float(confidence[rows].mean()), float(hits[rows].mean()), int(rows.sum())) for rows in members if rows.any()
    ]


def _domain_accuracy(probabilities: Floats, labels: Labels, general: int) -> float | None:
    if not len(labels):
        return None
    domains_only = probabilities.copy()
    domains_only[:, general] = -1
    return float(np.mean(domains_only.argmax(axis=1) == labels))


def _out_of_domain(general: Floats, inside: NDArray[np.bool_]) -> tuple[float | None, list[tuple[float, float]]]:
    if inside.all() or not inside.any():
        return None, []
    false, true, _ = roc_curve(~inside, general)
    points = np.unique(np.linspace(0, len(false) - 1, CURVE_POINTS).astype(np.int64))
    return float(roc_auc_score(~inside, general)), list(zip(false[points].tolist(), true[points].tolist(), strict=True))


def _median_ms(classifier: DomainClassifier, queries: Sequence[str], rows: NDArray[np.bool_]) -> float | None:
    seconds = []
    for row in np.flatnonzero(rows)[:TIMED]:
        started = time.perf_counter()
        classifier.classify([queries[row]])
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds)) * 1000 if seconds else None


def _mistakes(queries: Sequence[str], probabilities: Floats, labels: Labels, names: Sequence[str]) -> list[Mistake]:
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]
    return [Mistake(queries[row], names[labels[row]], names[predicted[row]], float(confidence[row])) for row in worst]

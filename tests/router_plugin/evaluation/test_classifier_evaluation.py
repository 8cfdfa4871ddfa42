"""Figures of a domain classifier, by hand and against scikit-learn, and the command that prints them."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from router_plugin.contracts import Classification
from router_plugin.evaluation.classifier import calibration_error, evaluate
from router_plugin.evaluation.classifier_page import evaluation_page

PROBABILITIES = np.array([[0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.9, 0.05, 0.05], [0.2, 0.1, 0.7], [0.3, 0.5, 0.2]])
QUERIES = ["a", "b", "c", "d", "e <script>"]
DOMAINS = ["medical", "medical", "general", "legal", "general"]


class Fixed:
    """Says what it was told to say."""

    domains = ("general", "medical", "legal")

    def __init__(self):
        self.thresholds = {}

    def classify(self, queries):
        rows = [QUERIES.index(query) for query in queries]
        embedded = {place: np.ones(2) for place, row in enumerate(rows) if row in (2, 4)}
        return Classification(PROBABILITIES[rows], embedded)


@pytest.fixture
def evaluation():
    return evaluate(Fixed(), QUERIES, DOMAINS)


def test_the_figures_are_right(evaluation):
    assert evaluation.accuracy == pytest.approx(3 / 5)
    assert evaluation.domain_accuracy == 1
    assert evaluation.confusion == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert evaluation.lexical_fraction == pytest.approx(3 / 5)
    assert evaluation.out_of_domain_auroc == pytest.approx(roc_auc_score([0, 0, 1, 0, 1], PROBABILITIES[:, 0]))
    assert evaluation.roc[0] == (0, 0) and evaluation.roc[-1] == (1, 1)
    assert [(mistake.query, mistake.predicted) for mistake in evaluation.mistakes] == [
        ("b", "general"),
        (QUERIES[4], "medical"),
    ]


def test_calibration_error_is_zero_if_calibrated_and_high_if_overconfident():
    draw = np.random.default_rng(0)
    right = draw.uniform(0.5, 1, 20_000)
    hits = draw.uniform(size=20_000) < right
    assert calibration_error(right, hits) < 0.02
    assert calibration_error(np.full(20_000, 0.99), hits) == pytest.approx(0.24, abs=0.02)


def test_without_queries_of_no_domain_there_is_no_roc_curve():
    evaluation = evaluate(Fixed(), QUERIES[:2], DOMAINS[:2])
    assert evaluation.out_of_domain_auroc is None and evaluation.roc == []
    assert "none of a domain" in evaluation_page(evaluation, "x")


def test_the_page_is_self_contained_and_escapes_queries(evaluation):
    page = evaluation_page(evaluation, "Domains & more")
    assert "Domains &amp; more" in page and "e &lt;script&gt;" in page
    assert "<script" not in page and "://" not in page


def test_the_figures_survive_json(evaluation):
    assert json.loads(json.dumps(evaluation.to_dict()))["queries"] == 5

"""Metrics: worked examples, and agreement with other libraries."""

from math import log2

import numpy as np
import pytest
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
from sklearn.metrics import dcg_score, ndcg_score

from training.retrieval.metrics import CUTOFFS, retrieval_metrics


def test_a_worked_example():
    metrics = retrieval_metrics(np.array([[4, 0, 7, 1, 2], [3, 8, 9, 5, 6]]), [{0, 1, 5}, {8}], (1, 3, 5))
    first, second = 1 / log2(3) + 1 / log2(5), 1 / log2(3)
    assert metrics == pytest.approx(
        {
            "mrr@1": 0,
            "recall@1": 0,
            "ndcg@1": 0,
            "dcg@1": 0,
            "mrr@3": 1 / 2,
            "recall@3": (1 / 3 + 1) / 2,
            "ndcg@3": (1 / log2(3) / (1 + 1 / log2(3) + 1 / log2(4)) + second) / 2,
            "dcg@3": 1 / log2(3),
            "mrr@5": 1 / 2,
            "recall@5": (2 / 3 + 1) / 2,
            "ndcg@5": (first / (1 + 1 / log2(3) + 1 / log2(4)) + second) / 2,
            "dcg@5": (first + second) / 2,
        }
    )


def test_a_perfect_ranking_scores_one_and_a_wrong_one_zero():
    perfect = retrieval_metrics(np.array([[2, 1, 0]]), [{2, 1}])
    assert {name: perfect[name] for name in ("mrr@1", "ndcg@1", "ndcg@5", "ndcg@10", "recall@5")} == pytest.approx(
        {"mrr@1": 1, "ndcg@1": 1, "ndcg@5": 1, "ndcg@10": 1, "recall@5": 1}
    )
    assert perfect["recall@1"] == pytest.approx(1 / 2)
    assert set(retrieval_metrics(np.array([[0, 1]]), [{5}]).values()) == {0.0}


def example(seed=0, queries=40, corpus=60):
    draw = np.random.default_rng(seed)
    scores = draw.standard_normal((queries, corpus))
    relevant = [set(draw.permutation(corpus)[: draw.integers(1, 15)].tolist()) for _ in range(queries)]
    return scores, np.argsort(-scores, axis=1), relevant


def test_metrics_are_those_of_sentence_transformers():
    scores, ranked, relevant = example()
    names = [str(number) for number in range(scores.shape[1])]
    evaluator = InformationRetrievalEvaluator(
        {str(query): "" for query in range(len(scores))},
        dict.fromkeys(names, ""),
        {str(query): {names[document] for document in wanted} for query, wanted in enumerate(relevant)},
        mrr_at_k=list(CUTOFFS),
        ndcg_at_k=list(CUTOFFS),
        precision_recall_at_k=list(CUTOFFS),
    )
    hits = [[{"corpus_id": names[d], "score": row[d]} for d in range(len(row))] for row in scores]
    theirs = evaluator.compute_metrics(hits)
    ours = retrieval_metrics(ranked, relevant)
    for k in CUTOFFS:
        assert ours[f"mrr@{k}"] == pytest.approx(theirs["mrr@k"][k])
        assert ours[f"ndcg@{k}"] == pytest.approx(theirs["ndcg@k"][k])
        assert ours[f"recall@{k}"] == pytest.approx(theirs["recall@k"][k])


def test_dcg_and_ndcg_are_those_of_scikit_learn():
    scores, ranked, relevant = example(1)
    truth = np.array([[document in wanted for document in range(scores.shape[1])] for wanted in relevant], dtype=float)
    ours = retrieval_metrics(ranked[:, :10], relevant)
    for k in CUTOFFS:
        assert ours[f"dcg@{k}"] == pytest.approx(dcg_score(truth, scores, k=k))
        assert ours[f"ndcg@{k}"] == pytest.approx(ndcg_score(truth, scores, k=k))


def test_a_corpus_smaller_than_the_cutoff_is_ranked_whole():
    assert retrieval_metrics(np.array([[1, 0]]), [{0}])["mrr@10"] == pytest.approx(1 / 2)

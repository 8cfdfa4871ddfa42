"""Ranking equals sorting all products, whatever the block sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.retrieval import ranking as module
from training.retrieval.ranking import ranking, top_k
from training.retrieval.vectors import StoredVectors


def vectors(count, seed, dimension=8):
    drawn = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    queries=st.integers(0, 12),
    documents=st.integers(1, 60),
    k=st.integers(1, 80),
    blocks=st.tuples(st.integers(1, 12), st.integers(1, 60)),
    seed=st.integers(0, 99),
)
def test_ranking_equals_sorting_all_products(queries, documents, k, blocks, seed):
    asked, corpus = vectors(queries, seed), vectors(documents, seed + 100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "QUERY_BLOCK", blocks[0])
        patch.setattr(module, "DOCUMENT_BLOCK", blocks[1])
        ranked = ranking(asked, corpus, k)
        scores = [block for block, _ in top_k(asked, corpus, k)]
    products = asked @ corpus.T
    assert ranked.shape == (queries, min(k, documents))
    assert ranked.tolist() == np.argsort(-products, axis=1)[:, :k].tolist()
    if queries:
        np.testing.assert_allclose(np.concatenate(scores), -np.sort(-products, axis=1)[:, :k], atol=1e-6)


def test_equal_documents_are_all_ranked(monkeypatch):
    monkeypatch.setattr(module, "DOCUMENT_BLOCK", 4)
    corpus = np.repeat(vectors(1, 0), 10, axis=0)
    assert sorted(ranking(corpus[:1], corpus, 10)[0].tolist()) == list(range(10))


def test_vectors_in_a_file_are_ranked_as_those_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "QUERY_BLOCK", 7)
    monkeypatch.setattr(module, "DOCUMENT_BLOCK", 11)
    stored = {}
    for name, count in (("queries", 20), ("documents", 50)):
        stored[name] = StoredVectors.create(tmp_path / f"{name}.npy", count, 8)
        stored[name][:] = vectors(count, count)
    expected = ranking(vectors(20, 20), vectors(50, 50), 12)
    assert np.array_equal(ranking(stored["queries"], stored["documents"], 12), expected)

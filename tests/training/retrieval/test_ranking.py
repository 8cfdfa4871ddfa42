"""Ranking equals sorting all products, whatever the block sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.retrieval import ranking as module
from training.retrieval.metrics import query_metrics
from training.retrieval.ranking import NOTHING, ranking, top_k
from training.retrieval.vectors import StoredVectors


def vectors(count, seed, dimension=8):
    drawn = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@settings(max_examples=40)
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


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 40), st.integers(1, 50), st.integers(1, 60), st.integers(0, 99), st.data())
def test_what_is_left_out_of_a_ranking_is_as_if_it_were_not_there(queries, documents, k, block, seed, data):
    asked, corpus = vectors(queries, seed), vectors(documents, seed + 100)
    some = st.sets(st.integers(0, documents - 1))
    left_out = data.draw(st.lists(some, min_size=queries, max_size=queries))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "QUERY_BLOCK", 5)
        patch.setattr(module, "DOCUMENT_BLOCK", block)
        found = ranking(asked, corpus, k, left_out=left_out)
    for row, query, apart in zip(found.tolist(), asked, left_out, strict=True):
        kept = [position for position in np.argsort(-(corpus @ query)).tolist() if position not in apart]
        assert row == [*kept, *[NOTHING] * documents][: len(row)]


@settings(max_examples=60)
@given(
    kinds=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    k=st.integers(1, 80),
    blocks=st.tuples(st.integers(1, 3), st.integers(1, 60)),
)
def test_of_equal_documents_the_first_ones_come_first(kinds, k, blocks):
    axes = np.eye(4, dtype=np.float32)  # whose products are exact
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "QUERY_BLOCK", blocks[0])
        patch.setattr(module, "DOCUMENT_BLOCK", blocks[1])
        ranked = ranking(axes, axes[kinds], k)
    for query in range(4):
        order = sorted(range(len(kinds)), key=lambda document: kinds[document] != query)
        assert ranked[query].tolist() == order[:k]


def test_a_model_to_which_all_texts_are_the_same_finds_nothing_but_what_stands_first():
    same = np.full((200, 4), 0.5, dtype=np.float32)
    ranked = ranking(same, same, 100)
    assert ranked.tolist() == [list(range(100))] * 200
    found = query_metrics(ranked, [{number} for number in range(200)])
    assert found["mrr@10"].tolist() == [1 / (number + 1) for number in range(10)] + [0.0] * 190


def test_vectors_in_a_file_are_ranked_as_those_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "QUERY_BLOCK", 7)
    monkeypatch.setattr(module, "DOCUMENT_BLOCK", 11)
    stored = {}
    for name, count in (("queries", 20), ("documents", 50)):
        stored[name] = StoredVectors.create(tmp_path / f"{name}.npy", count, 8)
        stored[name][:] = vectors(count, count)
    expected = ranking(vectors(20, 20), vectors(50, 50), 12)
    assert np.array_equal(ranking(stored["queries"], stored["documents"], 12), expected)

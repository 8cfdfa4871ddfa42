"""How near queries are to what is known of the domains."""

import numpy as np
import pytest

from router_plugin.classifier.neighbour_stage import NeighbourStage

NONE = np.zeros((0, 0), np.float32)


def unit(rows, columns=16, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_similarity_is_that_of_the_three_nearest_queries():
    known, queries = unit(20), unit(5, seed=1)
    expected = np.sort(queries @ known.T, axis=1)[:, -3:].mean(axis=1)
    np.testing.assert_allclose(NeighbourStage([known]).similarities(queries)[:, 0], expected, atol=1e-6)


def test_a_model_whose_vectors_are_all_alike_is_compared_more_sharply():
    domains, queries = [unit(40), unit(40, seed=1)], unit(5, seed=2)
    common = unit(1, seed=3) * 5

    def alike(vectors):
        return (vectors + common) / np.linalg.norm(vectors + common, axis=1, keepdims=True)

    apart, close = NeighbourStage(domains), NeighbourStage(list(map(alike, domains)))
    assert close.sharpness > 5 * apart.sharpness
    differences = [
        stage.nearness(asked).densities @ [1, -1] for stage, asked in ((apart, queries), (close, alike(queries)))
    ]
    assert np.corrcoef(*differences)[0, 1] > 0.8


def test_vectors_that_are_all_the_same_are_compared():
    same = np.tile(unit(1), (5, 1))
    assert np.isfinite(NeighbourStage([same, same], [NONE, -same]).nearness(-same).densities).all()


def test_many_queries_are_no_denser_than_a_few_of_the_same():
    few, queries = unit(20), unit(5, seed=1)
    densities = NeighbourStage([few, np.tile(few, (50, 1))]).nearness(queries).densities
    np.testing.assert_allclose(densities[:, 0], densities[:, 1], atol=1e-5)


def test_a_query_is_densest_where_all_queries_are_near_and_not_only_one():
    query = unit(1)
    near = query + 0.1 * unit(30, seed=1)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    apart = np.concatenate([near[:3], -near[3:]])
    found = NeighbourStage([near, apart]).nearness(query)
    assert found.similarities[0, 0] == pytest.approx(found.similarities[0, 1], abs=0.05)
    assert found.densities[0, 0] > found.densities[0, 1] + 0.1


def test_documents_count_the_same_however_many_they_are():
    queries, few = unit(5, seed=1), unit(10, seed=2)
    stage = NeighbourStage([unit(20)] * 3, [NONE, few, np.tile(few, (100, 1))])
    alone, with_few, with_many = stage.nearness(queries).densities.T
    np.testing.assert_allclose(with_few, with_many, atol=1e-5)
    assert np.abs(with_few - alone).max() > 1e-3


def test_a_query_like_the_documents_is_nearer_with_them():
    document = unit(1, seed=3)
    with_document, without = NeighbourStage([unit(20)] * 2, [document, NONE]).nearness(document).densities[0]
    assert with_document > without + 0.2


def test_nothing_known_is_not_near():
    found = NeighbourStage([np.zeros((0, 16), np.float32), unit(2)]).nearness(unit(3))
    assert (found.similarities[:, 0] == 0).all() and (found.densities[:, 0] == 0).all()

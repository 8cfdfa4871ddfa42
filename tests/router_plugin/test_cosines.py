"""Scores: within [-1, 1], equal texts score 1, and neither depends on what else is in a batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from router_plugin import DomainRouter, JointSpace, Route, Settings, Tuner, explain
from router_plugin.cosines import TOLERANCE, reaches, rounded, unit
from tests.conftest import EXAMPLES

FINITE = st.floats(-2, 2, width=32)
UTTERANCES = [
    line.partition('"question": "')[2].partition('"')[0]
    for line in (EXAMPLES / "data" / "medical.jsonl").read_text(encoding="utf-8").splitlines()[:40]
]


@given(arrays(np.float32, 8, elements=FINITE))
def test_rounded_cosines_are_within_their_bounds_and_near_what_they_were(values):
    found = rounded(values)
    assert found.dtype == np.float64 and (np.abs(found) <= 1).all()
    assert np.abs(found - np.clip(values.astype(np.float64), -1, 1)).max() <= TOLERANCE / 2 + 1e-12
    np.testing.assert_array_equal(rounded(found), found)


@given(st.floats(-1, 1), st.floats(-1e-7, 1e-7))
def test_a_score_reaches_what_it_was_computed_as_another_time(score, error):
    assert reaches(rounded(np.array([score + error])), score).all()
    assert not reaches(rounded(np.array([score])), score + 1e-4).any()


def test_a_missing_score_reaches_nothing():
    assert not reaches(np.array([np.nan, -np.inf]), -1).any()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@given(vectors=arrays(np.float64, (3, 8), elements=st.floats(-1, 1).filter(lambda value: abs(value) > 1e-2)))
def test_unit_vectors_have_length_one_whatever_the_precision(kind, vectors):
    given_ = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(kind)
    found = unit(given_)
    assert found.dtype == np.float32
    assert np.abs(np.linalg.norm(found.astype(np.float64), axis=1) - 1).max() < 1e-5
    assert np.abs(found - given_.astype(np.float32)).max() < 2e-3
    np.testing.assert_array_equal(unit(np.zeros((1, 8), dtype=kind)), np.zeros((1, 8)))


@pytest.fixture(scope="module")
def exact(served_domains):
    """A router with a route for each utterance, which only the same text reaches."""
    routes = [Route(name=text, utterances=(text,), threshold=1) for text in UTTERANCES]
    return DomainRouter.over(served_domains, routes, served_domains.settings.replace(strategy="single"))


@pytest.mark.parametrize("size", [1, 3, len(UTTERANCES)])
def test_every_utterance_asked_word_for_word_reaches_a_threshold_of_one(exact, size):
    parts = [UTTERANCES[start : start + size] for start in range(0, len(UTTERANCES), size)]
    decisions = [decision for part in parts for decision in exact.route_many(part)]
    assert [(decision.route, decision.score) for decision in decisions] == [(text, 1) for text in UTTERANCES]


@settings(max_examples=15)
@given(st.lists(st.sampled_from([*UTTERANCES, *(f"{text} please" for text in UTTERANCES)]), min_size=1, max_size=40))
def test_scores_do_not_depend_on_the_batch_and_are_no_more_than_one(exact, served_domains, texts):
    fresh = DomainRouter.over(served_domains, exact.routes, exact.settings)
    for batch in (texts, texts[::-1]):
        for text, scores in zip(batch, fresh.scores(batch), strict=True):
            (alone,) = exact.scores([text])
            values = np.array([*scores.values()])
            assert (np.abs(values) <= 1).all()
            assert np.abs(values - [alone[name] for name in scores]).max() <= 2 * TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_equal_texts_score_one_on_every_runtime(backend, served, tmp_path, monkeypatch):
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path))
    some = UTTERANCES[:12]
    routes = [Route(name=text, utterances=(text,), threshold=1) for text in some]
    with DomainRouter(routes, served, settings=Settings(strategy="single", backend=backend, device="cpu")) as router:
        for batch in (some, some[3:5], [f"{some[7]} ", *some]):
            assert [decision.route for decision in router.route_many(batch)] == [text.strip() for text in batch]


def test_noise_of_a_quantised_runtime_is_not_seen_in_the_score_of_an_equal_text():
    from router_plugin.serving.candidate_store import Embedded, digest_of_key
    from router_plugin.serving.candidates import Candidates, Queries

    draw = np.random.default_rng(0)
    vectors = unit(draw.normal(size=(5, 64)))
    routes = [Route(name=str(row), utterances=(str(row),)) for row in range(5)]
    candidates = Candidates(routes, [Embedded(each, 0, digest_of_key((row,))) for row, each in enumerate(vectors)])
    noisy = unit(vectors + draw.normal(scale=0.02, size=vectors.shape))
    assert (np.diag(vectors @ noisy.T) < 0.999).all()
    scores = candidates.scores(Queries(noisy, list("01234"), [0] * 5, [(row,) for row in range(5)]))
    np.testing.assert_array_equal(np.diag(scores), 1)
    np.testing.assert_array_less(scores[~np.eye(5, dtype=bool)], 0.9)
    near = candidates.nearest(Queries(noisy[:1], ["0"], [0], [(0,)]), 1)
    assert near == [("0", "0", 1)]


def test_explanations_and_the_joint_space_have_no_cosine_above_one(exact, served_domains):
    for text in UTTERANCES[:10]:
        explained = explain(exact, text, 3)
        for each in (*explained.nearest, *explained.nearest_in_general):
            assert -1 <= each.cosine <= 1
        assert explained.nearest[0].cosine == explained.decision.score == 1
    vectors = JointSpace(served_domains).encode_queries(UTTERANCES[:10])
    assert (vectors @ vectors.T).max() <= 1 + 1e-6


@pytest.mark.parametrize("strategy", ["two_stage", "ensemble", "adaptive", "single"])
@pytest.mark.parametrize("aggregation", ["max", "mean", "top-k"])
def test_no_strategy_and_aggregation_scores_above_one(served_domains, strategy, aggregation):
    routes = [Route(name=text, utterances=(text, text)) for text in UTTERANCES[:8]]
    changed = served_domains.settings.replace(strategy=strategy, aggregation=aggregation, top_k=2)
    router = DomainRouter.over(served_domains, routes, changed)
    for text, decision in zip(UTTERANCES, router.route_many(UTTERANCES[:8]), strict=False):
        assert (decision.route, decision.score) == (text, 1)


def test_a_fitted_threshold_accepts_what_it_was_fitted_to(served_domains):
    texts = UTTERANCES[:6]
    routes = [Route(name=text, utterances=(text,)) for text in texts]
    router = DomainRouter.over(served_domains, routes, served_domains.settings.replace(strategy="single"))
    queries = [*(f"{text}, please" for text in texts), "tell me a joke"]
    labels = [*texts, None]
    Tuner(router).fit(queries, labels)
    assert [decision.route for decision in router.route_many(queries)] == [router.route(each).route for each in queries]
    assert Tuner(router).evaluate(queries, labels).in_scope_accuracy == 1

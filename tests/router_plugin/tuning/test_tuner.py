"""Fitting thresholds and confidence to labelled queries, evaluating on them, and explaining a decision."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry import GENERAL
from router_plugin import DomainRouter, Fitted, FittedError, QueryError, Route, ServedDomains, Settings, Tuner, explain
from router_plugin.evaluation.fitted import confidence
from router_plugin.evaluation.routes import evaluate_routes
from router_plugin.tuning.fitting import NearestRoutes, fit_confidence, fit_thresholds, nearest_routes

ANYTHING = Settings(target_precision=0, min_confidence=0, threshold=0.99)
TENANCY = ("can my landlord keep the deposit", "my landlord wants me out", "the rent went up twice this year")
DRUGS = ("can I take aspirin with wine", "how many pills a day are safe", "the tablets make me sleepy")
NONE = ("tell me a joke", "what time is it in Tokyo", "play some music")
KNOWN = [
    Route(name="tenancy", utterances=("can a landlord keep my deposit", "rent and landlords")),
    Route(name="drugs", utterances=("is aspirin safe with wine", "pills and tablets")),
]


def accuracy(found, labels, thresholds):
    """By going through every query's routes one after another."""
    hits = 0
    for routes, scores, label in zip(found.routes, found.scores, labels, strict=True):
        given = next((r for r, s in zip(routes, scores, strict=True) if r >= 0 and s >= thresholds[r]), -1)
        hits += given == label
    return hits / len(labels)


@st.composite
def labelled(draw):
    count, routes = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    scores = [[draw(st.integers(-9, 9)) / 10 for _ in range(routes)] for _ in range(count)]
    rows = [(np.arange(routes), np.array(row, dtype=np.float32), 1.0) for row in scores]
    return nearest_routes(rows), np.array([draw(st.integers(-1, routes - 1)) for _ in range(count)]), routes


@pytest.mark.slow
@given(labelled(), st.integers(-9, 9))
@settings(max_examples=200)
def test_fitted_thresholds_are_never_worse_and_best_for_a_single_route(case, start):
    found, labels, routes = case
    before = np.full(routes, start / 10)
    after = fit_thresholds(found, labels, before)
    assert (after >= -1).all() and (after <= 1).all()
    assert accuracy(found, labels, after) >= accuracy(found, labels, before)
    if routes == 1 and (labels == 0).any():
        every = [accuracy(found, labels, np.array([value])) for value in np.arange(-1.05, 1.1, 0.1)]
        assert accuracy(found, labels, after) == max(every)


def test_a_route_without_a_labelled_query_keeps_its_threshold():
    found = nearest_routes([(np.arange(2), np.array([0.9, 0.8], dtype=np.float32), 1.0)])
    after = fit_thresholds(found, np.array([1]), np.array([0.3, 0.3]))
    assert after[1] == 0.3 and after[0] == 0.3


def test_queries_of_no_route_tell_something_of_every_route():
    routes = 10
    near = [(route, 0.8 + route / 100) for route in range(routes)] * 3
    none = [(route, 0.5 + route / 100) for route in range(3)]
    found = nearest_routes(
        [(np.array([route]), np.array([score], dtype=np.float32), 1.0) for route, score in [*near, *none]]
    )
    after = fit_thresholds(found, np.array([*(route for route, _ in near), *[-1] * 3]), np.full(routes, 0.3))
    assert (after > 0.55).all() and (after < 0.8).all()


def test_confidence_is_the_share_of_right_answers():
    draw = np.random.default_rng(0)
    scores = draw.uniform(0, 1, (4000, 2))
    rows = [(np.arange(2), np.sort(row)[::-1].astype(np.float32), 1.0) for row in scores]
    found = nearest_routes(rows)
    sure = 1 / (1 + np.exp(-(8 * found.scores[:, 0] - 5)))
    labels = np.where(draw.uniform(size=4000) < sure, 0, -1)
    weights = fit_confidence(found, labels)
    guessed = [confidence(weights, *row, 1.0) for row in found.scores]
    assert np.abs(np.array(guessed) - sure).mean() < 0.03
    assert fit_confidence(NearestRoutes(*(part[:30] for part in found)), labels[:30]) == ()


@pytest.fixture(scope="module")
def domains(served):
    return ServedDomains(str(served), settings=ANYTHING)


@pytest.fixture
def example(domains):
    return DomainRouter.over(domains, KNOWN)


LABELLED = ([*TENANCY, *DRUGS, *NONE], [*["tenancy"] * 3, *["drugs"] * 3, *[None] * 3])


def test_fitting_takes_effect_is_kept_and_can_be_applied_again(example, domains, tmp_path):
    before = Tuner(example).evaluate(*LABELLED)
    assert before.accuracy == pytest.approx(1 / 3)
    fitted = Tuner(example).fit(*LABELLED)
    after = Tuner(example).evaluate(*LABELLED)
    assert after.accuracy > before.accuracy
    assert {route.name: route.threshold for route in example.routes} == fitted.thresholds
    fitted.save(tmp_path / "fitted.json")
    again = DomainRouter.over(domains, KNOWN)
    Tuner(again).apply(Fitted.load(tmp_path / "fitted.json"))
    assert Tuner(again).evaluate(*LABELLED).accuracy == after.accuracy
    assert [path.name for path in tmp_path.iterdir() if "fitted" in path.name] == ["fitted.json"]


def test_a_route_that_is_removed_and_added_again_has_nothing_of_the_old_one(example):
    Tuner(example).fit(*LABELLED)
    example.remove_route("tenancy")
    assert "tenancy" not in example.scores([TENANCY[0]])[0]
    again = Route(name="tenancy", utterances=("the moon is made of cheese",), threshold=0.123)
    example.add_routes([again])
    assert [route for route in example.routes if route.name == "tenancy"] == [again]
    same, old = example.scores(["the moon is made of cheese", TENANCY[0]])
    assert same["tenancy"] == pytest.approx(1, abs=1e-5)
    assert old["tenancy"] < 0.99


def test_a_fitted_router_says_how_sure_it_is(example, monkeypatch):
    monkeypatch.setattr("router_plugin.tuning.fitting.MIN_QUERIES", 2)
    assert example.route(TENANCY[0]).confidence is None
    Tuner(example).fit(*LABELLED)
    decisions = example.route_many(LABELLED[0])
    assert all(0 <= decision.confidence <= 1 for decision in decisions)
    assert example.route("").confidence is None
    evaluation = Tuner(example).evaluate(*LABELLED)
    assert 0 <= evaluation.calibration_error <= 1
    json.dumps(evaluation.to_dict())


def test_what_was_fitted_is_refused_for_other_models_or_settings(example, tmp_path):
    fitted = Tuner(example).fit(*LABELLED)
    for changed in ({"aggregation": "mean"}, {"strategy": "ensemble"}, {"top_k": 2}):
        other = DomainRouter.over(example.served_domains, KNOWN, ANYTHING.replace(**changed))
        with pytest.raises(FittedError, match=f"another {next(iter(changed))} than"):
            Tuner(other).apply(fitted)
    newer = fitted.model_copy(update={"made_for": {**fitted.made_for, "model of legal": "0" * 64}})
    with pytest.raises(FittedError, match="another model of legal than"):
        Tuner(example).apply(newer)
    for content in ("", "{}", '{"thresholds": {}, "confidence": [], "made_for": {}, "more": 1}'):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(FittedError, match=r"bad\.json: is not what"):
            Fitted.load(tmp_path / "bad.json")


@pytest.mark.parametrize(
    ("queries", "labels", "expected"),
    [
        ([], [], "at least one"),
        (["a"], [], "one label for every query"),
        (["a"], ["nowhere"], "unknown route 'nowhere' as a label"),
    ],
)
def test_wrong_labels_are_told(example, queries, labels, expected):
    for call in (Tuner(example).fit, Tuner(example).evaluate):
        with pytest.raises(QueryError, match=expected):
            call(queries, labels)


COPIES = ["PILLS and\u00a0tablets", "ｒｅｎｔ and landlords", "is aspirin safe with wine"]
"""Utterances in other forms."""


def test_queries_that_are_utterances_are_left_out_and_counted(example, domains, caplog):
    queries, labels = [*COPIES, *LABELLED[0]], ["drugs", "tenancy", "drugs", *LABELLED[1]]
    fitted = Tuner(example).fit(queries, labels)
    assert "3 of 12 queries are utterances of routes" in caplog.text
    assert fitted == Tuner(DomainRouter.over(domains, KNOWN)).fit(*LABELLED)
    found = Tuner(example).evaluate(queries, np.array(labels))
    assert (found.queries, found.utterances) == (9, 3)
    assert replace(found, utterances=0) == Tuner(example).evaluate(*LABELLED)


def test_utterances_are_used_where_there_are_no_other_queries(example):
    labels = ["drugs", "tenancy", "drugs"]
    assert set(Tuner(example).fit(COPIES, labels).thresholds) == {"drugs", "tenancy"}
    found = Tuner(example).evaluate(COPIES, labels)
    assert (found.queries, found.utterances) == (3, 0)


def test_figures_are_of_the_decisions(example):
    decision = replace(example.route(TENANCY[0]), route="a")
    given = [("a", 0.9), ("a", 0.8), (None, 0.1), ("b", 0.7), (None, None)]
    decisions = [replace(decision, query=str(i), route=route, score=score) for i, (route, score) in enumerate(given)]
    found = evaluate_routes(decisions, ["a", "b", "b", None, None])
    assert (found.queries, found.accuracy) == (5, 2 / 5)
    assert (found.in_scope_accuracy, found.out_of_scope_recall) == (1 / 3, 1 / 2)
    by_route = {each.route: each for each in found.routes}
    assert (by_route["a"].precision, by_route["a"].recall, by_route["a"].predicted) == (1 / 2, 1, 2)
    assert (by_route["b"].precision, by_route["b"].recall, by_route["b"].queries) == (0, 0, 2)
    assert [mistake.query for mistake in found.mistakes] == ["1", "3", "2"]
    assert found.calibration_error is None


def test_mistakes_without_a_score_come_last(example):
    decision = replace(example.route(TENANCY[0]), route=None)
    scores = [None, 0.2, None, 0.9]
    decisions = [replace(decision, query=str(i), score=score) for i, score in enumerate(scores)]
    found = evaluate_routes(decisions, ["tenancy"] * 4)
    assert [mistake.query for mistake in found.mistakes] == ["3", "1", "0", "2"]


@pytest.mark.parametrize("strategy", ["two_stage", "ensemble", "adaptive", "single"])
def test_an_explanation_says_what_led_to_the_decision(domains, strategy):
    router = DomainRouter.over(domains, KNOWN, ANYTHING.replace(threshold=0.1, strategy=strategy))
    found = explain(router, TENANCY[0])
    assert found.decision.route == router.route(TENANCY[0]).route
    assert found.threshold == 0.1
    utterances = {(route.name, text) for route in KNOWN for text in route.utterances}
    for near in (found.nearest, found.nearest_in_general):
        assert {(each.route, each.utterance) for each in near} == utterances
        assert all(first.cosine >= second.cosine for first, second in itertools.pairwise(near))
    if strategy == "two_stage":
        assert found.nearest[0].cosine == pytest.approx(found.decision.score, abs=1e-4)
    if strategy == "single":
        assert found.evidence is None
    else:
        assert set(found.evidence.domains) == set(router.domains)
        assert "landlord" in found.evidence.domains["legal"].features
    json.dumps(found.to_dict())


def test_an_explanation_of_nothing_is_no_error(example):
    assert explain(example, "").nearest == []
    bare = DomainRouter.over(example.served_domains, [])
    found = explain(bare, TENANCY[0])
    assert (found.nearest, found.threshold) == ([], None)
    assert found.evidence is not None


def test_an_explanation_tells_as_many_candidates_as_were_asked_for(example):
    five = explain(example, TENANCY[0])
    for limit in (0, 1):
        found = explain(example, TENANCY[0], limit)
        assert (found.nearest, found.nearest_in_general) == (five.nearest[:limit], five.nearest_in_general[:limit])
        assert found.threshold == five.threshold is not None
    with pytest.raises(QueryError, match="`limit` -1: expected at least 0"):
        explain(example, TENANCY[0], -1)


def test_features_add_up_to_the_margin(example):
    classifier = example.classifier
    text = "can my landlord keep the deposit of the flat"
    stage = classifier._lexical
    from registry.classifier_profiles.features import lexical_features

    whole = stage.margins(stage.weighting(lexical_features([text])))[0] - stage._heads.offsets
    added = sum(stage.contributions(text).values())
    np.testing.assert_allclose(added, whole, atol=1e-3)
    assert GENERAL in classifier.domains

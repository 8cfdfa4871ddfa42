"""Fitting thresholds and confidence to labelled queries, evaluating on them, and explaining a decision."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from registry import GENERAL
from router_plugin import DomainRouter, Fitted, FittedError, QueryError, Route, ServedDomains, Settings, Tuner, explain
from router_plugin.evaluation.outcomes import DEFAULT_WEIGHTS, Nearest, outcome
from router_plugin.evaluation.routes import evaluate_routes
from router_plugin.tuning.fitting import (
    LEFT_OUT,
    NONE,
    OTHER,
    RIGHT,
    Example,
    Labelled,
    examples,
    fit_outcomes,
    lacking,
)

ANYTHING = Settings(target_precision=0, min_confidence=0, threshold=0.99)
TENANCY = ("can my landlord keep the deposit", "my landlord wants me out", "the rent went up twice this year")
DRUGS = ("can I take aspirin with wine", "how many pills a day are safe", "the tablets make me sleepy")
NO_ROUTE = ("tell me a joke", "what time is it in Tokyo", "play some music")
KNOWN = [
    Route(name="tenancy", utterances=("can a landlord keep my deposit", "rent and landlords")),
    Route(name="drugs", utterances=("is aspirin safe with wine", "pills and tablets")),
]


def example(score, outcome, route=0, other=0.1, domain=1.0, general=0.0, weight=1.0):
    return Example(Nearest(route, score, other, domain, general), outcome, weight)


def drawn(count, outcome_of, seed=0, **more):
    """Examples with scores from 0 to 1, and what came of them by chance."""
    draw = np.random.default_rng(seed)
    return [example(score, outcome_of(score, draw), **more) for score in draw.uniform(0, 1, count).tolist()]


def test_without_examples_what_there_was_stays():
    assert fit_outcomes([], 2, 0.4) == (DEFAULT_WEIGHTS, pytest.approx([0.4, 0.4]))


@given(st.floats(0.2, 0.8), st.floats(0, 0.9))
@settings(max_examples=10)
def test_the_threshold_is_where_a_route_is_as_probable_as_none(middle, base):
    """Also for models whose cosines are all alike."""
    sure = drawn(1500, lambda score, draw: RIGHT if draw.uniform() < expit(20 * (score - middle)) else NONE)
    near = [each._replace(nearest=each.nearest._replace(score=base + (1 - base) * each.nearest.score)) for each in sure]
    learned = fit_outcomes(near, 1, 0.4)
    assert learned.thresholds == pytest.approx([base + (1 - base) * middle], abs=0.05)
    found = outcome(learned.weights, Nearest(0, float(learned.thresholds[0]), 0.1, 1, 0), float(learned.thresholds[0]))
    assert found.right == pytest.approx(found.none)


def test_probabilities_are_shares():
    def came(score, draw):
        return RIGHT if draw.uniform() < expit(10 * score - 5) else OTHER if draw.uniform() < 0.3 else NONE

    learned = fit_outcomes(drawn(4000, came), 1, 0.4)
    for score in (0.2, 0.5, 0.8):
        found = outcome(learned.weights, Nearest(0, score, 0.1, 1, 0), float(learned.thresholds[0]))
        assert found.right == pytest.approx(expit(10 * score - 5), abs=0.05)
        assert sum(found) == pytest.approx(1)


def test_doubt_about_the_domain_raises_the_threshold():
    def came(score, draw):
        return RIGHT if score > 0.4 else NONE

    def in_doubt(score, draw):
        return RIGHT if score > 0.6 else NONE

    learned = fit_outcomes(
        [*drawn(500, came), *drawn(500, in_doubt, domain=0.2), *drawn(500, in_doubt, general=0.8)], 1, 0.4
    )
    assert learned.thresholds == pytest.approx([0.4], abs=0.05)
    assert learned.weights.doubt(0.2, 0.0) == pytest.approx(0.2, abs=0.05)
    assert learned.weights.doubt(1.0, 0.8) == pytest.approx(0.2, abs=0.05)
    assert learned.weights.doubt(1.0, 0.0) == 0


def test_routes_have_thresholds_of_their_own_and_others_the_common_one():
    low = drawn(300, lambda score, draw: RIGHT if score > 0.3 else NONE, route=0)
    high = drawn(300, lambda score, draw: RIGHT if score > 0.6 else NONE, seed=1, route=1)
    first, second, unknown = fit_outcomes([*low, *high], 3, 0.4).thresholds
    assert first < unknown < second
    assert second - first > 0.1


def test_missing_out_of_scope_queries_are_made_up():
    near, other = Nearest(0, 0.7, 0.4, 1, 0), Nearest(1, 0.4, 0.2, 1, 0)
    inside = [Labelled(near, other, 0)] * 10
    found = [*examples(inside, [other, None])]
    assert [each.outcome for each in found] == [RIGHT, NONE] * 10 + [NONE]
    assert sum(each.weight for each in found if each.nearest == other) == pytest.approx(2 * LEFT_OUT + 1)
    enough = [*inside, *[Labelled(other, other, -1)] * 2]
    assert not lacking([each.label for each in enough])
    assert [each.weight for each in examples(enough, [other])] == [1] * 12


def test_a_query_whose_right_route_was_not_compared_is_of_another_one():
    near = Nearest(0, 0.7, -1, 1, 0)
    found = [*examples([Labelled(near, near, 4), Labelled(None, None, 4)], [])]
    assert [each.outcome for each in found] == [OTHER, NONE]


@pytest.fixture(scope="module")
def domains(served):
    return ServedDomains(str(served), settings=ANYTHING)


@pytest.fixture
def router(domains):
    return DomainRouter.over(domains, KNOWN)


LABELLED = ([*TENANCY, *DRUGS, *NO_ROUTE], [*["tenancy"] * 3, *["drugs"] * 3, *[None] * 3])


def test_fitting_takes_effect_is_kept_and_can_be_applied_again(router, domains, tmp_path):
    before = Tuner(router).evaluate(*LABELLED)
    assert before.accuracy == pytest.approx(1 / 3)
    fitted = Tuner(router).fit(*LABELLED)
    after = Tuner(router).evaluate(*LABELLED)
    assert after.accuracy > before.accuracy
    assert {route.name: route.threshold for route in router.routes} == fitted.thresholds
    fitted.save(tmp_path / "fitted.json")
    again = DomainRouter.over(domains, KNOWN)
    Tuner(again).apply(Fitted.load(tmp_path / "fitted.json"))
    assert Tuner(again).evaluate(*LABELLED).accuracy == after.accuracy
    assert [path.name for path in tmp_path.iterdir() if "fitted" in path.name] == ["fitted.json"]


def test_a_route_that_is_removed_and_added_again_has_nothing_of_the_old_one(router):
    Tuner(router).fit(*LABELLED)
    router.remove_route("tenancy")
    assert "tenancy" not in router.scores([TENANCY[0]])[0]
    again = Route(name="tenancy", utterances=("the moon is made of cheese",), threshold=0.123)
    router.add_routes([again])
    assert [route for route in router.routes if route.name == "tenancy"] == [again]
    same, old = router.scores(["the moon is made of cheese", TENANCY[0]])
    assert same["tenancy"] == pytest.approx(1, abs=1e-5)
    assert old["tenancy"] < 0.99


def test_a_router_says_how_sure_it_is(router):
    assert all(0 < decision.confidence < 1 for decision in router.route_many(LABELLED[0]))
    Tuner(router).fit(*LABELLED)
    assert all(0 < decision.confidence < 1 for decision in router.route_many(LABELLED[0]))
    assert router.route("").confidence == 1
    evaluation = Tuner(router).evaluate(*LABELLED)
    assert 0 <= evaluation.calibration_error <= 1
    json.dumps(evaluation.to_dict())


def test_what_was_fitted_is_refused_for_other_models_or_settings(router, tmp_path):
    fitted = Tuner(router).fit(*LABELLED)
    for changed in ({"aggregation": "mean"}, {"strategy": "ensemble"}, {"top_k": 2}):
        other = DomainRouter.over(router.served_domains, KNOWN, ANYTHING.replace(**changed))
        with pytest.raises(FittedError, match=f"another {next(iter(changed))} than"):
            Tuner(other).apply(fitted)
    newer = fitted.model_copy(update={"made_for": {**fitted.made_for, "model of legal": "0" * 64}})
    with pytest.raises(FittedError, match="another model of legal than"):
        Tuner(router).apply(newer)
    for content in ("", "{}", '{"thresholds": {}, "confidence": [], "made_for": {}}'):
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
def test_wrong_labels_are_told(router, queries, labels, expected):
    for call in (Tuner(router).fit, Tuner(router).evaluate):
        with pytest.raises(QueryError, match=expected):
            call(queries, labels)


COPIES = ["PILLS and\u00a0tablets", "ｒｅｎｔ and landlords", "is aspirin safe with wine"]
"""Utterances in other forms."""


def test_queries_that_are_utterances_are_left_out_and_counted(router, domains, caplog):
    queries, labels = [*COPIES, *LABELLED[0]], ["drugs", "tenancy", "drugs", *LABELLED[1]]
    fitted = Tuner(router).fit(queries, labels)
    assert "3 of 12 queries are utterances of routes" in caplog.text
    assert fitted == Tuner(DomainRouter.over(domains, KNOWN)).fit(*LABELLED)
    found = Tuner(router).evaluate(queries, np.array(labels))
    assert (found.queries, found.utterances) == (9, 3)
    assert replace(found, utterances=0) == Tuner(router).evaluate(*LABELLED)


def test_utterances_are_used_where_there_are_no_other_queries(router):
    labels = ["drugs", "tenancy", "drugs"]
    assert set(Tuner(router).fit(COPIES, labels).thresholds) == {"drugs", "tenancy"}
    found = Tuner(router).evaluate(COPIES, labels)
    assert (found.queries, found.utterances) == (3, 0)


def test_figures_are_of_the_decisions(router):
    decision = replace(router.route(TENANCY[0]), route="a")
    given = [("a", 0.9), ("a", 0.8), (None, 0.1), ("b", 0.7), (None, None)]
    decisions = [replace(decision, query=str(i), route=route, score=score) for i, (route, score) in enumerate(given)]
    found = evaluate_routes(decisions, ["a", "b", "b", None, None])
    assert (found.queries, found.accuracy) == (5, 2 / 5)
    assert (found.in_scope_accuracy, found.out_of_scope_recall) == (1 / 3, 1 / 2)
    by_route = {each.route: each for each in found.routes}
    assert (by_route["a"].precision, by_route["a"].recall, by_route["a"].predicted) == (1 / 2, 1, 2)
    assert (by_route["b"].precision, by_route["b"].recall, by_route["b"].queries) == (0, 0, 2)
    assert [mistake.query for mistake in found.mistakes] == ["1", "3", "2"]


def test_mistakes_without_a_score_come_last(router):
    decision = replace(router.route(TENANCY[0]), route=None)
    scores = [None, 0.2, None, 0.9]
    decisions = [replace(decision, query=str(i), score=score) for i, score in enumerate(scores)]
    found = evaluate_routes(decisions, ["tenancy"] * 4)
    assert [mistake.query for mistake in found.mistakes] == ["3", "1", "0", "2"]


@pytest.mark.parametrize("strategy", ["two_stage", "ensemble", "adaptive", "single"])
def test_an_explanation_says_what_led_to_the_decision(domains, strategy):
    router = DomainRouter.over(domains, KNOWN, ANYTHING.replace(threshold=0.1, strategy=strategy))
    found = explain(router, TENANCY[0])
    assert found.decision.route == router.route(TENANCY[0]).route
    assert found.threshold == 0.1 if strategy == "single" else found.threshold >= 0.1
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


def test_an_explanation_of_nothing_is_no_error(router):
    assert explain(router, "").nearest == []
    bare = DomainRouter.over(router.served_domains, [])
    found = explain(bare, TENANCY[0])
    assert (found.nearest, found.threshold) == ([], None)
    assert found.evidence is not None


def test_an_explanation_tells_as_many_candidates_as_were_asked_for(router):
    five = explain(router, TENANCY[0])
    for limit in (0, 1):
        found = explain(router, TENANCY[0], limit)
        assert (found.nearest, found.nearest_in_general) == (five.nearest[:limit], five.nearest_in_general[:limit])
        assert found.threshold == five.threshold is not None
    with pytest.raises(QueryError, match="`limit` -1: expected at least 0"):
        explain(router, TENANCY[0], -1)


def test_features_add_up_to_the_margin(router):
    classifier = router.classifier
    text = "can my landlord keep the deposit of the flat"
    stage = classifier._classifier._lexical
    whole = stage.measure(text)[0] - stage._heads.offsets
    added = sum(stage.contributions(text).values())
    np.testing.assert_allclose(added, whole, atol=1e-3)
    assert GENERAL in classifier.domains

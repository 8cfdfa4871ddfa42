"""The router as one of semantic-router's own: calls, thresholds, calibration, changes of routes, Chain and Merge."""

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("semantic_router")

from semantic_router import Route as HostRoute
from semantic_router.calibration import Calibrator
from semantic_router.routers import Chain, IndexedRouter, Merge

from router_plugin import DomainRouter, QueryError, Route, RoutesError
from router_plugin.hosts.semantic_router import DOMAIN, DomainRoutedRouter

from .samples import KNEE, LABELLED, RENT, SURE, Letters, host_routes


@pytest.fixture(scope="module")
def _hosted(served):
    return DomainRoutedRouter(host_routes(), str(served), settings=SURE)


@pytest.fixture
def hosted(_hosted):
    """The routed router with three routes and no calibration; what a test changes is undone."""
    yield _hosted
    _hosted.calibrator, _hosted.confidence_threshold, _hosted._fit_data = None, None, None
    _hosted.routes = []
    _hosted.add(host_routes())


def test_a_call_picks_the_route_that_our_own_router_picks(hosted, served):
    routes = [Route(name="rent", domain="legal", utterances=(RENT, "the heating in my flat is broken"))]
    own = DomainRouter(routes, str(served), settings=SURE).route(RENT)
    choice = hosted(RENT)
    assert (choice.name, choice.calibrated) == ("rent", False)
    assert choice.confidence == pytest.approx(own.score, abs=1e-4) == pytest.approx(1, abs=1e-4)


def test_an_awaited_call_and_a_call_inside_a_running_loop_agree(hosted):
    async def ask():
        return await hosted.acall(KNEE), hosted(KNEE), await asyncio.gather(*(hosted.acall(q) for q, _ in LABELLED))

    awaited, called, gathered = asyncio.run(ask())
    assert awaited.name == called.name == hosted(KNEE).name
    assert awaited.confidence == pytest.approx(called.confidence, abs=1e-4)
    assert [choice.name for choice in gathered] == [hosted(query).name for query, _ in LABELLED]


def test_every_compared_route_has_its_score_and_one_of_another_domain_is_no_choice(hosted):
    choices = hosted(RENT, limit=None)
    scores = {choice.name: choice.confidence for choice in choices}
    assert set(scores) == {"rent", "human"}
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert hosted(RENT, limit=None, threshold=-1) == choices


def test_limit_and_threshold_are_the_hosts(hosted):
    assert [choice.name for choice in hosted(RENT, limit=2)] == ["rent", "human"]
    assert [choice.name for choice in hosted(RENT, limit=None, threshold=0.999)] == ["rent"]
    assert hosted("something unheard of", threshold=1.1).name is None


def test_the_threshold_of_a_route_comes_before_the_routers(hosted):
    hosted.confidence_threshold = 2.0
    assert hosted(RENT).name is None
    hosted.remove("rent")
    hosted.add(HostRoute(name="rent", utterances=["deposit"], metadata={DOMAIN: "legal"}, confidence_threshold=-1.0))
    assert hosted(RENT).name == "rent"


@pytest.mark.parametrize("query", ["", " \n", "\u200b", "👎", "ขอเพิ่มวงเงิน"])
@pytest.mark.parametrize("threshold", [None, -1.0])
def test_a_query_in_which_there_is_nothing_to_compare_gets_no_name(hosted, query, threshold):
    assert hosted(query, limit=None, threshold=threshold) == []
    choice = hosted(query, threshold=threshold)
    assert (choice.name, choice.confidence) == (None, None)
    assert asyncio.run(hosted.acall(query, threshold=threshold)) == choice


def test_a_query_of_a_domain_without_routes_gets_no_name(hosted):
    hosted.remove("human")
    hosted.remove("rent")
    assert hosted.domain_router.route(RENT).reason == "the domain has no routes"
    for threshold in (None, -1.0):
        assert hosted(RENT, threshold=threshold).name is None


def test_without_a_threshold_that_of_the_settings_holds_until_confidences_are_probabilities(served):
    settings = SURE.replace(threshold=0.999)
    hosted = DomainRoutedRouter(iter(host_routes()), Path(served), settings=settings)
    near = "my landlord wants to keep all of the deposit"
    assert (hosted(RENT).name, hosted(near).name) == ("rent", None)
    assert hosted(near, threshold=-1).name is not None
    assert hosted.domain_router.route(near).route is None
    hosted.fit(*zip(*LABELLED, strict=True))
    assert hosted(near).name is not None and hosted(near).calibrated
    hosted.close()


def test_equal_texts_reach_a_threshold_of_one(hosted):
    for route in host_routes():
        for utterance in route.utterances:
            choice = hosted(utterance, threshold=1)
            assert (choice.name, choice.confidence) in ((route.name, 1), (None, None))
    assert hosted(RENT, threshold=1).name == "rent"


def test_one_shot_iterables_are_read_once(hosted):
    queries, labels = map(list, zip(*LABELLED, strict=True))
    expected = hosted.fit(queries, labels)
    assert hosted.fit(iter(queries), (label for label in labels)) == expected
    assert hosted._fit_data[:2] == (queries, labels)
    assert hosted.evaluate(iter(queries), iter(labels)) == hosted.evaluate(queries, labels)
    hosted.add(HostRoute(name=name, utterances=["x"]) for name in ("one", "two"))
    assert {"one", "two"} <= {route.name for route in hosted.domain_router.routes}


def test_what_is_no_query_no_label_and_no_route_is_named(hosted):
    with pytest.raises(QueryError, match="`query` must be text, not NoneType"):
        hosted(None)
    with pytest.raises(QueryError, match=r"`X\[1\]` must be text, not float \(a missing value\)"):
        hosted.fit([RENT, float("nan")], ["rent", None])
    with pytest.raises(QueryError, match=r"`y\[1\]` must be text, not float .*None stands for no route"):
        hosted.fit([RENT, KNEE], ["rent", float("nan")])
    with pytest.raises(QueryError, match="one label for every query: 2 queries, 1 labels"):
        hosted.evaluate([RENT, KNEE], ["rent"])
    with pytest.raises(QueryError, match="not one text"):
        hosted.evaluate(RENT, ["rent"])
    for wrong in ([Route(name="a", utterances=("x",))], "routes.yaml", {"name": "a"}, 5, [None]):
        with pytest.raises(RoutesError, match="semantic_router"):
            hosted.add(wrong)
        with pytest.raises(RoutesError, match="semantic_router"):
            DomainRoutedRouter(wrong)
    assert [route.name for route in hosted.routes] == ["rent", "symptoms", "human"]


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_fit_calibrates_and_evaluate_counts(hosted, method):
    queries, labels = map(list, zip(*LABELLED, strict=True))
    names = [hosted(query).name for query in queries]
    report = hosted.fit(queries, labels, method)
    right = sum(name == label for name, label in zip(names, labels, strict=True)) / len(labels)
    assert (report.method, report.n) == (method, len(queries))
    assert report.accuracy == pytest.approx(right) == pytest.approx(hosted.evaluate(queries, labels))
    choice = hosted(RENT)
    assert choice.calibrated and 0 <= choice.confidence <= 1
    assert [hosted(query).name for query in queries] == names


def test_routes_added_and_removed_take_part_at_once_and_refit_the_calibrator(hosted):
    queries, labels = map(list, zip(*LABELLED, strict=True))
    hosted.fit(queries, labels)
    before = hosted.calibrator
    hosted.add(HostRoute(name="eviction", utterances=["they threw me out"], metadata={DOMAIN: "legal"}))
    assert hosted.calibrator is not None and hosted.calibrator is not before
    assert {choice.name for choice in hosted(RENT, limit=None)} == {"rent", "human", "eviction"}
    hosted.remove("eviction")
    hosted.remove("rent")
    assert hosted(RENT).name != "rent"
    assert {choice.name for choice in hosted(RENT, limit=None)} == {"human"}
    assert {route.name for route in hosted.domain_router.routes} == {"symptoms", "human"}


@pytest.mark.parametrize(
    "bad",
    [
        HostRoute(name="stars", utterances=["x"], metadata={DOMAIN: "astrology"}),
        HostRoute(name="rent", utterances=["x"]),
        HostRoute(name="empty", utterances=[]),
        HostRoute(name="number", utterances=[5]),
        HostRoute(name="odd", utterances=["x"], metadata={DOMAIN: 5}),
    ],
    ids=lambda route: route.name,
)
def test_a_route_that_cannot_be_added_leaves_the_others_as_they_were(hosted, bad):
    with pytest.raises(RoutesError, match=bad.name):
        hosted.add([HostRoute(name="fine", utterances=["y"]), bad])
    assert [route.name for route in hosted.routes] == ["rent", "symptoms", "human"]
    assert hosted(RENT).name == "rent"
    hosted.add(HostRoute(name="fine", utterances=["y"]))
    assert "fine" in {choice.name for choice in hosted(RENT, limit=None)}


def test_a_router_without_a_route_answers_nothing(hosted):
    for name in ("rent", "symptoms", "human"):
        hosted.remove(name)
    assert hosted(RENT).name is None
    assert hosted(RENT, limit=None) == []


def test_a_chain_falls_through_to_another_of_its_routers(hosted):
    letters = IndexedRouter(Letters(), host_routes())
    hosted.confidence_threshold = 0.999
    chain = Chain([hosted, letters])
    assert chain(RENT).name == "rent"
    other = "let me talk to a real persona"
    assert chain(other).confidence == pytest.approx(letters(other).confidence)
    letters.confidence_threshold = 2.0
    assert Chain([letters, hosted])(RENT).confidence == pytest.approx(hosted(RENT).confidence, abs=1e-4)


def test_a_merge_takes_the_mean_with_another_of_its_routers(hosted):
    letters = IndexedRouter(Letters(), host_routes())
    merged = Merge([hosted, letters], weights=[3, 1])
    ours = asyncio.run(hosted._scores(RENT))
    theirs = {choice.name: choice.confidence for choice in letters(RENT, limit=None)}
    for choice in merged(RENT, limit=None):
        expected = (3 * ours.get(choice.name, 0) + theirs[choice.name]) / 4
        assert choice.confidence == pytest.approx(expected, abs=1e-4)
    assert asyncio.run(merged.acall(RENT)).name == "rent"


@pytest.mark.parametrize("query", ["", "👎", RENT])
def test_chains_and_merges_never_answer_a_route_that_was_not_compared(hosted, query):
    for name in ("human", "rent"):
        hosted.remove(name)  # what is left belongs to another domain than the query
    for router in (Chain([hosted]), Merge([hosted]), Chain([Merge([hosted, hosted]), hosted])):
        assert router(query).name is None
        assert asyncio.run(router.acall(query, threshold=-1)).name is None
        assert all(choice.name is None for choice in router(query, limit=None))
    letters = IndexedRouter(Letters(), host_routes())
    hosted.calibrator = Calibrator("platt", {"a": [1.0], "b": [0.0]})  # with which there is no threshold
    for router in (Chain([hosted, letters]), Merge([hosted, letters])):
        assert router(RENT).name == "rent"


def test_a_query_that_nothing_is_compared_with_teaches_the_calibrator_nothing(hosted):
    queries, labels = map(list, zip(*LABELLED, strict=True))
    report = hosted.fit(queries, labels)
    params = hosted.calibrator.params
    again = hosted.fit([*queries, "", "👎"], [*labels, None, None])
    assert (again, hosted.calibrator.params) == (report, params)
    assert hosted._fit_data[0] == [*queries, "", "👎"]
    assert hosted.fit([*queries, ""], [*labels, "rent"]).accuracy < report.accuracy

"""The two-stage router: what a decision says, which routes may win, odd queries, threads, and changes while it runs."""

import asyncio
import json
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import cycle, islice
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from registry import GENERAL, DamagedArtifactError, Registry
from router_plugin import (
    Classification,
    Decision,
    DomainRouter,
    QueryError,
    Route,
    RoutesError,
    Settings,
    SettingsError,
    hookimpl,
)
from router_plugin.plugins.manager import Plugins
from tests.conftest import EXAMPLES
from training import publish

LEGAL, MEDICAL, FINANCE = (
    json.loads((EXAMPLES / "data" / f"{domain}.jsonl").read_text(encoding="utf-8").partition("\n")[0])["question"]
    for domain in ("legal", "medical", "finance")
)
EVERYDAY = "tell me a joke about penguins"
QUERIES = (LEGAL, MEDICAL, FINANCE, EVERYDAY, "", "please get me a human")


def outcome(decision):
    """What two runs must agree on: everything but the clock, floats to float32's precision."""
    fields = asdict(decision)
    del fields["timings_ms"]
    fields["score"] = None if decision.score is None else pytest.approx(decision.score, abs=1e-4)
    fields["domains"] = pytest.approx(decision.domains, abs=1e-4)
    fields["confidence"] = pytest.approx(decision.confidence, abs=1e-3)
    return fields


def plain(decision):
    return asdict(decision) | {"timings_ms": None}


@pytest.fixture
def sure(make_router):
    """A router that takes the classifier's best domain however unsure it is."""
    return make_router(min_confidence=0.0)


def test_a_decision_says_how_it_came_about(sure):
    decision = sure.route(LEGAL)
    assert isinstance(decision, Decision)
    assert (decision.query, decision.domain, decision.model_version) == (LEGAL, "legal", "legal@1")
    assert decision.route in {route.name for route in sure.routes if route.domain in ("legal", None)}
    assert -1 <= decision.score <= 1
    assert decision.truncated is False and decision.reason is None
    assert json.loads(json.dumps(decision.to_dict())) == asdict(decision)


def test_probabilities_name_every_domain_and_sum_to_one(router):
    for decision in router.route_many(QUERIES):
        assert set(decision.domains) == {GENERAL, "finance", "legal", "medical"} == set(router.domains)
        assert sum(decision.domains.values()) == pytest.approx(1)
        assert all(0 <= value <= 1 for value in decision.domains.values())


def test_the_likeliest_domain_is_chosen(sure):
    for decision, domain in zip(
        sure.route_many([LEGAL, MEDICAL, FINANCE]), ("legal", "medical", "finance"), strict=True
    ):
        assert decision.domain == domain == max(decision.domains, key=decision.domains.get)


def test_timings_of_every_stage_are_there(router):
    for decision in (router.route(LEGAL), *router.route_many(QUERIES)):
        assert set(decision.timings_ms) == {"classify", "load", "encode", "match", "total"}
        assert all(value >= 0 for value in decision.timings_ms.values())
        assert decision.timings_ms["total"] >= decision.timings_ms["classify"]


def test_a_route_of_another_domain_is_never_chosen(sure):
    sure.set_routes(
        [
            Route(name="wrong", domain=["medical", "finance"], utterances=(LEGAL,), threshold=-1),
            Route(name="right", domain="legal", utterances=("something else entirely",), threshold=-1),
        ]
    )
    assert sure.route(LEGAL).route == "right"
    sure.set_routes([Route(name="wrong", domain=["medical", "finance"], utterances=(LEGAL,), threshold=-1)])
    decision = sure.route(LEGAL)
    assert (decision.domain, decision.route, decision.score) == ("legal", None, None)
    assert decision.reason == "the domain has no routes"


def test_a_route_without_a_domain_may_win_in_every_domain(sure):
    sure.set_routes([Route(name="human", utterances=("person",), threshold=-1)])
    decisions = sure.route_many([LEGAL, MEDICAL, FINANCE, EVERYDAY])
    assert {decision.domain for decision in decisions} == {"legal", "medical", "finance", GENERAL}
    assert {decision.route for decision in decisions} == {"human"}


def test_a_route_of_several_domains_may_win_in_these_alone(sure):
    sure.set_routes([Route(name="adviser", domain=["legal", "finance"], utterances=("person",), threshold=-1)])
    found = {decision.domain: decision.route for decision in sure.route_many([LEGAL, MEDICAL, FINANCE, EVERYDAY])}
    assert found == {"legal": "adviser", "finance": "adviser", "medical": None, GENERAL: None}


def test_a_query_of_low_confidence_goes_to_general(make_router, tiny_base):
    decision = make_router(min_confidence=1.0).route(LEGAL)
    assert decision.domain == GENERAL
    assert decision.model_version == str(tiny_base.path)
    assert max(decision.domains, key=decision.domains.get) == "legal"


def test_the_threshold_of_a_route_comes_before_the_routers(sure, make_router):
    near, far = "can my landlord keep my deposit", "penguins"
    routes = [Route(name="near", utterances=(near,)), Route(name="far", utterances=(far,))]
    sure.set_routes(routes)
    scores = sure.scores([LEGAL])[0]
    assert scores["near"] > scores["far"]
    between = (scores["near"] + scores["far"]) / 2
    lenient, strict = (make_router(min_confidence=0.0, threshold=value) for value in (between, 1.0))
    for other in (lenient, strict):
        other.set_routes(routes)
    assert lenient.route(LEGAL).route == "near"
    decision = strict.route(LEGAL)
    assert decision.route is None and decision.reason == "no route is near enough"
    assert decision.score == pytest.approx(scores["near"], abs=1e-4)
    strict.set_routes([routes[0], routes[1].model_copy(update={"threshold": -1.0})])
    decision = strict.route(LEGAL)
    assert (decision.route, decision.score) == ("far", pytest.approx(scores["far"], abs=1e-4))


def test_the_score_is_the_cosine_that_the_registered_model_gives(sure, served):
    store = Registry.open(str(served))
    utterances = [text for route in sure.routes if route.domain in ("legal", None) for text in route.utterances]
    model = SentenceTransformer(str(store.fetch(store.get("legal"))), device="cpu")
    store.close()
    query, *rest = (np.float64(vector) for vector in model.encode([LEGAL, *utterances]))
    cosines = [float(query @ other / np.linalg.norm(query) / np.linalg.norm(other)) for other in rest]
    assert sure.route(LEGAL).score == pytest.approx(max(cosines), abs=1e-4)


def test_scores_are_those_of_the_compared_routes_and_of_no_others(sure):
    (scores,) = sure.scores([LEGAL])
    assert set(scores) == {route.name for route in sure.routes if route.domain in ("legal", None)}
    assert max(scores.values()) == pytest.approx(sure.route(LEGAL).score, abs=1e-6)
    assert sure.scores([""]) == [{}]


def test_a_batch_decides_like_single_queries(router):
    assert [plain(decision) for decision in router.route_many(QUERIES)] == [
        outcome(router.route(query)) | {"timings_ms": None} for query in QUERIES
    ]
    assert router.route_many([]) == []
    assert router.scores([]) == []


def test_async_decides_like_sync(router):
    async def ask():
        return [await router.aroute(LEGAL), *await router.aroute_many(QUERIES[1:])]

    expected = [outcome(decision) | {"timings_ms": None} for decision in router.route_many(QUERIES)]
    assert [plain(decision) for decision in asyncio.run(ask())] == expected


def test_async_leaves_the_event_loop_free(tmp_path, tiny_base):
    released = threading.Event()

    class Patient:
        @hookimpl
        def before_route(self, query):
            assert released.wait(30), "the event loop did not run while a query was routed"

        @hookimpl
        def domain_classifier(self):
            return AlwaysGeneral()

    class AlwaysGeneral:
        domains = (GENERAL,)
        thresholds = MappingProxyType({})

        def classify(self, queries):
            return Classification(np.ones((len(queries), 1)))

    listeners = Plugins()
    listeners.register(Patient(), "patient")
    routes = [Route(name="human", utterances=("call me",))]
    router = DomainRouter(routes, str(tmp_path), base_model=str(tiny_base.path), plugin_manager=listeners)

    async def ask():
        routing = asyncio.create_task(router.aroute("please call me"))
        asyncio.get_running_loop().call_later(0.01, released.set)
        return await routing

    assert asyncio.run(ask()).route == "human"


def test_an_embedding_that_the_classifier_made_is_not_made_again(tmp_path, tiny_base):
    encoded = []

    class Recorder:
        nbytes = 0

        def encode(self, texts):
            encoded.extend(texts)
            return np.ones((len(texts), 1), dtype=np.float32)

        def truncates(self, text):
            return False

        def key(self, text):
            return text

    class Embedding:
        domains = (GENERAL,)
        thresholds = MappingProxyType({})

        def classify(self, queries):
            return Classification(np.ones((len(queries), 1)), {0: np.float32([-1])})

    class Parts:
        @hookimpl
        def encoder(self):
            return Recorder()

        @hookimpl
        def domain_classifier(self):
            return Embedding()

    listeners = Plugins()
    listeners.register(Parts(), "parts")
    routes = [Route(name="human", utterances=("call me",))]
    router = DomainRouter(routes, str(tmp_path), base_model=str(tiny_base.path), plugin_manager=listeners)
    first, second = router.route_many(["known already", "not yet known"])
    assert (first.score, second.score) == (-1, 1)
    assert encoded.count("not yet known") == 1 and "known already" not in encoded


def test_a_query_that_may_be_of_two_domains_names_both(tmp_path, tiny_models, tiny_base):
    class Torn:
        domains = (GENERAL, "legal", "medical")
        thresholds = MappingProxyType({"legal": 0.5})

        def classify(self, queries):
            rows = {"both": [0.1, 0.6, 0.3], "doubtful": [0.3, 0.45, 0.25]}
            return Classification(np.array([rows[query] for query in queries]))

    class Parts:
        @hookimpl
        def domain_classifier(self):
            return Torn()

    store = Registry.open(str(tmp_path))
    for domain in ("legal", "medical"):
        publish(tiny_models[domain], store, force=True)
    listeners = Plugins()
    listeners.register(Parts(), "parts")
    settings = Settings(strategy="two_stage", min_confidence=0.4)
    router = DomainRouter([], store, base_model=str(tiny_base.path), settings=settings, plugin_manager=listeners)
    both, doubtful = router.route_many(["both", "doubtful"])
    assert (both.domain, both.secondary_domains) == ("legal", ["medical"])
    assert (doubtful.domain, doubtful.secondary_domains) == (GENERAL, ["legal", "medical"])


def test_eight_threads_get_the_answers_of_one(router):
    expected = {query: outcome(router.route(query)) | {"timings_ms": None} for query in QUERIES}
    asked = list(islice(cycle(QUERIES), 8 * 12))
    with ThreadPoolExecutor(8) as pool:
        for query, decision in zip(asked, pool.map(router.route, asked), strict=True):
            assert plain(decision) == expected[query]


def test_queries_that_differ_where_nobody_reads_them_are_not_told_apart_and_say_so(sure):
    start = "the landlord keeps the deposit of the tenant " * 12
    one, other = sure.route_many([f"{start} and asks for the deposit", f"{start} and asks about aspirin"])
    assert one.score == pytest.approx(other.score, abs=1e-4)
    assert (one.truncated, other.truncated) == (True, True)


@pytest.mark.parametrize("query", ["", " ", "\t\n ", "\u2003"])
def test_an_empty_or_blank_query_gets_no_route(router, query):
    decision = router.route(query)
    assert (decision.query, decision.route, decision.score, decision.domain) == (query, None, None, GENERAL)
    assert decision.reason == "the query is empty"
    assert not decision.truncated


def test_a_query_of_too_many_characters_is_cut_and_says_so(make_router):
    router = make_router(max_query_characters=len(LEGAL), min_confidence=0)
    exact, longer = router.route(LEGAL), router.route(LEGAL + " and what about the heating?")
    assert (exact.truncated, longer.truncated) == (False, True)
    assert (longer.route, longer.domain) == (exact.route, exact.domain)
    assert longer.score == pytest.approx(exact.score, abs=1e-4)


def test_a_query_of_too_many_tokens_says_that_its_end_was_cut_off(sure):
    assert sure.route("deposit " * 60).truncated is False
    assert sure.route("deposit " * 70).truncated is True
    assert sure.route("a" * 65).truncated is False


def test_a_query_whose_characters_make_several_tokens_each_says_that_it_was_cut_off(sure):
    query = "한국어 " * 12  # 48 characters, 86 or more tokens of 64
    assert sure.route(query).truncated is True


@pytest.mark.parametrize("query", [None, 5, b"text", ["text"], float("nan")])
def test_a_query_that_is_not_text_is_refused(router, query):
    with pytest.raises(QueryError, match=f"must be text, not {type(query).__name__}"):
        router.route(query)
    with pytest.raises(QueryError):
        router.route_many([LEGAL, query])
    with pytest.raises(TypeError):
        router.scores([query])


def test_one_text_in_place_of_a_batch_is_refused(router):
    with pytest.raises(QueryError):
        router.route_many("hello")


@settings(max_examples=20)
@given(st.text(st.characters(), max_size=80))
@example("\x00")
@example("a\x00b")
@example("\ud800")
@example("deposit \udcff kept")
@example("\u202e\u200b\u0301\U0001f9d1\u200d\U0001f692")
@example("ﷺ" * 30)
def test_any_text_is_decided(router, query):
    decision = router.route(query)
    assert decision.query == query
    assert (decision.route is None) == (decision.reason is not None)
    assert decision.score is None or math.isfinite(decision.score)
    assert sum(decision.domains.values()) == pytest.approx(1)


def test_a_router_without_routes_decides_the_domain(sure):
    sure.set_routes([])
    decision = sure.route(LEGAL)
    assert (decision.domain, decision.route, decision.score) == ("legal", None, None)
    assert decision.reason == "the domain has no routes"
    assert sure.scores([LEGAL]) == [{}]


def test_a_router_without_domains_routes_by_the_base_model(tmp_path, tiny_base):
    routes = [Route(name="human", utterances=("let me talk to a person",))]
    router = DomainRouter(routes, str(tmp_path / "registry"), base_model=str(tiny_base.path))
    decision = router.route("let me talk to a person")
    assert (decision.route, decision.domain, decision.domains) == ("human", GENERAL, {GENERAL: pytest.approx(1)})
    assert decision.score == pytest.approx(1, abs=1e-4)
    assert decision.model_version == str(tiny_base.path)


def test_a_route_of_an_unregistered_domain_is_refused_naming_the_registered_ones(router):
    before = router.routes
    with pytest.raises(RoutesError, match=r"'stars'.*'astrology'.*general, finance, legal, medical"):
        router.set_routes([Route(name="stars", domain="astrology", utterances=("x",))])
    with pytest.raises(RoutesError, match="duplicate route name 'a'"):
        router.set_routes([Route(name="a", utterances=("x",))] * 2)
    assert router.routes == before


def test_routes_from_a_path_and_from_python_are_the_same(served, router, tmp_path):
    path = tmp_path / "routes.yaml"
    path.write_text("routes:\n  - name: rent\n    domain: legal\n    utterances: [deposit]\n", encoding="utf-8")
    assert DomainRouter(str(path), str(served)).routes == (Route(name="rent", domain="legal", utterances=("deposit",)),)


def test_a_new_router_serves_what_is_the_champion_now(published, registry, tiny_models):
    publish(tiny_models["legal"], registry, force=True)
    settings = Settings(min_confidence=0, target_precision=0)

    def start():
        return DomainRouter([Route(name="any", utterances=("x",))], registry, settings=settings)

    running = start()
    assert running.route(LEGAL).model_version == "legal@1"
    registry.promote("legal")
    assert start().route(LEGAL).model_version == "legal@2"
    assert running.route(LEGAL).model_version == "legal@1"
    registry.rollback("legal")
    assert start().route(LEGAL).model_version == "legal@1"


def test_a_damaged_artifact_is_refused_at_the_start(tmp_path, tiny_models):
    store = Registry.open(str(tmp_path / "registry"))
    version = publish(tiny_models["legal"], store, force=True)
    (store.fetch(version) / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DamagedArtifactError, match=r"config\.json"):
        DomainRouter([], store)
    store.close()


ONE = [Route(name=f"one-{name}", utterances=(text,), threshold=-1) for name, text in (("a", LEGAL), ("b", MEDICAL))]
TWO = [Route(name=f"two-{name}", utterances=(text,), threshold=-1) for name, text in (("a", MEDICAL), ("b", FINANCE))]


@pytest.mark.slow
def test_routes_replaced_while_others_route_never_mix(sure):
    expected = {}
    for routes in (ONE, TWO):
        sure.set_routes(routes)
        for query in (LEGAL, MEDICAL, FINANCE, EVERYDAY):
            decision = sure.route(query)
            expected.setdefault(query, {})[decision.route] = decision.score
    done = threading.Event()

    def replace_them():
        for routes in islice(cycle((ONE, TWO)), 30):
            sure.set_routes(routes)
            sure.route(EVERYDAY)
        done.set()

    def ask():
        seen = []
        while not done.is_set():
            seen += sure.route_many(list(expected))
        return seen

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        pool.submit(replace_them).result()
        decisions = [decision for asked in asking for decision in asked.result()]
    for decision in decisions:
        assert decision.score == pytest.approx(expected[decision.query][decision.route], abs=1e-4)


@pytest.mark.slow
def test_scores_while_routes_are_replaced_are_of_one_set_of_routes(sure):
    names = [{route.name for route in routes} for routes in (ONE, TWO)]
    sure.set_routes(ONE)
    done = threading.Event()

    def replace_them():
        for routes in islice(cycle((TWO, ONE)), 30):
            sure.set_routes(routes)
            sure.route(EVERYDAY)
        done.set()

    def ask():
        seen = []
        while not done.is_set():
            seen += sure.scores([LEGAL, EVERYDAY])
        return seen

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        pool.submit(replace_them).result()
        for asked in asking:
            for scores in asked.result():
                assert set(scores) in names


def test_two_threads_that_set_routes_leave_one_set_in_every_domain(sure):
    halfway, second_done = threading.Event(), threading.Event()

    class Halting(str):
        """A domain's name that holds its caller up, once, while the routes are checked."""

        __hash__ = str.__hash__

        def __eq__(self, other):
            if other == "finance" and not halfway.is_set():
                halfway.set()
                second_done.wait(0.3)
            return str(self) == other

    halting = Route.model_construct(name="one-c", domain=Halting("legal"), utterances=("lease",), threshold=-1.0)

    def second():
        halfway.wait(30)
        sure.set_routes(TWO)
        second_done.set()

    with ThreadPoolExecutor(2) as pool:
        for task in [pool.submit(sure.set_routes, [*ONE, halting]), pool.submit(second)]:
            task.result()
    assert halfway.is_set()
    names = {route.name for route in sure.routes}
    for query in (LEGAL, MEDICAL, FINANCE, EVERYDAY):
        assert sure.route(query).route in names


def test_a_setting_that_took_effect_when_the_domains_were_opened_is_refused(served_domains):
    opened = served_domains.settings
    for name, value in (("target_precision", 0.5), ("backend", "torch"), ("device", "cpu"), ("query_cache", 0)):
        with pytest.raises(SettingsError, match=f"`{name}` {value!r} has no effect: the domains were opened with"):
            DomainRouter.over(served_domains, [], opened.replace(**{name: value}))
    assert DomainRouter.over(served_domains, [], opened.replace(threshold=0.5)).settings.threshold == 0.5


def test_known_domains_are_refused_where_one_encoder_serves_all(make_router):
    router = make_router(strategy="single")
    with pytest.raises(QueryError, match="`domains` cannot be used with strategy 'single'"):
        router.route_many([LEGAL], ["legal"])

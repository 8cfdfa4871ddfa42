"""Hybrid domains: the order by score and words together, and that every way to route keeps it."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import GENERAL, Registry
from router_plugin import DomainRouter, FittedError, Route, ServedDomains, Settings, Tuner, explain
from router_plugin.cosines import rounded
from router_plugin.hybrid import RouteWords, preferences
from router_plugin.serving.domain_routes import DomainRoutes
from router_plugin.serving.strategies import DomainChoice
from training import publish

CODES = [f"ሀ{number}" for number in (7713, 8204, 3391, 5520, 6047, 1186, 9932, 4475)]
"""Invented products. By their first letter they are one unknown token to the model."""
ROUTES = [
    Route(name=code, domain="legal", utterances=(f"warranty of the {code}", f"{code} does not switch on"))
    for code in CODES
]
OTHERS = [
    Route(name="pain", domain="medical", utterances=("my back hurts", f"{CODES[0]} against pain")),
    Route(name="hello", utterances=("good morning",)),
]
QUERIES = [f"{code} keeps blinking, what now?" for code in CODES]
SINGLE = Settings(strategy="single", single_domain="legal", threshold=-1, device="cpu")
SCORES = st.integers(1, 30).flatmap(
    lambda count: st.tuples(
        st.lists(st.floats(-1, 1), min_size=count, max_size=count).map(lambda found: rounded(np.array(found))),
        st.lists(st.sampled_from([0.0, 0.5, 1.5, 2.0]), min_size=count, max_size=count).map(np.array),
    )
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory, tiny_models):
    """A registry whose legal domain is hybrid, and whose medical one is not."""
    folder = tmp_path_factory.mktemp("hybrid") / "registry"
    with closing(Registry.open(str(folder))) as store:
        publish(tiny_models["legal"], store, force=True, hybrid=True)
        publish(tiny_models["medical"], store, force=True)
    return folder


@pytest.fixture(scope="module")
def make(registry, tiny_base):
    """A function that makes a router over these domains."""
    made = []

    def router(settings=SINGLE, routes=(*ROUTES, *OTHERS)):
        made.append(DomainRouter(routes, str(registry), base_model=tiny_base.path, settings=settings))
        return made[-1]

    yield router
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def hybrid(make):
    """One that asks the hybrid domain only."""
    return make()


@given(SCORES)
def test_the_order_is_that_of_the_reciprocal_ranks_of_score_and_words(given):
    scores, words = given
    rows = range(len(scores))
    by_score = sorted(rows, key=lambda row: (-scores[row], -words[row]))
    by_words = sorted(rows, key=lambda row: -words[row])

    def place(row):
        rank = by_score.index(row) + 1
        total = 1 / (60 + rank) + (1 / (61 + by_words.index(row)) if words[row] > 0 else 0)
        return scores[row] < 1, -round(total, 12), rank

    assert np.argsort(-preferences(scores, words), kind="stable").tolist() == sorted(rows, key=place)


@given(SCORES)
def test_without_words_in_common_the_order_is_that_of_the_scores(given):
    scores, words = given
    order = np.argsort(-preferences(scores, 0 * words), kind="stable")
    assert order.tolist() == np.argsort(-scores, kind="stable").tolist()


def test_routes_beyond_the_first_hundred_follow_by_score():
    scores = rounded(np.linspace(0.9, -0.9, 150))
    words = np.zeros(150)
    words[[120, 130]] = 3.0, 2.0
    order = np.argsort(-preferences(scores, words), kind="stable").tolist()
    # 1/61 of the best by words is that of the best by score, which wins; 1/62 likewise
    assert order[:4] == [0, 120, 1, 130]
    assert order[4:] == [row for row in range(2, 150) if row not in (120, 130)]


def test_a_route_has_the_words_of_its_best_utterance():
    words = RouteWords([Route(name="a", utterances=("red", "blue sea")), Route(name="b", utterances=("green",))])
    one, other = words.scores("the blue sea"), words.scores("blue")
    assert one[0] > other[0] > 0 and one[1] == other[1] == 0


def test_words_that_no_model_knows_decide_in_a_hybrid_domain_alone(make, hybrid, served):
    assert [decision.route for decision in hybrid.route_many(QUERIES)] == CODES
    with DomainRouter(ROUTES, str(served), settings=SINGLE) as by_model:
        right = [by_model.route(query).route == code for query, code in zip(QUERIES, CODES, strict=True)]
    assert sum(right) == 1  # all are alike to the model, which takes the first one


def test_the_score_stays_the_cosine_of_the_route_and_thresholds_hold_for_it(hybrid, make):
    scores = hybrid.scores(QUERIES)
    decisions = hybrid.route_many(QUERIES)
    assert [each.score for each in decisions] == [
        found[each.route] for found, each in zip(scores, decisions, strict=True)
    ]
    strict = make(SINGLE.replace(threshold=1.0))
    assert {each.route for each in strict.route_many(QUERIES)} == {None}
    exact = strict.route(f"warranty of the {CODES[3]}")
    assert (exact.route, exact.score) == (CODES[3], 1.0)


def test_a_route_may_be_chosen_that_is_not_the_nearest(make):
    text = f"an entirely different sentence about invoices, delivery and the return of {CODES[0]}"
    routes = [
        Route(name="near", domain="legal", utterances=("lamp broke",)),
        Route(name="words", domain="legal", utterances=(text,)),
    ]
    router = make(routes=routes)
    decision, (scored,) = router.route(f"lamps break {CODES[0]}"), router.examine([f"lamps break {CODES[0]}"])
    scores = scored.by_route()
    assert decision.route == "words" and decision.score == pytest.approx(scores["words"], abs=2e-6)
    assert scores["words"] < scores["near"]
    assert scored.nearest_route().next_score == scores["near"]


def test_a_route_below_its_threshold_leaves_the_decision_to_the_next(make):
    routes = [
        route.model_copy(update={"threshold": 1.0}) if route.name == CODES[0] else route for route in (*ROUTES, *OTHERS)
    ]
    router = make(routes=routes)
    ((first, _), (second, _)) = router.rank(QUERIES[:1], 2)[0]
    assert (first, router.route(QUERIES[0]).route) == (CODES[0], second)


def test_the_query_itself_comes_first_whatever_its_words(make):
    routes = [
        Route(name="exact", domain="legal", utterances=("alpha beta",)),
        *(Route(name=f"longer {row}", domain="legal", utterances=("alpha beta " * 3 + str(row),)) for row in range(9)),
    ]
    assert make(routes=routes).route("alpha beta").route == "exact"


@pytest.mark.parametrize("strategy", ["adaptive", "two_stage", "ensemble", "single"])
def test_a_batch_decides_like_single_queries(make, strategy):
    router = make(Settings(strategy=strategy, single_domain="legal", threshold=-1, device="cpu"))
    queries = [*QUERIES, f"{CODES[0]} hurts", "good morning", "", "my back hurts"]
    together = router.route_many(queries)
    assert [each.route for each in together] == [router.route(query).route for query in queries]
    assert [each[0][0] if each else None for each in router.rank(queries, 1)] == [each.route for each in together]


@given(st.lists(st.sampled_from([*CODES, "warranty", "does", "not", "pain", "morning", "42"]), max_size=6))
def test_any_batch_decides_like_single_queries(hybrid, words):
    queries = [" ".join(words), *QUERIES[:2], " ".join(reversed(words))]
    together, alone = hybrid.route_many(queries), [hybrid.route(query) for query in queries]
    assert [each.route for each in together] == [each.route for each in alone]
    for one, other in zip(together, alone, strict=True):
        assert one.score == pytest.approx(other.score, abs=2e-6)


def test_other_domains_are_ranked_by_their_model_alone(make):
    router = make(Settings(strategy="two_stage", threshold=-1, device="cpu"))
    legal, medical = (router.examine([f"{CODES[0]} against pain and more"], [name])[0] for name in ("legal", "medical"))
    assert legal.words is not None and medical.words is None
    assert medical.preferences is medical.scores
    assert router.state.words_for(DomainChoice({GENERAL: 1.0}, {})) is None


def test_where_domains_compete_the_likeliest_says_whether_words_count(make):
    state = make(Settings(strategy="adaptive", threshold=-1, device="cpu")).state
    several = DomainChoice({"legal": 1.0, "medical": 0.5, GENERAL: 0.4}, {})
    assert state.words_for(several) is state.served.for_one_encoder
    assert state.words_for(replace(several, weights={"medical": 1.0, "legal": 0.9})) is None
    assert state.words_for(DomainChoice({"legal": 1.0}, {})) is state.served.by_domain["legal"]


def test_another_domains_routes_do_not_change_the_words_of_a_sure_domain(make):
    settings = Settings(strategy="two_stage", threshold=-1, device="cpu")
    before, after = make(settings, ROUTES), make(settings, (*ROUTES, OTHERS[0]))
    one, other = (router.examine(QUERIES, ["legal"] * len(QUERIES)) for router in (before, after))
    assert [found.words.tolist() for found in one] == [found.words.tolist() for found in other]


def test_a_follow_up_is_looked_up_with_the_words_that_it_is_read_with(make, monkeypatch):
    looked_up, encoded = [], []
    word_scores, encode = DomainRoutes.word_scores, ServedDomains.encode

    def looking_up(self, text, positions):
        looked_up.append(text)
        return word_scores(self, text, positions)

    def encoding(self, pairs, known):
        encoded.extend(text for _, text in pairs)
        return encode(self, pairs, known)

    monkeypatch.setattr(DomainRoutes, "word_scores", looking_up)
    monkeypatch.setattr(ServedDomains, "encode", encoding)
    question = f"warranty of the {CODES[5]}"
    make().route("  and\tit? ", [{"role": "user", "content": question}])
    assert looked_up == encoded and len(encoded) == 2
    assert encoded[1].startswith(question)


def test_an_explanation_has_both_ranks(hybrid, make):
    found = explain(hybrid, QUERIES[2], limit=3)
    assert len(found.hybrid) == 3 and found.hybrid[0].route == found.decision.route == CODES[2]
    assert found.hybrid[0].rank_by_words == 1 and found.hybrid[0].score == found.decision.score
    assert {each.rank_by_words for each in found.hybrid[1:]} <= {None}
    assert json.loads(json.dumps(found.to_dict()))["hybrid"][0]["route"] == CODES[2]
    by_model = make(SINGLE.replace(single_domain="medical"))
    assert explain(by_model, QUERIES[2]).hybrid == []
    assert explain(hybrid, "").hybrid == []


def test_the_command_line_shows_both_ranks(cli, registry, tiny_base, tmp_path):
    file = tmp_path / "routes.json"
    file.write_text(json.dumps({"routes": [route.model_dump(exclude_none=True) for route in ROUTES]}), encoding="utf-8")
    status, out, _ = cli(
        *("route", QUERIES[2], "--routes", file, "--registry", registry, "--base-model", tiny_base.path, "--explain"),
        *("--strategy", "single", "--single-domain", "legal"),
    )
    assert status == 0 and "First routes by cosine and words together" in out and "rank by words" in out


def test_a_server_decides_likewise(hybrid, registry, tiny_base):
    import httpx

    from tests.router_plugin.server.conftest import running

    router = DomainRouter((*ROUTES, *OTHERS), str(registry), base_model=tiny_base.path, settings=SINGLE)
    wanted = [(each.route, each.score) for each in hybrid.route_many(QUERIES)]
    with running(router) as (url, _):
        batch = httpx.post(f"{url}/v1/route/batch", json={"queries": QUERIES}).json()["decisions"]
        single = [httpx.post(f"{url}/v1/route", json={"query": query}).json() for query in QUERIES]
        explained = httpx.post(f"{url}/v1/explain", json={"query": QUERIES[2]}).json()
    for found in (batch, single):
        assert [(each["route"], each["score"]) for each in found] == wanted
    assert explained["hybrid"][0]["rank_by_words"] == 1


def test_what_was_fitted_for_the_model_alone_is_not_used_for_a_hybrid(tiny_models, tmp_path, tiny_base):
    with closing(Registry.open(str(tmp_path / "registry"))) as store:
        publish(tiny_models["legal"], store, force=True)
        with DomainRouter(ROUTES, store, base_model=tiny_base.path, settings=SINGLE) as router:
            by_model = [each.route for each in router.route_many(QUERIES)]
            fitted = Tuner(router).fit(QUERIES, CODES)
            store.promote(publish(tiny_models["legal"], store, force=True, hybrid=True).name)
            reloaded = router.reload()
            assert reloaded.versions == {"legal": ("legal@1", "legal@2")} and reloaded.unfitted
            assert [each.route for each in router.route_many(QUERIES)] == CODES != by_model
            with pytest.raises(FittedError, match="model of legal"):
                Tuner(router).apply(fitted)
            Tuner(router).fit(QUERIES, CODES)
            assert Tuner(router).evaluate(QUERIES, CODES).accuracy == 1


def test_changed_routes_are_looked_up_at_once(make):
    router = make(routes=ROUTES[:2])
    router.add_routes([Route(name="new", domain="legal", utterances=("the ሀ1 rattles",))])
    assert router.route("ሀ1 broke").route == "new"
    router.remove_route("new")
    assert router.route("ሀ1 broke").route in CODES


def test_words_count_among_very_many_candidates_too(hybrid, make, monkeypatch):
    from router_plugin.serving import candidates

    monkeypatch.setattr(candidates, "MANY", 2)
    monkeypatch.setattr(candidates, "COMPARED", 2)
    assert [make().route(query).route for query in QUERIES] == CODES

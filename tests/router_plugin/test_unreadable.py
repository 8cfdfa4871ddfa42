"""Texts that a model cannot read: they match only the very same text, and the decision says so."""

from __future__ import annotations

import asyncio
import json
import logging
import unicodedata

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from registry import GENERAL, Profile
from registry.model_folders.loading import load_sentence_transformer
from router_plugin import DomainRouter, JointSpace, Route, ServedDomains, Settings, Tuner, UnmodelledDomain, explain
from router_plugin.classifier.cascade import CascadeClassifier
from router_plugin.classifier.known.everyday import everyday_profile
from router_plugin.contracts import BaseEmbedder
from router_plugin.hookspecs import hookimpl
from router_plugin.joint_space.own_vectors import own_vector
from router_plugin.plugins.manager import Plugins
from router_plugin.serving.scores import NO_ROUTES, NOTHING_READABLE, UNREADABLE
from router_plugin.serving.texts import same_text
from tests.registry.samples import run_python

THUMB, AMHARIC, THAI, CHINESE = "👍", "ካርዴን ሰርዝ", "ขอเพิ่มวงเงินสินเชื่อ", "我想申请贷款"
UNREAD = [
    "👎",
    "💩",
    AMHARIC + " አሁን",
    THAI,
    CHINESE,
    "a" * 30_000,
    "\u200b",
    "\x00",
    "\u2060\ufeff",
    "[UNK]",
    "👎 👎 ok",
]
RENT = "can my landlord keep the deposit"
ROUTES = [
    Route(name="approve", utterances=(THUMB, "I agree"), threshold=-1),
    Route(name="cancel", utterances=(AMHARIC,), threshold=-1),
    Route(name="rent", utterances=(RENT, "the rent went up"), threshold=-1),
]
STRATEGIES = ["two_stage", "ensemble", "adaptive", "single"]
AGGREGATIONS = ["max", "mean", "top-k"]


@pytest.fixture(params=STRATEGIES)
def strategy(request):
    return request.param


@pytest.fixture
def make(served_domains):
    def router(routes=ROUTES, **changed):
        return DomainRouter.over(served_domains, routes, served_domains.settings.replace(**changed))

    return router


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_an_unreadable_query_gets_no_route_and_the_decision_says_why(make, strategy, aggregation):
    router = make(strategy=strategy, aggregation=aggregation)
    for decision in (*router.route_many(UNREAD), *(router.route(query) for query in UNREAD)):
        assert (decision.route, decision.score, decision.reason) == (None, None, UNREADABLE)
        assert decision.unread > 0.5 and decision.domain == GENERAL
        assert json.loads(json.dumps(decision.to_dict()))["unread"] == decision.unread


def test_every_way_to_ask_agrees_on_an_unreadable_query(make, strategy):
    router = make(strategy=strategy)
    assert router.rank(UNREAD, 5) == [[]] * len(UNREAD)
    assert router.scores(UNREAD) == [{}] * len(UNREAD)
    assert {decision.reason for decision in asyncio.run(router.aroute_many(UNREAD))} == {UNREADABLE}
    assert asyncio.run(router.aroute(THAI)).reason == UNREADABLE
    explained = explain(router, THAI)
    assert explained.decision.reason == UNREADABLE
    assert (explained.nearest, explained.nearest_in_general, explained.threshold) == ([], [], None)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("query", [THUMB, f"  {THUMB}\n"])
def test_the_very_same_text_matches_with_a_score_of_one(make, strategy, aggregation, query):
    decision = make(strategy=strategy, aggregation=aggregation).route(query)
    assert (decision.route, decision.score, decision.reason, decision.unread) == ("approve", 1, None, 1)
    assert explain(make(strategy=strategy), query).nearest[0].cosine == 1
    assert make(strategy=strategy).scores([query]) == [{"approve": 1}]


def test_the_same_text_in_another_normal_form_is_the_same(make):
    composed, decomposed = (unicodedata.normalize(form, "\u0958\u093e\u0d4a") for form in ("NFC", "NFD"))
    assert composed != decomposed and same_text(composed) == same_text(decomposed)
    word = decomposed.join("ക്")  # malayalam, which the tokenizer does not know
    router = make([Route(name="a", utterances=(unicodedata.normalize("NFC", word),), threshold=-1)])
    assert router.route(word).route == "a"


def test_readable_queries_beside_unreadable_ones_are_decided_as_without_them(make, strategy):
    router = make(strategy=strategy)
    alone = router.route(RENT)
    _, among, _ = router.route_many([THAI, RENT, "💩"])
    assert (among.route, among.score, among.unread) == (alone.route, alone.score, 0) == ("rent", 1, 0)


def test_a_readable_query_is_not_compared_with_an_unreadable_utterance(make, strategy):
    router = make(strategy=strategy)
    (scores,) = router.scores(["what is the weather like"])
    assert "cancel" not in scores and {"approve", "rent"} == set(scores)
    assert all(each.utterance not in (THUMB, AMHARIC) for each in explain(router, "what is it", 10).nearest)
    for aggregation in AGGREGATIONS:
        mixed = make(strategy=strategy, aggregation=aggregation).scores(["I agree"])[0]
        assert mixed["approve"] == 1


def test_routes_of_which_nothing_can_be_read_are_named_as_the_reason(make, strategy):
    decision = make([ROUTES[1]], strategy=strategy).route("hello there")
    assert (decision.route, decision.score, decision.reason) == (None, None, NOTHING_READABLE)


@pytest.mark.parametrize(
    ("query", "unread", "read"),
    [("yes please", 0, True), ("ok 👍", 0.5, True), ("ok 👍 👍", 0.667, False), (CHINESE, 0.833, False)],
)
def test_a_query_is_read_unless_most_of_its_words_are_unknown(make, query, unread, read):
    decision = make().route(query)
    assert decision.unread == unread
    assert (decision.reason == UNREADABLE) is not read
    assert (decision.route is not None) is read


def test_the_domain_of_an_unreadable_query_is_anybodys_guess(served_domains, make):
    found = served_domains.classifier.classify([THAI, RENT, "\u200b"])
    assert found.unreadable == {0, 2}
    for row in (0, 2):
        assert found.probabilities[row] == pytest.approx(1 / len(served_domains.names))
        assert row not in found.embedded
    assert make().route(THAI).secondary_domains == []


def domain_of_amharic(vector):
    """A classifier with a domain of Amharic queries, over a base model that gives every text a vector."""
    base = BaseEmbedder(
        "0" * 64,
        lambda texts: np.stack([vector(text) for text in texts]).astype(np.float32),
        lambda texts: [float(any("ሀ" <= letter <= "፿" for letter in text)) for text in texts],
    )
    words = [f"{AMHARIC} {extra}" for extra in ("ነው", "አይደለም", "እባክህ", "ዛሬ")] * 20
    profile = Profile.from_queries(words, base.encode, base.digest)
    return CascadeClassifier(everyday_profile(base), {"cards": profile}, base), words


def test_the_lexical_stage_decides_where_it_knows_the_words_that_the_base_model_does_not():
    classifier, words = domain_of_amharic(lambda text: np.full(32, 32**-0.5))
    known, unknown = classifier.classify([words[0]]), classifier.classify(["ጤና ይስጥልኝ ደህና"])
    assert known.probabilities[0].argmax() == 1 and not known.unreadable
    assert unknown.probabilities[0] == pytest.approx([0.5, 0.5]) and set(unknown.unreadable) == {0}


def test_a_query_whose_vector_is_not_finite_tells_the_neighbour_stage_nothing():
    classifier, _ = domain_of_amharic(lambda text: np.full(32, np.nan if "zyxwv" in text else 32**-0.5))
    found = classifier.classify(["zyxwv utsrq", "zyxwv utsrq ponml kjihg", "gfedc baabc"])
    assert np.isfinite(found.probabilities).all()
    assert set(found.unreadable) == {0, 1}


def test_an_unreadable_utterance_of_a_domain_is_found_though_the_classifier_cannot_tell(make):
    routes = [
        Route(name="law", domain="legal", utterances=("⚖️", RENT)),
        Route(name="drug", domain="medical", utterances=("💊", "is aspirin safe")),
    ]
    router = make(routes)
    for query, route, domain in (("⚖️", "law", "legal"), ("💊", "drug", "medical")):
        decision = router.route(query)
        assert (decision.route, decision.score, decision.domain) == (route, 1, domain)
    decision = router.route("💉")
    assert (decision.route, decision.reason, decision.domain) == (None, UNREADABLE, GENERAL)
    assert router.route("").reason == "the query is empty"
    assert make([], strategy="single").route(RENT).reason == NO_ROUTES


SCRIPTS = st.sampled_from("ขฃคจดកខကခമംગካክ👍👎💩🚀⚖💊\u200b \x00")


@settings(max_examples=40)
@given(st.text(SCRIPTS, min_size=1, max_size=12), st.text(SCRIPTS, min_size=1, max_size=12))
def test_no_two_texts_that_cannot_be_read_are_ever_taken_for_one(make, utterance, query):
    assume(utterance.strip() and query.strip())
    decision = make([Route(name="a", utterances=(utterance,), threshold=-1)], strategy="single").route(query)
    same = same_text(utterance) == same_text(query)
    assert (decision.route, decision.score) == (("a", 1) if same else (None, None))


def test_an_encoder_of_a_plugin_may_tell_what_it_cannot_read(tmp_path, tiny_base):
    class Vowels:
        """Reads vowels only, and tells it or not."""

        nbytes = 0

        def encode(self, texts):
            counts = np.array([[text.count(letter) + 1 for letter in "aeiou"] for text in texts], dtype=np.float32)
            return counts / np.linalg.norm(counts, axis=1, keepdims=True)

        def truncates(self, text):
            return False

        def key(self, text):
            return text

    class Telling(Vowels):
        def unread(self, text):
            return sum(letter not in "aeiou" for letter in text) / len(text)

    def decided(kind):
        plugins = Plugins()
        plugins.register(type("Plugin", (), {"encoder": staticmethod(hookimpl(lambda: kind()))})(), "vowels")
        routes = [Route(name="a", utterances=("xyz",))]
        settings = Settings(strategy="single")
        base = str(tiny_base.path)
        with DomainRouter(routes, tmp_path, base_model=base, settings=settings, plugin_manager=plugins) as router:
            return router.route("xxyz")

    assert (decided(Vowels).route, decided(Vowels).unread) == ("a", 0)
    assert (decided(Telling).reason, decided(Telling).unread) == (UNREADABLE, 1)


# warnings about routes


@pytest.fixture
def said(caplog):
    """What was logged as a warning since the last call."""

    def since():
        found = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        caplog.clear()
        return found

    return since


def test_utterances_that_cannot_be_read_are_told_when_a_router_is_made(served, said):
    routes = [ROUTES[0], Route(name="cancel", domain="legal", utterances=(AMHARIC, "cancel it"))]
    with DomainRouter(routes, served, settings=Settings(strategy="two_stage", target_precision=0)) as router:
        (first, second) = said()
        assert "cannot read an utterance, which only a query of the very same text matches" in first
        assert f"route 'approve': {THUMB!r}" in first and AMHARIC not in first
        assert second.startswith("legal@1 cannot read") and f"route 'cancel': {AMHARIC!r}" in second
        assert "legal" not in router.loaded  # nothing was loaded for it
        router.route(RENT)
        assert said() == []


@pytest.mark.parametrize("way", ["set", "add"])
def test_new_utterances_that_cannot_be_read_are_told_once(make, said, way):
    router = make([ROUTES[2]])
    assert said() == []
    change = {
        "set": lambda route: router.set_routes([ROUTES[2], route]),
        "add": lambda route: router.add_routes([route]),
    }
    change[way](ROUTES[1])
    (line,) = said()
    assert "route 'cancel'" in line
    router.remove_route("cancel")
    change[way](ROUTES[1])
    router.route(RENT)
    assert said() == []


@pytest.mark.parametrize(("one", "other"), [("Reset my PIN", "reset  my pin"), ("café", "cafe\u0301"), ("a", "a")])
def test_utterances_of_two_routes_that_are_one_text_to_the_encoder_are_told(make, said, one, other):
    make([Route(name="x", utterances=(one, "call me")), Route(name="y", utterances=("help", other, one))])
    (line,) = said()
    assert "cannot tell" in line and f"route 'x': {one!r}, and route 'y': {other!r}" in line


def test_utterances_of_one_route_or_of_domains_apart_may_be_alike(make, said):
    make(
        [
            Route(name="x", domain="legal", utterances=("Reset my PIN", "reset my pin")),
            Route(name="y", domain="medical", utterances=("reset my pin",)),
        ]
    )
    assert said() == []


def test_a_warning_names_a_few_of_many(make, said):
    make([Route(name="many", utterances=tuple(f"{THUMB * number}" for number in range(1, 30)))])
    (line,) = said()
    assert "29 utterances" in line and line.count("route 'many'") == 5 and line.endswith("; and 24 more")


def test_too_many_utterances_to_read_ahead_are_told_when_they_are_embedded(make, said, monkeypatch):
    monkeypatch.setattr("router_plugin.serving.domain_routes.READ_AHEAD", 1)
    router = make([ROUTES[0]], strategy="single")
    assert said() == []
    router.route(RENT)
    (line,) = said()
    assert "route 'approve'" in line


def test_labelled_queries_that_cannot_be_read_are_told_by_fit(make, said):
    router = make([ROUTES[2]])
    Tuner(router).fit([RENT, THAI, "the rent"], ["rent", "rent", None])
    assert said()[-1] == f"1 of 2 labelled queries cannot be read by the model: {THAI!r}"


def test_examples_of_a_domain_without_a_model_that_cannot_be_read_are_told(served, said):
    thai = UnmodelledDomain(name="thai", queries=(THAI, "a loan"))
    ServedDomains(served, extra_domains=thai, settings=Settings(target_precision=0)).close()
    (line,) = said()
    assert "cannot read 1 of 2 examples of the domain thai" in line and THAI in line


# the joint space


def test_unreadable_texts_have_vectors_of_their_own_in_the_joint_space(served_domains):
    for top in (1, 3):
        space = JointSpace(served_domains, top)
        texts = [THUMB, "👎", THAI, CHINESE, RENT, f" {THUMB} ", "\u200b"]
        vectors = space.encode_documents(texts)
        assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
        cosines = vectors @ vectors.T - np.eye(len(texts))
        assert cosines[0, 5] == pytest.approx(1, abs=1e-6)
        cosines[0, 5] = cosines[5, 0] = 0
        assert np.abs(cosines).max() < 0.75  # of 32 dimensions, by chance; the encoder's vectors would be equal
        np.testing.assert_array_equal(space.encode_queries(texts), vectors)
    declared = space.encode_documents(["👍", "👎"], ["legal", "legal"])
    assert declared[0] @ declared[1] < 0.75


def test_own_vectors_are_almost_orthogonal_and_the_same_on_every_machine():
    vectors = np.stack([own_vector(f"text {number}", 384) for number in range(200)])
    cosines = (vectors @ vectors.T)[np.triu_indices(200, 1)]
    assert np.abs(cosines).max() < 0.3 and abs(cosines.mean()) < 0.01
    assert cosines.std() == pytest.approx(384**-0.5, rel=0.05)
    code = "from router_plugin.joint_space.own_vectors import own_vector\nprint(own_vector('ก', 7).tolist())"
    assert json.loads(run_python(code)) == own_vector("ก", 7).tolist()
    assert np.linalg.norm(own_vector("ก", 7)) == pytest.approx(1)


@pytest.fixture(scope="module")
def damaged_base(tiny_base, tmp_path_factory):
    """A model of which one word's embedding is not a number."""
    model = load_sentence_transformer(tiny_base.path, device="cpu")
    with torch.no_grad():
        model[0].auto_model.embeddings.word_embeddings.weight[model.tokenizer.vocab["broken"]] = float("nan")
    folder = tmp_path_factory.mktemp("damaged") / "model"
    model.save_pretrained(str(folder))
    return folder


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_a_text_without_a_finite_vector_counts_as_unreadable(tmp_path, damaged_base, aggregation, caplog):
    routes = [Route(name="repair", utterances=("my boiler is broken", "mend the boiler"), threshold=-1), ROUTES[2]]
    settings = Settings(aggregation=aggregation, device="cpu")
    for _ in ("embedded", "cached"):
        caplog.clear()
        with DomainRouter(
            routes, str(tmp_path / "registry"), base_model=str(damaged_base), settings=settings
        ) as router:
            assert router.route("mend the boiler").route == "repair"
            assert router.scores(["mend the boiler"])[0].keys() == {"repair", "rent"}
            assert router.route("a broken window").reason == UNREADABLE
            assert router.route("my boiler is broken").route == "repair"
        assert "cannot read an utterance" in caplog.text and "my boiler is broken" in caplog.text

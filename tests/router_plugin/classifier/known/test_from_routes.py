"""What routes say about their domains, and what the domain classifier makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from registry import GENERAL, Profile
from router_plugin import DomainRouter, Route, Settings, UnmodelledDomain
from router_plugin.classifier.known.from_routes import MOST, queries_of, with_queries
from router_plugin.contracts import BaseEmbedder


def encode(texts):
    """A vector that depends on the length of a text alone."""
    return np.eye(50, dtype=np.float32)[[len(text) % 50 for text in texts]]


BASE = BaseEmbedder("f" * 64, encode)


def route(name, *utterances, domain="cooking", description=None):
    return Route(name=name, domain=domain, utterances=utterances, description=description)


def test_the_first_utterance_of_every_route_comes_first_then_descriptions():
    found = queries_of([route("a", "a1", "a2", "a3", description="about a"), route("b", "b1", "b2")])
    assert found == {"cooking": ("a1", "b1", "about a", "b2", "a2", "a3")}


def test_routes_of_all_or_of_several_domains_say_nothing_about_one():
    several = route("b", "b1", domain=("cooking", "travel"))
    assert queries_of([route("a", "a1", domain=None), several, route("c", "c1", domain=GENERAL)]) == {GENERAL: ("c1",)}


def test_a_text_counts_once_and_as_the_encoders_read_it():
    assert queries_of([route("a", " boil  rice "), route("b", "Boil rice", "fry rice")]) == {
        "cooking": ("boil  rice", "fry rice")
    }


def test_a_domain_of_many_routes_is_known_by_some_texts_of_as_many_routes_as_possible():
    found = queries_of(route(f"route {number}", f"first {number}", f"second {number}") for number in range(2 * MOST))
    assert found == {"cooking": tuple(f"first {number}" for number in range(MOST))}


def test_a_profile_knows_queries_beside_its_own_and_none_twice():
    own = Profile.from_queries(["boil rice", "fry an egg"], encode, BASE.digest)
    (more,) = with_queries({"cooking": own}, {"cooking": ["bake bread at home", "boil rice"]}, BASE).values()
    assert more.lexical.shape[0] == more.misspelt.shape[0] == len(more.embeddings) == 3
    assert sorted(more.embeddings.argmax(axis=1)) == sorted(map(len, ["boil rice", "fry an egg", "bake bread at home"]))
    rows = [frozenset(row.indices) for row in more.lexical]
    assert len(set(rows)) == 3
    np.testing.assert_array_equal(more.misspelt_embeddings, own.misspelt_embeddings)
    for row, known in zip(more.lexical[:2], own.lexical, strict=True):
        assert (row != known).nnz == 0  # so that their misspelt embeddings are still theirs


@pytest.mark.parametrize("queries", [{}, {"travel": ["book a flight"]}, {"cooking": []}])
def test_profiles_without_further_queries_stay_as_they_are(queries):
    profiles = {"cooking": Profile.from_queries(["boil rice"], encode, BASE.digest)}
    assert with_queries(profiles, queries, BASE)["cooking"] is profiles["cooking"]


def test_a_profile_of_another_base_model_stays_as_it_is():
    other = Profile.from_queries(["boil rice"], lambda texts: np.ones((len(texts), 3), np.float32), "0" * 64)
    assert with_queries({"cooking": other}, {"cooking": ["fry an egg"]}, BASE)["cooking"] is other


TRAVEL = UnmodelledDomain(name="travel", queries=("book a flight", "is my train late"))
COOKING = UnmodelledDomain(name="cooking", queries=("how long do i boil rice", "can i freeze soup"))
PLANTS = ("why does my basil wilt", "repot the monstera", "how often do i water a fern", "yellow leaves on my ficus")


@pytest.fixture
def opened(tmp_path):
    with DomainRouter([], str(tmp_path / "registry"), extra_domains=[TRAVEL, COOKING]) as router:
        yield router


def test_a_domain_is_found_by_what_its_routes_say(opened):
    asked = ["my orchid has brown leaves", "what soil does a cactus need", "how do i prune my roses"]
    before = opened.classifier.classify(asked).probabilities[:, opened.domains.index("cooking")]
    opened.set_routes([Route(name="plants", domain="cooking", utterances=PLANTS)])
    after = opened.classifier.classify(asked).probabilities[:, opened.domains.index("cooking")]
    assert (after > before + 0.15).all()
    opened.set_routes([])
    again = opened.classifier.classify(asked).probabilities[:, opened.domains.index("cooking")]
    np.testing.assert_array_equal(before, again)


def test_the_order_in_which_routes_came_does_not_matter(opened):
    routes = [route("plants", *PLANTS), route("bread", "how do i bake bread", "my dough does not rise")]
    opened.set_routes(routes)
    at_once = opened.classifier.classify(["my orchid wilts"]).probabilities
    opened.set_routes([])
    for each in routes:
        opened.add_routes([each])
    np.testing.assert_array_equal(opened.classifier.classify(["my orchid wilts"]).probabilities, at_once)


def test_routers_over_the_same_domains_know_their_own_routes_alone(opened):
    plants = DomainRouter.over(opened.served_domains, [route("plants", *PLANTS)])
    same = DomainRouter.over(opened.served_domains, [route("garden", *PLANTS)])
    assert plants.classifier is same.classifier is not opened.classifier
    assert opened.classifier is opened.served_domains.classifier


def test_after_a_change_the_classifier_is_made_by_preloading(opened, monkeypatch):
    opened.set_routes([route("plants", *PLANTS)])
    opened.preload(["cooking"])
    monkeypatch.setattr("router_plugin.classifier.cascade.CascadeClassifier.__init__", lambda *_, **__: pytest.fail())
    assert set(opened.route("my orchid wilts").domains) == {GENERAL, "travel", "cooking"}


def test_a_change_that_says_nothing_new_needs_no_new_classifier(opened):
    opened.set_routes([route("plants", *PLANTS)])
    known = opened.classifier
    opened.add_routes([route("anything", "hello", domain=None)])
    assert opened.classifier is known


def test_a_router_of_one_encoder_needs_no_classifier(tmp_path, monkeypatch):
    monkeypatch.setattr("router_plugin.classifier.cascade.CascadeClassifier.__init__", lambda *_, **__: pytest.fail())
    settings = Settings(strategy="single", threshold=-1)
    with DomainRouter([route("plants", *PLANTS)], str(tmp_path), extra_domains=[COOKING], settings=settings) as router:
        assert router.route("my orchid wilts").route == "plants"

"""A router that somebody has is domain-routed where it stands, and afterwards what it was."""

import asyncio
import logging

import numpy as np
import pytest

pytest.importorskip("semantic_router")
pytest.importorskip("qdrant_client")

from semantic_router import Route as HostRoute
from semantic_router.encoders import TfidfEncoder
from semantic_router.index import LocalIndex, QdrantIndex
from semantic_router.routers import Chain, IndexedRouter

from router_plugin import ClosedError, JointSpace, JointSpaceError, RoutesError
from router_plugin.hosts.semantic_router import DomainEncoder, DomainIndexedRouter, attach, detach

from .samples import KNOWN, LUMP, PRICE, Letters, known_routes

QUERIES = [query for query, _ in KNOWN]
RAW = "thresholds for the scores of letters do not hold"


@pytest.fixture(scope="module")
def space(served_domains):
    return JointSpace(served_domains)


def state(router):
    """All that a router is."""
    kept = {name: value for name, value in vars(router).items() if name not in ("index", "_cache")}
    records = router.index.get_utterances()
    answers = [router(query, limit=None) for query in QUERIES]
    vectors = np.array(router.index.index) if isinstance(router.index, LocalIndex) else len(router.index)
    return type(router), kept, router.routes, records, answers, vectors


def assert_same(one, other):
    assert one[:-1] == other[:-1]
    assert np.array_equal(one[-1], other[-1])


@pytest.mark.parametrize("index", [LocalIndex, QdrantIndex])
def test_detaching_makes_a_router_what_it_was(space, index):
    routes = known_routes()
    routes[0].confidence_threshold, routes[1].description = 0.7, "where it hurts"
    router = IndexedRouter(Letters(), routes, index=index(), top_k=3, aggregation="max", confidence_threshold=0.5)
    router.fit(*zip(*KNOWN, strict=True))
    before, own = state(router), router.index
    assert attach(router, space) is router
    assert isinstance(router, DomainIndexedRouter) and router.index is not own
    assert (router.top_k, router.encoder.name) == (3, f"joint-space-{space.identifier}")
    router(PRICE)
    router.fit(*zip(*KNOWN, strict=True))
    router.top_k, router.confidence_threshold = 1, 0.9
    assert detach(router) is router
    assert router.index is own
    assert_same(state(router), before)


def test_an_attached_router_answers_as_a_domain_indexed_one(space):
    router = IndexedRouter(Letters(), known_routes())
    chain = Chain([router])
    attach(router, space)
    made = DomainIndexedRouter(DomainEncoder(space), known_routes())
    for query in [*QUERIES, "", "👎"]:
        assert router(query, limit=None) == made(query, limit=None)
        assert asyncio.run(router.acall(query)) == made(query)
        assert chain(query).name == made(query).name
    assert (router.confidence_threshold, router.routes) == (None, made.routes)


def test_thresholds_for_another_encoder_are_dropped_and_told(space, caplog):
    routes = known_routes()
    routes[1].confidence_threshold = 0.99
    router = IndexedRouter(Letters(), routes, confidence_threshold=0.98)
    with caplog.at_level(logging.WARNING):
        attach(router, space)
    assert RAW in caplog.text and "0.98 of the router, 0.99 of route 'symptoms'" in caplog.text
    assert 0.19 < router.confidence_threshold < 0.3 and f"{router.confidence_threshold} holds" in caplog.text
    assert {route.confidence_threshold for route in router.routes} == {None}
    detach(router)
    attach(router, space, confidence_threshold=0.4)
    assert router.confidence_threshold == 0.4
    assert "symptoms" in {route.name for route in router.routes if route.confidence_threshold is None}


def test_probabilities_are_fitted_again_so_that_their_thresholds_hold(space, caplog):
    routes = known_routes()
    routes[1].confidence_threshold = 0.6
    router = IndexedRouter(Letters(), routes, confidence_threshold=0.5)
    router.fit(*zip(*KNOWN, strict=True))
    before = router.calibrator
    attach(router, space)
    assert RAW not in caplog.text
    assert router.calibrator is not None and router.calibrator is not before
    assert router.confidence_threshold == 0.5
    assert [route.confidence_threshold for route in router.routes] == [None, 0.6, None]
    detach(router)
    assert router.calibrator is before
    router._fit_data = None  # as after loading it
    attach(router, space)
    assert router.calibrator is None and RAW in caplog.text
    assert [route.confidence_threshold for route in router.routes] == [None, None, None]


def test_routes_that_change_meanwhile_are_named(space, caplog):
    router = attach(IndexedRouter(Letters(), known_routes()), space)
    router.add(HostRoute(name="new", utterances=["something new"]))
    router.remove("shops")
    assert {route.name for route in router.routes} == {"symptoms", "human", "new"}
    with caplog.at_level(logging.WARNING):
        detach(router)
    assert "as they were before: new, shops" in caplog.text
    assert [route.name for route in router.routes] == ["shops", "symptoms", "human"]


def test_routers_with_a_sparse_encoder_and_of_classes_of_their_own_come_back(space):
    class Shouting(IndexedRouter):
        def shout(self, query):
            return self(query).name.upper()

    router = Shouting(Letters(), known_routes(), sparse_encoder=TfidfEncoder(), alpha=0.3)
    before, words = state(router), dict(router.sparse_encoder.word_index)
    attach(router, space)
    router.add(HostRoute(name="new", utterances=["wholly different words"]))
    assert router.shout(PRICE) == "SHOPS" and router.alpha == 0.3
    assert isinstance(router, Shouting) and isinstance(router, DomainIndexedRouter)
    detach(router)
    assert router.sparse_encoder.word_index == words
    assert_same(state(router), before)


def test_what_cannot_be_attached_stays_as_it_was(space, served_domains):
    router = IndexedRouter(Letters(), known_routes())
    before = state(router)
    foreign = LocalIndex()
    DomainIndexedRouter(DomainEncoder(JointSpace(served_domains, top=2)), known_routes(), index=foreign)
    with pytest.raises(JointSpaceError, match="top was|top 1"):
        attach(router, space, index=foreign)
    with pytest.raises(RoutesError, match="another index than the router's own"):
        attach(router, space, index=router.index)
    with pytest.raises(RoutesError, match="not attached"):
        detach(router)
    assert_same(state(router), before)
    attach(router, space)
    with pytest.raises(RoutesError, match="already"):
        attach(router, space)
    astray = IndexedRouter(Letters(), [HostRoute(name="stars", utterances=["x"], metadata={"domain": "astrology"})])
    with pytest.raises(RoutesError, match="stars.*astrology"):
        attach(astray, space)
    assert type(astray) is IndexedRouter


def test_models_that_attaching_opened_are_released(served):
    router = attach(IndexedRouter(Letters(), known_routes()), str(served))
    encoder = router.encoder
    assert router(LUMP).name is not None
    detach(router)
    with pytest.raises(ClosedError):
        encoder.encode_queries(["never seen"])


def test_an_attached_router_fills_the_index_it_is_given(space):
    index = QdrantIndex(index_name="joint")
    router = attach(IndexedRouter(Letters(), known_routes()), space, index=index)
    assert router.index is index and len(index) == 5
    assert router(PRICE).name == "shops"

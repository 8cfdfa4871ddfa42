"""The joint space in the library's own indexes: blocks, identifiers, thresholds, and routers made of such routers."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("semantic_router")
pytest.importorskip("qdrant_client")

from semantic_router import Route as HostRoute
from semantic_router.encoders import TfidfEncoder
from semantic_router.index import LocalIndex, QdrantIndex
from semantic_router.routers import Chain, IndexedRouter, Merge

from router_plugin import JointSpace, JointSpaceError, QueryError, RoutesError
from router_plugin.hosts.semantic_router import DOMAIN, DomainEncoder, DomainIndexedRouter
from router_plugin.hosts.semantic_router.domain_encoder import OfDomain
from router_plugin.hosts.semantic_router.domain_indexed_router import SPACE

from .samples import KNOWN, LUMP, PRICE, Letters, known_routes

QUERIES = [PRICE, LUMP, "", "👎", "does it rain"]


@pytest.fixture(scope="module")
def encoder(served_domains):
    return DomainEncoder(JointSpace(served_domains))


@pytest.fixture(params=["local", "qdrant"])
def make_index(request):
    return {"local": LocalIndex, "qdrant": lambda: QdrantIndex(location=":memory:")}[request.param]


@pytest.fixture
def router(encoder, make_index):
    return DomainIndexedRouter(encoder, known_routes(), index=make_index())


def domain_of(encoder, vector):
    (filled,) = {row // encoder.space.block for row in np.flatnonzero(vector)}
    return encoder.space.domains.names[filled]


def test_vectors_are_those_of_the_joint_space(encoder):
    space = encoder.space
    assert encoder.name == f"joint-space-{space.identifier}"
    vectors = np.array(encoder.encode_queries(QUERIES))
    read = [row for row, query in enumerate(QUERIES) if query]
    assert np.abs(vectors[read] - space.encode_queries(QUERIES)[read]).max() < 1e-6
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    assert encoder(QUERIES) == encoder.encode_queries(QUERIES)
    documents = encoder.encode_documents([OfDomain(PRICE, "legal"), OfDomain(PRICE, "finance"), PRICE])
    assert [domain_of(encoder, vector) for vector in documents[:2]] == ["legal", "finance"]
    assert np.abs(documents[2] - vectors[0]).max() < 1e-6


def test_awaited_and_threaded_calls_agree_with_plain_ones(encoder):
    async def ask():
        many = (encoder.aencode_queries([query]) for query in QUERIES)
        return await asyncio.gather(encoder.acall(QUERIES), encoder.aencode_documents(QUERIES), *many)

    called, documents, *alone = asyncio.run(ask())
    plain = encoder.encode_queries(QUERIES)
    assert np.abs(np.array(called) - plain).max() < 1e-6
    assert np.abs(np.array([vector for (vector,) in alone]) - plain).max() < 1e-5
    assert np.abs(np.array(documents) - encoder.encode_documents(QUERIES)).max() < 1e-6
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(encoder.encode_queries, [QUERIES] * 8):
            assert np.abs(np.array(vectors) - plain).max() < 1e-6


def test_an_empty_query_is_near_to_nothing(encoder):
    (empty,) = encoder.encode_queries([" \n"])
    documents = np.array(encoder.encode_documents([PRICE, LUMP, "hello there", "👎"]))
    assert np.abs(documents @ empty).max() < 0.4  # a random vector of 128 dimensions


def test_an_encoder_opens_a_registry_and_closes_what_it_opened(served, encoder):
    own = DomainEncoder(str(served))
    assert len(own.encode_queries([PRICE])[0]) == own.space.dimension
    own.close()
    with pytest.raises(Exception, match="were closed"):
        own.encode_queries(["another text"])
    DomainEncoder(encoder.space).close()
    assert encoder.encode_queries(["yet another text"])


def test_the_librarys_own_router_uses_it_with_any_index(encoder, make_index):
    router = IndexedRouter(encoder, known_routes(), index=make_index())
    assert router(PRICE).name == "shops" and router(LUMP).name == "symptoms"
    assert router(PRICE).confidence > 0.4


def test_a_route_lies_in_the_block_of_its_domain(encoder):
    router = DomainIndexedRouter(encoder, known_routes())
    several = HostRoute(name="several", utterances=[PRICE, "knee"], metadata={DOMAIN: ["finance", "medical"]})
    router.add(several)
    lies = {}
    for name, vector in zip(router.index.routes, router.index.index, strict=True):
        lies.setdefault(str(name), set()).add(domain_of(encoder, vector))
    assert (lies["shops"], lies["symptoms"]) == ({"legal"}, {"medical"})
    assert lies["human"] == {encoder.space.common_domain(["let me talk to a real person"])}
    assert len(lies["several"]) == 1 and lies["several"] <= {"finance", "medical"}
    assert router.routes[0].metadata == {DOMAIN: "legal"}


def test_only_routes_of_the_querys_domain_answer(router, encoder):
    router.remove("human")
    for threshold in (None, -1.0):
        assert [choice.name for choice in router(PRICE, limit=None, threshold=threshold)] == ["shops"]
    router.remove("shops")
    assert IndexedRouter(encoder, router.routes, index=LocalIndex())(PRICE).confidence == 0  # what would be answered
    for threshold in (None, -1.0):
        assert router(PRICE, threshold=threshold).name is None
        assert asyncio.run(router.acall(PRICE, limit=None, threshold=threshold)) == []
    for composed in (Chain([router]), Merge([router])):
        assert composed(PRICE).name is None
    assert Chain([router, IndexedRouter(Letters(), known_routes())])(PRICE).name == "shops"


def test_scores_are_those_of_the_compared_utterances_alone(encoder):
    routes = [HostRoute(name="shops", utterances=[PRICE], metadata={DOMAIN: "legal"})]
    router = DomainIndexedRouter(encoder, routes)
    router.add(HostRoute(name="shops", utterances=[LUMP], metadata={DOMAIN: "medical"}))
    assert router(PRICE).confidence == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("query", ["", " \n", "\u200b", "👎", "ขอเพิ่มวงเงิน"])
def test_a_query_in_which_there_is_nothing_to_compare_gets_no_route(router, query):
    for threshold in (None, -1.0):
        assert router(query, threshold=threshold).name is None
        assert router(query, limit=None, threshold=threshold) == []
    for composed in (Chain([router]), Merge([router])):
        assert composed(query).name is None


def test_an_unreadable_query_matches_the_very_same_text(router):
    router.add(HostRoute(name="approve", utterances=["👍", "I agree"]))
    assert (router("👍").name, router("👍").confidence) == ("approve", 1)
    assert router("👎").name is None


def test_routes_come_and_go(router):
    for name in ("shops", "symptoms", "human"):
        router.remove(name)
    assert router(PRICE).name is None
    router.add(HostRoute(name="eviction", utterances=[PRICE], metadata={DOMAIN: "legal"}) for _ in range(1))
    assert router(PRICE).name == "eviction"
    assert [route.name for route in router.routes] == ["eviction"]


def test_a_router_without_a_route_answers_nothing_until_somebody_fills_its_index(encoder, make_index):
    index = make_index()
    empty = DomainIndexedRouter(encoder, index=index)
    assert (empty(PRICE).name, empty(PRICE, limit=None)) == (None, [])
    DomainIndexedRouter(encoder, known_routes(), index=index)
    assert empty(PRICE).name == "shops"


def test_what_is_no_route_no_query_and_no_encoder_is_named(router, encoder):
    for bad, said in [
        (
            HostRoute(name="stars", utterances=["x"], metadata={DOMAIN: "astrology"}),
            "stars.*unknown domain 'astrology'",
        ),
        (HostRoute(name="number", utterances=[5]), "number"),
        ("routes.yaml", "expected routes of semantic_router"),
    ]:
        with pytest.raises(RoutesError, match=said):
            router.add(bad)
    with pytest.raises(QueryError, match="`query` must be text, not NoneType"):
        router(None)
    with pytest.raises(RoutesError, match="expected a DomainEncoder, not Letters"):
        DomainIndexedRouter(Letters(), known_routes())
    assert {route.name for route in router.routes} == {"shops", "symptoms", "human"}


def test_fit_evaluate_chain_and_merge_work(router):
    queries, labels = map(list, zip(*KNOWN, strict=True))
    raw = router(PRICE).confidence
    report = router.fit([*queries, ""], [*labels, None])
    assert report.n == len(queries)
    assert router(PRICE).calibrated and 0 < router(PRICE).confidence < 1
    assert router.evaluate(iter(queries), iter(labels)) == pytest.approx(report.accuracy)
    router.calibrator = None
    letters = IndexedRouter(Letters(), known_routes())
    assert Chain([router, letters])(PRICE).confidence == pytest.approx(raw)
    router.confidence_threshold = 0.9999
    near = "is the price tag in a window something they stick to"
    assert Chain([router, letters])(near).confidence == pytest.approx(letters(near).confidence)
    router.confidence_threshold = None
    merged = {choice.name: choice.confidence for choice in Merge([router, letters])(PRICE, limit=None)}
    theirs = {choice.name: choice.confidence for choice in letters(PRICE, limit=None)}
    assert merged["shops"] == pytest.approx((raw + theirs["shops"]) / 2, abs=1e-5)
    assert merged["symptoms"] == pytest.approx(theirs["symptoms"] / 2, abs=1e-5)


def test_thresholds_of_routes_and_router_hold(router):
    router.confidence_threshold = 2.0
    assert router(PRICE).name is None
    own = HostRoute(name="own", utterances=["a price tag"], metadata={DOMAIN: "legal"}, confidence_threshold=-1.0)
    router.add(own)
    assert router(PRICE).name == "own"


def test_a_sparse_encoder_may_compare_what_the_joint_space_does_not(encoder):
    router = DomainIndexedRouter(encoder, known_routes()[:2], sparse_encoder=TfidfEncoder(), alpha=0.5)
    scores = {choice.name: choice.confidence for choice in router("my chest and the seller", limit=None)}
    assert set(scores) == {"shops", "symptoms"}
    assert router("").name is None


def test_an_index_of_another_space_is_refused_before_anything_is_written(encoder, served_domains, make_index):
    index, other = make_index(), DomainEncoder(JointSpace(served_domains, dims=16))
    DomainIndexedRouter(other, known_routes()[:1], index=index)
    before = index.get_utterances()
    said = f"the index cannot be used: .*{other.space.identifier} cannot be compared.*index_name='{encoder.name}'"
    with pytest.raises(JointSpaceError, match=said):
        DomainIndexedRouter(encoder, known_routes(), index=index)
    assert index.get_utterances() == before
    assert {record.metadata[SPACE] for record in before} == {other.space.identifier}


def test_an_index_of_an_unknown_space_is_refused(encoder):
    index = LocalIndex()
    IndexedRouter(Letters(), known_routes()[:1], index=index)
    with pytest.raises(JointSpaceError, match="holds 'is a price tag.* of route 'shops' as another encoder"):
        DomainIndexedRouter(encoder, index=index)


def test_a_writer_of_another_space_is_noticed_at_the_next_refresh(encoder, router):
    IndexedRouter(encoder, [HostRoute(name="new", utterances=["x"])], index=router.index)
    with pytest.raises(JointSpaceError, match="another encoder"):
        router.refresh()
    with pytest.raises(JointSpaceError, match="another encoder"):
        asyncio.run(router.arefresh())


def test_a_collection_on_disk_is_used_again(encoder, tmp_path):
    def index():
        return QdrantIndex(path=str(tmp_path / "qdrant"), index_name=encoder.name)

    first = DomainIndexedRouter(encoder, known_routes(), index=index())
    found = first(PRICE, limit=None)
    first.index.client.close()
    again = DomainIndexedRouter(encoder, index=index())
    assert [route.name for route in again.routes] == [route.name for route in first.routes]
    assert [choice.name for choice in again(PRICE, limit=None)] == [choice.name for choice in found]
    again.index.client.close()

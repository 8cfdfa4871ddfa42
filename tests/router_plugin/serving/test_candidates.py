"""Candidates: how near a route is, what is embedded when routes change or a router starts again, and what is kept."""

from __future__ import annotations

import gc
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from router_plugin import DomainRouter, Route, RoutesError, ServedDomains, Settings, SettingsError
from router_plugin.classifier.known.from_routes import queries_of
from router_plugin.serving import candidates as searched
from router_plugin.serving.candidate_store import Embedded, digest_of_key, embed_cached
from router_plugin.serving.candidates import Candidates, Queries
from router_plugin.serving.domain_routes import DomainRoutes
from router_plugin.serving.scores import UNLIKELY
from router_plugin.serving.strategies import DISCOUNT

ANYTHING = Settings(strategy="two_stage", target_precision=0, min_confidence=0, threshold=-1)
LEGAL = "can my landlord keep the deposit"
COUNTS = st.lists(st.integers(1, 5), min_size=1, max_size=6)


def routes(*names, domain=None):
    return [Route(name=name, domain=domain, utterances=(f"{name} one", f"{name} two")) for name in names]


class Texts:
    """What is the same in the encoders of these tests."""

    nbytes = 0

    def truncates(self, text):
        return False

    def key(self, text):
        return text


class Anonymous(Texts):
    """An encoder of unit vectors that depend only on the text, and that does not say what it runs on."""

    def __init__(self):
        self.texts = []

    def encode(self, texts):
        self.texts += texts
        made = np.stack([np.random.default_rng(list(text.encode())).normal(size=8) for text in texts])
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


class Counting(Anonymous):
    """One that does, so that its vectors are kept."""

    runtime = "counting"


@pytest.fixture(autouse=True)
def disk(tmp_path, monkeypatch):
    """What is kept, by this test alone."""
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "cache" / "candidates"


@pytest.fixture
def counted(monkeypatch):
    """The texts that any encoder embeds as candidates."""
    from router_plugin.serving import domain_routes as served_routes

    texts = []

    def counting(asked, encoder, version):
        def encode(missing):
            texts.extend(missing)
            return encoder.encode(missing)

        return embed_cached(asked, _Wrapped(encode), version)

    monkeypatch.setattr(served_routes, "embed_cached", counting)
    return texts


class _Wrapped(Texts):
    runtime = "wrapped"

    def __init__(self, encode):
        self.encode = encode


@given(st.data(), COUNTS, st.integers(1, 6))
def test_aggregations_are_over_the_utterances_of_a_route(data, counts, top_k):
    matrix = data.draw(arrays(np.float32, (sum(counts), 3), elements=st.floats(-1, 1, width=32)))
    queries = data.draw(arrays(np.float32, (2, 3), elements=st.floats(-1, 1, width=32)))
    known = [Route(name=str(i), utterances=tuple(str(j) for j in range(count))) for i, count in enumerate(counts)]
    candidates = Candidates(known, [Embedded(row, 0.0, digest_of_key(None)) for row in matrix])
    cosines = (queries @ matrix.T).astype(np.float64)
    parts = np.split(cosines, np.cumsum(counts)[:-1], axis=1)
    expected = {
        "max": [part.max(axis=1) for part in parts],
        "mean": [part.mean(axis=1) for part in parts],
        "top-k": [np.sort(part, axis=1)[:, ::-1][:, :top_k].mean(axis=1) for part in parts],
    }
    for aggregation, wanted in expected.items():
        found = candidates.scores(Queries(queries, ["a", "b"], [0, 0], ["a", "b"]), aggregation, top_k)
        np.testing.assert_allclose(found, np.stack(wanted, axis=1).clip(-1, 1), atol=1e-5)


def test_a_restart_embeds_nothing(served, counted):
    known = [*routes("a", "b"), *routes("c", domain="legal")]
    first = DomainRouter(known, str(served), settings=ANYTHING).route(LEGAL)
    assert sorted(counted) == sorted(text for route in known for text in route.utterances)
    counted.clear()
    again = DomainRouter(known, str(served), settings=ANYTHING).route(LEGAL)
    assert counted == []
    assert (again.route, again.score) == (first.route, pytest.approx(first.score, abs=1e-5))


def test_adding_a_route_embeds_that_route_and_removing_one_nothing(served, counted, disk):
    router = DomainRouter(routes("a", "b"), str(served), settings=ANYTHING)
    router.route(LEGAL)
    for file in disk.iterdir():
        file.unlink()  # so that nothing comes from there
    counted.clear()
    router.add_routes(routes("c"))
    router.route(LEGAL)
    assert counted == ["c one", "c two"]
    counted.clear()
    router.remove_route("a")
    assert {route.name for route in router.routes} == {"b", "c"} == set(router.scores([LEGAL])[0])
    assert counted == []


@pytest.mark.slow
def test_changes_without_a_query_between_them_embed_what_is_new_and_hold_one_set_of_candidates(served, counted, disk):
    router = DomainRouter(routes("a", "b"), str(served), settings=ANYTHING)
    router.route(LEGAL)
    for file in disk.iterdir():
        file.unlink()  # so that nothing comes from there
    counted.clear()
    held = alive(Candidates), alive(DomainRoutes)
    for name in "cdef":
        router.add_routes(routes(name))
        router.remove_route(name)
    router.add_routes(routes("g"))
    assert (alive(Candidates), alive(DomainRoutes)) == held
    router.route(LEGAL)
    assert counted == ["g one", "g two"]
    assert alive(Candidates) == held[0]


def alive(kind):
    """How many of a kind of object there are."""
    gc.collect()
    return sum(type(each) is kind for each in gc.get_objects())


def test_adding_and_removing_say_what_is_wrong(router):
    before = router.routes
    with pytest.raises(RoutesError, match="duplicate route name"):
        router.add_routes([before[0]])
    with pytest.raises(RoutesError, match="unknown route 'nowhere'"):
        router.remove_route("nowhere")
    assert router.routes == before


def test_kept_vectors_are_of_one_version_and_runtime():
    encoder = Counting()
    first = embed_cached(["a", "b", "a"], encoder, "one@1")
    assert encoder.texts == ["a", "b"]
    np.testing.assert_array_equal(first[0].vector, first[2].vector)
    np.testing.assert_array_equal(embed_cached(["b"], encoder, "one@1")[0].vector, first[1].vector)
    assert encoder.texts == ["a", "b"]
    embed_cached(["b"], encoder, "one@2")
    encoder.runtime = "other"
    embed_cached(["b"], encoder, "one@1")
    assert encoder.texts == ["a", "b", "b", "b"]
    anonymous = Anonymous()
    embed_cached(["b"], anonymous, "one@1")
    embed_cached(["b"], anonymous, "one@1")
    assert anonymous.texts == ["b", "b"]


def test_a_start_that_is_killed_goes_on_from_there(monkeypatch):
    class Killed(Counting):
        def encode(self, texts):
            if self.texts:
                raise KeyboardInterrupt
            return super().encode(texts)

    monkeypatch.setattr("router_plugin.serving.candidate_store.BLOCK", 2)
    with pytest.raises(KeyboardInterrupt):
        embed_cached(["a", "b", "c"], Killed(), "one@1")
    encoder = Counting()
    embed_cached(["a", "b", "c"], encoder, "one@1")
    assert encoder.texts == ["c"]


@pytest.mark.parametrize("damage", ["no database", "cut off", "no unit vector", "another length", "no number"])
def test_damaged_vectors_are_made_anew(damage, disk, caplog):
    expected = embed_cached(["a", "b"], Counting(), "one@1")
    (file,) = disk.glob("*.db")
    vector = {
        "no unit vector": 2 * expected[0].vector,
        "another length": expected[0].vector[:-1],
        "no number": 0 * expected[0].vector + np.nan,
    }
    if damage == "no database":
        file.write_bytes(b"no database" * 100)
    elif damage == "cut off":
        file.write_bytes(file.read_bytes()[:5000])
    else:
        with sqlite3.connect(file) as database:
            changed = vector[damage].tobytes() + bytes(4) + expected[0].key
            database.execute("UPDATE entries SET value = ? WHERE rowid = 1", (changed,))
    encoder = Counting()
    for again in (embed_cached(["a", "b"], Counting(), "one@1"), embed_cached(["a", "b"], encoder, "one@1")):
        assert [each[1:] for each in again] == [each[1:] for each in expected]
        np.testing.assert_array_equal([each.vector for each in again], [each.vector for each in expected])
    assert encoder.texts == []


def test_where_nothing_can_be_kept_candidates_are_embedded_all_the_same(disk, caplog):
    disk.parent.mkdir(parents=True)
    disk.write_text("a file where the folder would be")
    encoder = Counting()
    (found,) = embed_cached(["a"], encoder, "one@1")
    assert found.vector.shape == (8,)
    assert "the next start embeds candidates again" in caplog.text


def test_many_threads_and_stores_keep_all():
    texts = [str(number) for number in range(64)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda start: embed_cached(texts[start : start + 32], Counting(), "one@1"), range(0, 33, 4)))
    encoder = Counting()
    embed_cached(texts, encoder, "one@1")
    assert encoder.texts == []


def test_single_gives_every_route_to_every_query(served):
    known = [*routes("law", domain="legal"), *routes("drug", domain="medical")]
    one = ANYTHING.replace(strategy="single", single_domain="medical")
    router = DomainRouter(known, str(served), settings=one)
    decision = router.route(LEGAL)
    assert (decision.domain, decision.domains, decision.model_version) == ("medical", {"medical": 1.0}, "medical@1")
    (scores,) = router.scores([LEGAL])
    assert min(scores.values()) > -1


def test_ensemble_is_the_best_of_the_likeliest_domains_the_second_one_discounted(served):
    known = [*routes("any"), *routes("law", domain="legal"), *routes("drug", domain="medical")]
    domains = ServedDomains(str(served), settings=ANYTHING)
    decision = DomainRouter.over(domains, known).route(LEGAL)
    first, second = sorted(decision.domains, key=decision.domains.get)[:-3:-1]
    ensemble = DomainRouter.over(domains, known, ANYTHING.replace(strategy="ensemble"))
    (found,) = ensemble.scores([LEGAL])
    assert ensemble.route(LEGAL).domain == first
    discount = {name: (decision.domains[name] / decision.domains[first]) ** DISCOUNT for name in (first, second)}
    for route in known:
        alone = {
            name: DomainRouter.over(domains, known, ANYTHING.replace(strategy="single", single_domain=name)).scores(
                [LEGAL]
            )[0][route.name]
            for name in (first, second)
        }
        seen = [name for name in (first, second) if route.domain in (None, name)]
        assert (route.name in found) == bool(seen)
        if seen:
            expected = max(discount[name] * alone[name] for name in seen)
            assert found[route.name] == pytest.approx(expected, abs=1e-4)


def scores_by(domains, known, **changed):
    """The scores of a query, and the domain of its decision, by a strategy."""
    router = DomainRouter.over(domains, known, ANYTHING.replace(**changed))
    return router.scores([LEGAL])[0], router.route(LEGAL).domain


@pytest.mark.parametrize("sure", [0.0, 2.0])
def test_adaptive_asks_one_encoder_where_the_domain_is_sure_and_else_the_base_model_too(served, monkeypatch, sure):
    monkeypatch.setattr("router_plugin.serving.strategies.CERTAIN", sure)
    known = [*routes("any"), *routes("law", domain="legal"), *routes("drug", domain="medical")]
    domains = ServedDomains(str(served), settings=ANYTHING)
    found, domain = scores_by(domains, known, strategy="adaptive")
    probabilities = DomainRouter.over(domains, known).route(LEGAL).domains
    first, second = sorted(probabilities, key=probabilities.get)[:-3:-1]
    assert domain == first
    alone = {name: scores_by(domains, known, strategy="single", single_domain=name)[0] for name in probabilities}
    if not sure and first != "general":
        assert found == {name: alone[first][name] for name in ("any", "law" if first == "legal" else "drug")}
        return
    assert found.keys() == {"any", "law", "drug"}
    for route in known:
        own = [name for name in (first, second) if route.domain in (None, name) and name != "general"]
        mean = np.mean([alone[name][route.name] for name in (*own, "general")])
        probable = (probabilities[route.domain] if route.domain else probabilities[first]) + 1e-3
        lowered = UNLIKELY * np.log(probable / (probabilities[first] + 1e-3))
        assert found[route.name] == pytest.approx(mean + lowered, abs=1e-4)


def test_related_domains_compete_though_the_classifier_is_certain(served, monkeypatch):
    monkeypatch.setattr("router_plugin.serving.strategies.CERTAIN", 0.0)
    known = [*routes("any"), *routes("law", domain="legal"), *routes("drug", domain="medical")]
    domains = ServedDomains(str(served), settings=ANYTHING)
    classifier = domains.classifier_knowing(queries_of(known))
    classifier.related = {}
    alone, first = scores_by(domains, known, strategy="adaptive")
    second = "medical" if first == "legal" else "legal"
    together, chosen = scores_by(domains, known, strategy="adaptive", related=("legal+medical",))
    assert chosen == first and len(alone) == 2 and len(together) == 3
    classifier.related = {first: {second}}
    assert scores_by(domains, known, strategy="adaptive")[0] == together


@pytest.mark.parametrize("related", ["legal", "legal+", "legal+nowhere", "nowhere"])
def test_related_domains_are_those_that_are_served(served, related):
    with pytest.raises(SettingsError, match=r"`related` .*: expected some of .*medical.*, joined by \+"):
        DomainRouter([], str(served), settings=Settings(related=(related,)))


def test_adaptive_scores_the_very_same_text_with_1_whatever_its_domain(served):
    known = [*routes("any"), Route(name="law", domain="legal", utterances=("tell me a joke",))]
    for query in ("tell me a joke", "Tell me a joke"):
        router = DomainRouter(known, str(served), settings=ANYTHING.replace(strategy="adaptive"))
        assert router.scores([query])[0]["law"] == 1


def test_an_ensemble_of_one_is_two_stage_routing(served):
    known = [*routes("any"), *routes("law", domain="legal"), *routes("drug", domain="medical")]
    one = DomainRouter(known, str(served), settings=ANYTHING.replace(strategy="ensemble", ensemble_domains=1))
    two_stage = DomainRouter.over(one.served_domains, known, ANYTHING)
    for query in (LEGAL, "why do my ankles swell", "tell me a joke"):
        assert one.scores([query]) == two_stage.scores([query])


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"strategy": "three_stage"}, "^`strategy` 'three_stage': expected two_stage, ensemble, adaptive or single"),
        ({"aggregation": "min"}, "^`aggregation` 'min': expected max, mean or top-k"),
        ({"top_k": 0}, "^`top_k` 0: expected a whole number of at least 1"),
        ({"ensemble_domains": 1.5}, "^`ensemble_domains` 1.5: expected a whole number of at least 1"),
        ({"max_query_characters": 0}, "^`max_query_characters` 0: expected a whole number of at least 1"),
        ({"memory_budget_mb": -1}, "^`memory_budget_mb` -1: expected a whole number of at least 0"),
        ({"preload": -1}, "^`preload` -1: expected a whole number of at least 0"),
        ({"query_cache": -1}, "^`query_cache` -1: expected a whole number of at least 0"),
        ({"query_cache": "many"}, "^`query_cache` 'many': expected a whole number of at least 0"),
        ({"min_confidence": float("nan")}, "^`min_confidence` nan: expected a number from 0 to 1"),
        ({"target_precision": 1.1}, "^`target_precision` 1.1: expected a number from 0 to 1"),
        ({"secondary_threshold": None}, "^`secondary_threshold` None: expected a number from 0 to 1"),
        ({"threshold": -1.5}, "^`threshold` -1.5: expected a number from -1 to 1"),
        ({"single_domain": "astrology"}, "single_domain 'astrology': expected one of general, finance"),
    ],
)
def test_an_invalid_setting_is_refused(served, wrong, expected):
    with pytest.raises(SettingsError, match=expected):
        DomainRouter([], str(served), settings=ANYTHING.replace(**wrong))


def test_numbers_at_the_ends_of_their_ranges_and_of_numpy_are_settings():
    least = Settings(ensemble_domains=1, top_k=1, max_query_characters=1, memory_budget_mb=0, preload=0, query_cache=0)
    assert least.replace(threshold=-1, min_confidence=0, target_precision=1, secondary_threshold=1).threshold == -1
    assert Settings(query_cache=np.int64(5), threshold=np.float32(0.5)).query_cache == 5


def clustered(rng, spread):
    """300 routes of a few utterances that are near each other; a tenth of them cannot be read, one is not finite."""
    counts = rng.integers(1, 5, 300)
    vectors = _units(
        np.repeat(_units(rng.normal(size=(300, 96))), counts, axis=0)
        + rng.normal(size=(counts.sum(), 96)) * spread / 10
    )
    unread = np.where(rng.random(len(vectors)) < 0.1, 1.0, 0.0)
    vectors[np.flatnonzero(unread)[0]] = np.nan
    made = [
        Route(name=str(row), utterances=tuple(f"{row} {each}" for each in range(count)))
        for row, count in enumerate(counts)
    ]
    kept = [
        Embedded(vector, part, digest_of_key(row))
        for row, (vector, part) in enumerate(zip(vectors, unread, strict=True))
    ]
    return Candidates(made, kept), vectors, unread


@pytest.mark.parametrize("compared", [64, 10_000])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spread", [0.05, 0.3, 5.0])
def test_of_many_candidates_the_nearest_are_compared(seed, spread, compared, monkeypatch):
    monkeypatch.setattr(searched, "MANY", 1)
    rng = np.random.default_rng(seed)
    candidates, vectors, unread = clustered(rng, spread)
    monkeypatch.setattr(searched, "COMPARED", min(compared, len(vectors)))
    hits = []
    for row in np.flatnonzero(unread == 0)[::7].tolist():
        asked = vectors[row] if row % 2 else _units(vectors[row] + rng.normal(size=96) * spread / 10)
        query = Queries(asked[None], ["any"], [0.0], [row])
        exact = candidates.scores(query)[0]
        found, scores = candidates.deciding(query)
        known = np.where(np.isnan(exact), -np.inf, exact)
        assert (scores <= known[found] + 2e-6).all()
        if compared > len(vectors):
            assert found.tolist() == np.flatnonzero(np.isfinite(known)).tolist()
            np.testing.assert_allclose(scores, exact[found], atol=2e-6)
        else:
            assert len(found) <= compared + 1
        nearest = known.argmax()
        hits.append(nearest in found and scores[found == nearest] == pytest.approx(known[nearest], abs=2e-6))
    assert np.mean(hits) > 0.97


def test_a_decision_among_many_candidates_is_the_same(served, monkeypatch):
    many = [Route(name=f"r{row}", domain="legal", utterances=(f"question {row}", f"clause {row}")) for row in range(40)]
    wanted = DomainRouter(many, str(served), settings=ANYTHING).route_many([LEGAL, "clause 7"], ["legal", "legal"])
    monkeypatch.setattr(searched, "MANY", 1)
    monkeypatch.setattr(searched, "COMPARED", 4)
    router = DomainRouter(many, str(served), settings=ANYTHING)
    for query, expected in zip([LEGAL, "clause 7"], wanted, strict=True):
        (found,) = router.route_many([query], ["legal"])
        assert (found.route, found.score) == (expected.route, pytest.approx(expected.score, abs=2e-6))
    assert len(router.scores([LEGAL])[0]) in (0, 40)


def _units(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)

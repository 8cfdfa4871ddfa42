"""A router that lives in a server: closed, and reloaded with new champions while queries come."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from registry import GENERAL, DamagedArtifactError, Registry
from router_plugin import (
    ClosedError,
    DomainRouter,
    JointSpace,
    Route,
    ServedDomains,
    Settings,
    Tuner,
    explain,
    hookimpl,
)
from router_plugin.plugins.manager import Plugins
from router_plugin.serving import domain_routes
from router_plugin.serving.candidate_store import embed, embed_cached
from tests.conftest import EXAMPLES
from training import publish

ANYTHING = Settings(target_precision=0, min_confidence=0, threshold=-1)
RENT, KNEE, LOAN = (
    json.loads((EXAMPLES / "data" / f"{domain}.jsonl").read_text(encoding="utf-8").partition("\n")[0])["question"]
    for domain in ("legal", "medical", "finance")
)
ROUTES = [
    Route(name="tenancy", domain="legal", utterances=("the landlord wants my deposit", "rent and landlords")),
    Route(name="knees", domain="medical", utterances=("pain in the knee",)),
    Route(name="anything", utterances=("let me talk to a person",)),
]


@pytest.fixture
def embedded(monkeypatch):
    """The texts that are embedded as candidates, each with the version that embeds it."""
    texts = []

    def counting(asked, encoder, version):
        texts.extend(asked)
        return embed(asked, encoder)  # and nothing comes from the disk

    monkeypatch.setattr(domain_routes, "embed_cached", counting)
    return texts


def promote(store, folder):
    version = publish(folder, store, force=True)
    store.promote(version.name)
    return version


@pytest.mark.slow
def test_a_reload_takes_the_new_champion_and_says_what_changed(store, other_legal):
    with DomainRouter(ROUTES, store, settings=ANYTHING) as router:
        before = router.route(RENT)
        assert before.model_version == "legal@1"
        assert not router.reload()
        promote(store, other_legal)
        assert router.route(RENT).model_version == "legal@1"
        reloaded = router.reload()
        assert reloaded
        assert (reloaded.versions, reloaded.unfitted) == ({"legal": ("legal@1", "legal@2")}, False)
        after = router.route(RENT)
        assert after.model_version == "legal@2" and after.score != pytest.approx(before.score, abs=1e-4)
        with DomainRouter(ROUTES, store, settings=ANYTHING) as fresh:
            assert fresh.route(RENT).score == pytest.approx(after.score, abs=1e-5)
        store.rollback("legal")
        assert router.reload().versions == {"legal": ("legal@2", "legal@1")}
        assert router.route(RENT).score == pytest.approx(before.score, abs=1e-5)


def test_a_domain_that_was_registered_meanwhile_is_served_after_a_reload(tmp_path, tiny_models):
    with closing(Registry.open(str(tmp_path / "registry"))) as store:
        publish(tiny_models["legal"], store, force=True)
        with DomainRouter(ROUTES[2:], store, settings=ANYTHING) as router:
            assert router.domains == (GENERAL, "legal")
            publish(tiny_models["medical"], store, force=True)
            assert router.reload().versions == {"medical": (None, "medical@1")}
            assert router.domains == (GENERAL, "legal", "medical")
            assert set(router.route(KNEE).domains) == set(router.domains)


@pytest.mark.slow
def test_nothing_is_embedded_or_loaded_again_for_a_domain_whose_version_is_the_same(store, other_legal, embedded):
    loads = []

    class Listening:
        @hookimpl
        def encoder(self, version):
            loads.append(version.name if version else GENERAL)

    plugins = Plugins()
    plugins.register(Listening(), "listening")
    with DomainRouter(ROUTES, store, settings=ANYTHING, plugin_manager=plugins) as router:
        router.preload(router.domains)
        router.route_many([RENT, KNEE])
        promote(store, other_legal)
        loads.clear(), embedded.clear()
        router.reload()
        assert loads == ["legal@2"]
        assert sorted(embedded) == sorted([*ROUTES[0].utterances, *ROUTES[2].utterances])
        embedded.clear()
        router.route_many([RENT, KNEE, LOAN])
        assert (loads, embedded) == (["legal@2"], [])


@pytest.mark.slow
def test_queries_during_reloads_are_decided_wholly_by_one_state(store, other_legal):
    queries = [RENT, KNEE, LOAN]
    with DomainRouter(ROUTES, store, settings=ANYTHING) as router:
        expected = {(each.query, each.model_version): each for each in router.route_many(queries)}
        promote(store, other_legal)
        router.reload()
        expected |= {(each.query, each.model_version): each for each in router.route_many(queries)}
        assert len({version for _, version in expected}) > 3
        done, seen = threading.Event(), []

        def ask():
            while not done.is_set():
                seen.extend(router.route_many(queries))

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask) for _ in range(3)]
            try:
                for _ in range(2):
                    store.rollback("legal")
                    assert router.reload()
                    store.promote("legal@2")
                    assert router.reload()
            finally:
                done.set()
            for each in asking:
                each.result()
    assert {decision.model_version for decision in seen} >= {"legal@1", "legal@2", "medical@1"}
    for decision in seen:
        wanted = expected[decision.query, decision.model_version]
        assert (decision.route, decision.domain) == (wanted.route, wanted.domain)
        assert decision.score == pytest.approx(wanted.score, abs=1e-4)


def test_a_reload_that_fails_leaves_the_router_as_it_was(store, other_legal, monkeypatch):
    with DomainRouter(ROUTES, store, settings=ANYTHING) as router:
        before, state = router.route(RENT), router.state
        version = promote(store, other_legal)
        config = store.fetch(version) / "config.json"
        whole = config.read_bytes()
        config.write_text("{}", encoding="utf-8")
        with pytest.raises(DamagedArtifactError, match=r"config\.json"):
            router.reload()
        assert router.state is state
        config.write_bytes(whole)
        with monkeypatch.context() as patch:

            def fail(*_, **__):
                raise RuntimeError("out of memory")

            patch.setattr(domain_routes, "embed_cached", fail)
            with pytest.raises(RuntimeError, match="out of memory"):
                router.reload()
        assert router.state is state
        assert router.route(RENT).score == pytest.approx(before.score, abs=1e-5)
        assert router.reload().versions == {"legal": ("legal@1", "legal@2")}


def test_routes_that_are_changed_during_a_reload_are_served_after_it(store, other_legal, monkeypatch):
    with DomainRouter(ROUTES, store, settings=ANYTHING) as router:
        router.route(RENT)
        promote(store, other_legal)
        added = Route(name="eviction", domain="legal", utterances=(RENT,))

        def embed_late(texts, encoder, version):
            if "eviction" not in {route.name for route in router.routes}:
                router.add_routes([added])
                assert router.route(RENT).model_version == "legal@1"
            return embed_cached(texts, encoder, version)

        monkeypatch.setattr(domain_routes, "embed_cached", embed_late)
        router.reload()
        decision = router.route(RENT)
        assert (decision.route, decision.model_version) == ("eviction", "legal@2")
        assert decision.score == pytest.approx(1, abs=1e-4)


def fit(router):
    """Thresholds with which each query gets its nearest route."""
    queries = [RENT, KNEE]
    return Tuner(router).fit(queries, [nearest for ((nearest, _),) in router.rank(queries, 1)])


@pytest.mark.slow
def test_what_was_fitted_for_the_old_models_is_not_used_after_a_reload(store, other_legal, caplog):
    given = [route.model_copy(update={"threshold": 0.99}) for route in ROUTES]
    with DomainRouter(given, store, settings=ANYTHING) as router:
        fitted = fit(router)
        assert fitted.thresholds and set(fitted.thresholds.values()).isdisjoint({0.99})
        assert {route.threshold for route in router.routes} > set(fitted.thresholds.values())
        promote(store, other_legal)
        assert router.reload().unfitted
        assert {route.threshold for route in router.routes} == {0.99}
        assert router.state.fitted.thresholds == {}
        assert "fitted for other models" in caplog.text
        store.rollback("legal")
        assert not router.reload().unfitted
        Tuner(router).apply(fitted)
        assert router.state.fitted == fitted


def test_fitted_thresholds_stay_where_the_files_of_the_new_version_are_the_same(store, tiny_models):
    with DomainRouter(ROUTES, store, settings=ANYTHING) as router:
        fitted = fit(router)
        promote(store, tiny_models["legal"])
        reloaded = router.reload()
        assert (reloaded.versions, reloaded.unfitted) == ({"legal": ("legal@1", "legal@2")}, False)
        assert router.state.fitted == fitted


def test_the_old_model_leaves_memory_after_a_reload_without_the_garbage_collector(store, other_legal):
    with DomainRouter(ROUTES, store, settings=ANYTHING) as router:
        router.route(RENT)
        with router.served_domains.encoder("legal") as encoder:
            old = weakref.ref(encoder)
        del encoder
        promote(store, other_legal)
        gc.disable()
        try:
            router.reload()
            assert old() is None
        finally:
            gc.enable()


def test_a_closed_router_says_so(served):
    router = DomainRouter(ROUTES, str(served), settings=ANYTHING)
    domains = router.served_domains
    router.route(RENT)
    router.close()
    router.close()
    calls = {
        "route": lambda: router.route(RENT),
        "scores": lambda: router.scores([RENT]),
        "add": lambda: router.add_routes([Route(name="more", utterances=("x",))]),
        "reload": router.reload,
        "explain": lambda: explain(router, RENT),
        "routes": lambda: router.routes,
        "classify": lambda: domains.classifier.classify([RENT]),
        "embed": lambda: domains.embed([("legal", RENT)]),
        "load": lambda: domains.load("legal"),
    }
    for call in calls.values():
        with pytest.raises(ClosedError, match="closed: open"):
            call()


def test_a_router_closes_what_it_opened(served, monkeypatch):
    closed = []
    monkeypatch.setattr(Registry, "close", lambda self: closed.append(self.url))
    with DomainRouter(ROUTES, str(served), settings=ANYTHING) as router:
        router.route(RENT)
        with router.served_domains.encoder("legal") as encoder:
            held = weakref.ref(encoder)
        del encoder
    assert len(closed) == 1 and held() is None
    with pytest.raises(Exception, match="unknown domain|not registered"):
        DomainRouter([Route(name="stars", domain="astrology", utterances=("x",))], str(served))
    assert len(closed) == 2
    with ServedDomains(str(served), settings=ANYTHING) as domains:
        assert domains.loaded == [] or domains.loaded
    assert len(closed) == 3


@pytest.mark.slow
def test_a_router_leaves_open_what_was_handed_in(store, served_domains, other_legal, monkeypatch):
    closed = []
    monkeypatch.setattr(Registry, "close", lambda self: closed.append(self.url))
    with DomainRouter(ROUTES, store, settings=ANYTHING):
        pass
    with ServedDomains(store, settings=ANYTHING) as domains:
        promote(store, other_legal)
        with DomainRouter.over(domains, ROUTES) as router:
            assert router.reload()
            assert router.route(RENT).model_version == "legal@2"
            with DomainRouter.over(domains, ROUTES) as other:
                assert other.route(RENT).model_version == "legal@1"
        assert domains.embed([("legal", RENT)])
        space = JointSpace(domains)
        space.encode_queries([RENT])
    assert closed == []
    with pytest.raises(ClosedError):
        space.encode_queries([RENT])


def test_the_counts_of_a_closed_router_are_written(served, monkeypatch, tmp_path):
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    settings = ANYTHING.replace(preload=1)
    router = DomainRouter(ROUTES, str(served), settings=settings)
    domain = router.route(RENT).domain
    router.close()
    with DomainRouter(ROUTES, str(served), settings=settings) as again:
        assert domain in again.loaded

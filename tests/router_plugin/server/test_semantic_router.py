"""semantic-router's own decision router, which asks the server; nothing of ours is imported on its side."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("semantic_router")

from semantic_router import Route
from semantic_router.config import load_router
from semantic_router.decision_models import SystemOneDecisionModel
from semantic_router.routers import Chain, DecisionRouter

QUERIES = ["what are the side effects of this medicine", "my landlord keeps the deposit", "should I refinance my loan"]


@pytest.fixture
def routes(over_all):
    """The server's routes as the library's own."""
    return [Route(name=each.name, utterances=list(each.utterances)) for each in over_all.routes]


@pytest.fixture
def asking(serving, routes):
    """The library's router."""
    router = DecisionRouter(SystemOneDecisionModel(name="domain-router", base_url=serving[0]), routes)
    yield router
    router.close()


def test_it_chooses_what_the_served_router_decides(asking, over_all):
    decided = [over_all.route(query) for query in QUERIES]
    assert any(decision.route for decision in decided)
    for query, decision in zip(QUERIES, decided, strict=True):
        choice = asking(query)
        assert choice.calibrated
        if decision.route:
            assert (choice.name, choice.confidence) == (decision.route, pytest.approx(decision.confidence, abs=1e-4))


def test_awaited_calls_choose_the_same(serving, routes, asking):
    async def ask():
        router = DecisionRouter(SystemOneDecisionModel(name="domain-router", base_url=serving[0]), routes)
        found = await asyncio.gather(*map(router.acall, QUERIES))
        await router.aclose()
        return found

    assert [choice.name for choice in asyncio.run(ask())] == [asking(query).name for query in QUERIES]


@pytest.mark.parametrize("kind", ["yaml", "json"])
def test_it_is_saved_by_the_library_and_answers_as_before_when_loaded(asking, tmp_path, kind):
    asking.confidence_threshold = 0.01
    asking.routes[0].confidence_threshold = 0.02
    path = tmp_path / f"router.{kind}"
    getattr(asking, f"to_{kind}")(path)
    loaded = load_router(path)
    assert (loaded.routes, loaded.model.base_url) == (asking.routes, asking.model.base_url)
    for query in [*QUERIES, ""]:
        assert loaded(query) == asking(query)
    loaded.close()


def test_an_empty_query_reaches_no_threshold_and_is_no_route_if_that_is_asked(asking):
    asking.confidence_threshold = 0.01
    assert asking("").name is None
    asking.add(Route(name="none", description="nothing of these"))
    assert (asking("").name, asking("").confidence) == ("none", 1)


def test_routes_that_are_not_the_servers_are_compared_by_what_they_say(serving):
    model = SystemOneDecisionModel(name="domain-router", base_url=serving[0])
    routes = [Route(name="jam", description="strawberry jam"), Route(name="cars", utterances=["engine", "tyres"])]
    router = Chain([DecisionRouter(model, routes)])
    assert router("strawberry jam").name == "jam"
    assert router("tyres").name == "cars"
    model.close()

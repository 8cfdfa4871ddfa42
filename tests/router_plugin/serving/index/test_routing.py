"""A router with candidates in an index decides as in memory, follows promotions, and never answers wrongly."""

from __future__ import annotations

import json
from contextlib import closing

import httpx
import pytest

pytest.importorskip("qdrant_client")

from router_plugin import (
    CandidateIndexError,
    DomainRouter,
    JointSpace,
    Route,
    ServedDomains,
    Settings,
    SettingsError,
    explain,
    load_routes,
)
from router_plugin.serving.index.contract import Entry, id_of
from router_plugin.serving.index.opening import open_index
from router_plugin.serving.index.upkeep import drop_old
from router_plugin.utterances import Reading
from tests.conftest import EXAMPLES
from tests.router_plugin.server.conftest import running
from training import publish

LEGAL = "can my landlord keep the deposit"
QUERIES = [
    *(LEGAL, "why do my ankles swell", "tell me a joke", "what is a trust", "how much is the fee", "and then"),
    *("Can my LANDLORD keep the deposit", "\u200b", "ሰላም ነው", ""),
]
ROUTES = [
    *load_routes(EXAMPLES / "routes.yaml"),
    *load_routes(EXAMPLES / "legal_routes.yaml"),
    Route(name="unread", utterances=("ሰላም ነው", LEGAL.upper())),
]
SETTINGS = Settings(target_precision=0, min_confidence=0)
WAYS = [
    *(("two_stage", "max"), ("adaptive", "max"), ("adaptive", "top-k"), ("ensemble", "mean"), ("single", "top-k")),
]


@pytest.fixture(scope="module")
def in_memory(served):
    with ServedDomains(str(served), settings=SETTINGS) as domains:
        yield domains


@pytest.fixture(params=[False, True], ids=["by score", "hybrid"])
def ranking(request, monkeypatch):
    """Whether words count in every domain."""
    monkeypatch.setattr(ServedDomains, "is_hybrid", lambda domains, name: request.param)


def test_decisions_are_those_in_memory_and_so_is_every_score_however_few_are_read(served, address, in_memory, ranking):
    for nearest in (10_000, 2):
        with ServedDomains(str(served), settings=SETTINGS.replace(index=address, index_nearest=nearest)) as stored:
            for strategy, aggregation in WAYS:
                one, other = (
                    DomainRouter.over(each, ROUTES, each.settings.replace(strategy=strategy, aggregation=aggregation))
                    for each in (in_memory, stored)
                )
                for expected, found in zip(one.examine(QUERIES), other.examine(QUERIES), strict=True):
                    scores, known = found.by_route(), expected.by_route()
                    assert scores == pytest.approx({name: known[name] for name in scores}, abs=5e-6)
                    if nearest > 2:
                        assert scores.keys() == known.keys()
                        assert found.verdict()[::3] == expected.verdict()[::3]  # route and reason
                        assert found.verdict().confidence == pytest.approx(expected.verdict().confidence, abs=1e-3)


def test_a_decision_is_explained_by_what_is_nearest(served, tmp_path, in_memory):
    with DomainRouter(ROUTES, str(served), settings=SETTINGS.replace(index=str(tmp_path))) as router:
        found, expected = explain(router, LEGAL, 3), explain(DomainRouter.over(in_memory, ROUTES), LEGAL, 3)
        assert [each.utterance for each in found.nearest] == [each.utterance for each in expected.nearest]
        assert {each.utterance for each in found.nearest_in_general} == {each.utterance for each in found.nearest}


def test_a_promotion_is_built_beside_what_serves_and_the_old_one_is_dropped_by_a_command(
    store, other_legal, tmp_path, cli
):
    (tmp_path / "index").mkdir()
    routes = EXAMPLES / "legal_routes.yaml"
    common = (tmp_path / "index", "--registry", tmp_path / "registry")

    def run(step, *options):
        given = () if step == "drop" else ("--routes", routes)
        code, out, err = cli("index", step, *common, *given, *options, "--json")
        assert code == 0, err
        return json.loads(out)

    number = sum(len(route.utterances) for route in load_routes(routes))
    assert {each["status"] for each in run("status")} == {"incomplete"}
    built = {each["domain"]: each for each in run("build")}
    assert built["legal"]["made"] == number and built["*"]["model"]
    assert {each["made"] for each in run("build")} == {0}
    assert {(each["status"], each["missing"]) for each in run("status")} == {("serving", 0)}

    settings = SETTINGS.replace(index=str(tmp_path / "index"), strategy="two_stage")
    before = built["legal"]["space"]
    with DomainRouter(str(routes), store, settings=settings) as router:
        assert router.route(LEGAL).model_version == "legal@1"
        store.promote(publish(other_legal, store, force=True).name)
        router.reload()
        assert router.route(LEGAL).model_version == "legal@2"
        assert {each.space.model for each in router.served_domains.index.spaces()} >= {"legal@1", "legal@2"}
    after = {each["space"]: each["status"] for each in run("status")}
    assert after[before] == "unused" and len(after) == len(built) + 1
    (new,) = (each["space"] for each in run("status") if each["model"] == "legal@2")
    code, _, err = cli("index", "drop", *common, new)
    assert code == 2 and "serves" in err and "force" in err
    assert cli("index", "drop", *common)[0] == 2
    assert [each["space"] for each in run("drop", "--old")] == [before]
    assert run("drop", "--old") == []
    assert [each["space"] for each in run("drop", new, "--force")] == [new]
    assert cli("index", "drop", *common, "nothing")[2].startswith(f"error: {tmp_path / 'index'} has no space 'nothing'")


def test_what_is_promoted_next_is_built_ahead(store, other_legal, tmp_path, cli):
    (tmp_path / "index").mkdir()
    routes = EXAMPLES / "legal_routes.yaml"
    publish(other_legal, store, force=True)
    common = (tmp_path / "index", "--registry", tmp_path / "registry", "--routes", routes)
    assert cli("index", "build", *common, "--model", "legal@2")[0] == 0
    with closing(open_index(str(tmp_path / "index"), 1)) as index:
        assert "legal@2" in {each.space.model for each in index.spaces()}
    code, out, _ = cli(
        "route", LEGAL, "--routes", routes, "--registry", tmp_path / "registry", "--index", common[0], "--json"
    )
    assert code == 0 and json.loads(out)["query"] == LEGAL


def test_a_server_whose_store_goes_away_says_503_and_answers_when_it_is_back(served, database):
    import psycopg

    settings = SETTINGS.replace(index=database, strategy="two_stage", index_timeout_s=1)
    with running(DomainRouter(ROUTES, str(served), settings=settings)) as (url, service):
        ask = {"query": LEGAL}
        expected = httpx.post(f"{url}/v1/route", json=ask).json()
        spaces = service.router.served_domains.index.spaces()
        with psycopg.connect(database, autocommit=True) as other:
            for each in spaces:
                other.execute(f"ALTER TABLE {each.space.place} RENAME TO gone_{each.space.identifier}")
            answer = httpx.post(f"{url}/v1/route", json=ask)
            assert answer.status_code == 503 and "index build" in answer.json()["error"]["message"]
            for each in spaces:
                other.execute(f"ALTER TABLE gone_{each.space.identifier} RENAME TO {each.space.place}")
        assert httpx.post(f"{url}/v1/route", json=ask).json()["route"] == expected["route"]


@pytest.mark.parametrize(
    "options",
    [
        ("--index", "postgresql://me:s3cret@127.0.0.1:1/db"),
        ("--index", "http://127.0.0.1:1"),
    ],
)
def test_a_mistake_is_one_line(cli, served, options):
    code, _, err = cli("route", LEGAL, "--routes", EXAMPLES / "routes.yaml", "--registry", served, *options)
    assert code == 2 and err.count("\n") == 1 and "s3cret" not in err


def test_how_much_is_read_is_refused_without_an_index(cli, served):
    code, _, err = cli("route", LEGAL, "--routes", EXAMPLES / "routes.yaml", "--index-nearest", "5")
    assert code == 2 and "--index-nearest cannot be used without --index" in err


def test_settings_of_the_index_are_those_that_the_domains_were_opened_with(in_memory):
    with pytest.raises(SettingsError, match="`index`.*has no effect"):
        DomainRouter.over(in_memory, ROUTES, SETTINGS.replace(index="postgresql://host/db"))


def test_vectors_of_a_joint_space_are_stored_under_its_identifier_and_found_by_no_other(in_memory, address):
    texts = [route.utterances[0] for route in ROUTES[:6]]
    with closing(open_index(address, 5)) as index:
        one, other = JointSpace(in_memory), JointSpace(in_memory, top=2)
        vectors = one.encode_documents(texts)
        index.write(
            one.stored_as,
            [Entry(id_of(text), vector, Reading(0.0, b"")) for text, vector in zip(texts, vectors, strict=True)],
        )
        ((nearest, *_),) = index.nearest(one.stored_as, one.encode_queries([texts[3]]), 2)
        assert nearest == (id_of(texts[3]), pytest.approx(1, abs=1e-5))
        with pytest.raises(CandidateIndexError, match="a joint space by domain-routed.*it has a joint space"):
            index.nearest(other.stored_as, other.encode_queries([texts[3]]), 2)
        assert drop_old(index, set()) == []

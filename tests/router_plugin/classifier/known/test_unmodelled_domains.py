"""Domains without a model: known by queries or a description, served by the base model, wrong files explained."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from registry import DomainRouterError
from router_plugin import DomainRouter, Route, Settings
from router_plugin.classifier.known.unmodelled_domains import UnmodelledDomain, load_domains
from router_plugin.cli import app
from tests.conftest import EXAMPLES

TRAVEL = [
    f"{start} {what}"
    for start in ("how do i book", "what is the price of", "please cancel", "where can i find", "i lost")
    for what in ("a flight to japan", "the hotel at the beach", "my train ticket", "the luggage", "a visa", "the ferry")
]
COOKING = [
    f"{start} {what}"
    for start in ("how do i cook", "what goes well with", "how long do i boil", "can i freeze", "how do i season")
    for what in ("rice with beans", "a roast chicken", "tomato soup", "fresh pasta", "potatoes", "salmon")
]


TWO = "domains:\n- name: a\n  queries: [x]\n"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def labelled(tmp_path):
    rows = [{"text": text, "domain": "travel"} for text in TRAVEL]
    rows += [{"text": text, "domain": "cooking"} for text in COOKING] + [{"text": "hello there", "domain": None}]
    path = tmp_path / "labelled.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.slow
def test_labelled_queries_make_domains_that_the_base_model_serves(home, labelled, real_base, tmp_path):
    routes = [Route(name="trips", domain="travel", utterances=("book a trip",)), Route(name="any", utterances=("hi",))]
    router = DomainRouter(
        routes, str(tmp_path / "registry"), extra_domains=load_domains(labelled), settings=Settings(threshold=-1)
    )
    assert router.domains == ("general", "travel", "cooking")
    trip, meal = router.route_many(["how do i book the ferry to japan", "how long do i boil fresh potatoes"])
    assert (trip.domain, trip.route, trip.model_version) == ("travel", "trips", real_base.name)
    assert (meal.domain, meal.route) == ("cooking", "any")
    assert router.loaded == ["general"]


def test_the_profiles_are_made_once(home, labelled, tmp_path, monkeypatch):
    DomainRouter([], str(tmp_path / "registry"), extra_domains=load_domains(labelled))
    assert len(list(home.glob("cache/profiles/*/classifier_profile.safetensors"))) == 2
    monkeypatch.setattr("registry.Profile.from_queries", lambda *_: pytest.fail("made again"))
    router = DomainRouter([], str(tmp_path / "registry"), extra_domains=load_domains(labelled))
    assert router.route("how do i book a visa").domain == "travel"


def test_they_are_served_where_nothing_can_be_kept(home, labelled, tmp_path):
    home.write_text("no folder")
    settings = Settings(threshold=-1)
    router = DomainRouter([], str(tmp_path / "registry"), extra_domains=load_domains(labelled), settings=settings)
    assert router.route("how do i book a visa").domain == "travel"


def test_a_description_is_a_start(home, tmp_path):
    domains = [
        UnmodelledDomain(
            name="cooking", description="Recipes, cooking time, ingredients, spices, boiling rice and pasta"
        ),
        UnmodelledDomain(name="travel", description="Flights, hotels, trains, luggage, visas and booking a trip"),
    ]
    router = DomainRouter([], str(tmp_path / "registry"), extra_domains=domains)
    likely = [
        max(("cooking", "travel"), key=decision.domains.__getitem__) for decision in router.route_many(COOKING + TRAVEL)
    ]
    right = [name == ("cooking" if row < len(COOKING) else "travel") for row, name in enumerate(likely)]
    assert sum(right) / len(right) > 0.8


def test_own_domains_stand_beside_registered_ones_whose_names_they_may_not_take(home, served):
    travel = UnmodelledDomain(name="travel", queries=tuple(TRAVEL))
    settings = Settings(target_precision=0)
    router = DomainRouter([], str(served), extra_domains=[travel], settings=settings)
    assert set(router.domains) == {"general", "medical", "finance", "legal", "travel"}
    assert router.route("how do i book a visa").domain == "travel"
    with pytest.raises(DomainRouterError, match="domain legal is registered"):
        DomainRouter([], str(served), extra_domains=[UnmodelledDomain(name="legal", queries=("x",))])
    with pytest.raises(DomainRouterError, match="duplicate domain travel"):
        DomainRouter([], str(served), extra_domains=[travel, travel])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("domains: 3", "expected a list 'domains'"),
        ("nothing", "expected a list 'domains'"),
        ("domains: [{name: a}]", "domain a has neither queries nor a description"),
        ("domains: [{name: 'a b', queries: [x]}]", "a b"),
        ("domains: [{name: general, queries: [x]}]", "domain 'general' is reserved"),
        ("domains: [{name: a, querys: [x]}]", "line 1: querys: Extra inputs"),
        ("domains:\n- {name: a, queries: [x]}\n- name: b\n  queries:\n  - 3", "line 5: queries.0: Input should be a"),
        ("domains: [{name: a, queries: [x]}, {name: a, queries: [y]}]", "duplicate domain a"),
        ("domains: [", "line 1: expected the node content"),
        (f"{TWO}  name: b\n", "line 4: duplicate key 'name'"),
        ("domains: &a [*a]", "line 1: aliases are not allowed"),
        (f"{TWO}  description: 2020-99-99", "line 4: invalid timestamp: month must be"),
        (f"{TWO}  description: {'9' * 5000}", "line 4: (invalid int: Exceeds the limit|description: )"),
        (
            f"{TWO}  description: 0x{'f' * 5000}",
            "line 4: description: .* a valid string: YAML reads .* a very large number",
        ),
        (TWO + '  description: "\\U00110000"', "line 4: .*range"),
        (f"{TWO}  {'x' * 1000}: 1\n  {'x' * 1000}: 2", "line 5: duplicate key 'x+[.]{3}x+'"),
        (f"{TWO}  description: !!int {'x' * 5000}", "line 4: invalid int: .{1,100}$"),
        ("[" * 5000, "nested too deeply"),
        (b"\xff", "is not UTF-8 text"),
        (b"domains:\n- \x00", r"line 2: the character U\+0000 is not allowed"),
        (b"#" * ((32 << 20) + 1), "is larger than 32 MiB"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "bytes",
)
def test_a_wrong_file_is_explained(tmp_path, text, message):
    path = tmp_path / "domains.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DomainRouterError, match=message):
        load_domains(path)


@pytest.mark.slow
def test_the_command_line_takes_them(home, tmp_path, labelled):
    (tmp_path / "registry").mkdir()
    (tmp_path / "routes.yaml").write_text("routes: [{name: trips, domain: travel, utterances: [book a trip]}]")
    command = ["route", TRAVEL[0], "--routes", str(tmp_path / "routes.yaml"), "--registry", str(tmp_path / "registry")]
    done = CliRunner().invoke(app, [*command, "--extra-domains", str(labelled), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["route"] == "trips"
    command = ["classifier", "evaluate", str(labelled), "--registry", str(tmp_path / "registry"), "--json"]
    done = CliRunner().invoke(app, [*command, "--extra-domains", str(labelled)])
    assert json.loads(done.stdout)["accuracy"] > 0.9
    assert [domain.name for domain in load_domains(EXAMPLES / "domains.yaml")] == ["household", "travel"]

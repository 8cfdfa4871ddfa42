"""The ways to serve many domains, compared: what each figure is, and what the page and the command show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from registry import GENERAL
from router_plugin import DomainRouter, QueryError, Route, RoutesError, Settings, SettingsError
from router_plugin.comparison.page import comparison_page
from router_plugin.comparison.strategies import Comparison, Question, Task, compare, measure
from router_plugin.errors import ComparisonError

ANYTHING = Settings(target_precision=0, min_confidence=0, threshold=-1)
ROUTES = (
    Route(name="tenancy", domain="legal", utterances=("can a landlord keep my deposit", "rent and landlords")),
    Route(name="drugs", domain="medical", utterances=("is aspirin safe with wine", "pills and tablets")),
    Route(name="human", utterances=("get me a person",)),
)
QUESTIONS = (
    Question("can a landlord keep my deposit", "legal", ("tenancy",)),
    Question("is aspirin safe with wine", "medical", ("drugs", "human")),
    Question("get me a person", GENERAL, ("human",)),
    Question("tell me a joke about penguins", GENERAL, ()),
)
WAYS = ["base", "multi", "two_stage", "ensemble", "oracle"]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Nothing is kept from before."""
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))


@pytest.fixture
def found(served, kept):
    task = Task(ROUTES, QUESTIONS)
    return compare(task, str(served), multi_domain="finance", settings=ANYTHING, ways=WAYS[::-1])


def test_every_way_is_measured_on_the_same_questions(found, tmp_path):
    assert [way.way for way in found.ways] == WAYS
    for way in found.ways:
        assert way.quality.questions == 3
        assert {name: each.questions for name, each in way.by_domain.items()} == {GENERAL: 1, "legal": 1, "medical": 1}
        assert way.out_of_scope_recall == 0  # with a threshold that all reach
        assert 0 < way.median_ms <= way.p99_ms and way.resident_mb > 50
    by_way = {way.way: way for way in found.ways}
    assert by_way["base"].quality.accuracy == 1  # each is an utterance of its route
    assert by_way["base"].domain_accuracy is None
    assert (by_way["oracle"].domain_accuracy, by_way["oracle"].quality.accuracy) == (1, 1)
    assert (by_way["multi"].adding_embeds, by_way["two_stage"].adding_embeds, by_way["base"].adding_embeds) == (7, 3, 2)
    assert json.loads(json.dumps(found.to_dict()))["ways"][0]["way"] == "base"
    page = comparison_page(found, "A <title>")
    assert "A &lt;title&gt;" in page and all(way in page for way in WAYS)
    assert "<script" not in page and "://" not in page


def test_some_ways_alone_are_compared(served, kept):
    task = Task(ROUTES, QUESTIONS)
    found = compare(task, str(served), settings=ANYTHING, ways=("oracle",))
    assert [way.way for way in found.ways] == ["oracle"]
    with pytest.raises(SettingsError, match="'three_stage': expected some of base, multi, two_stage, ensemble, oracle"):
        compare(task, str(served), ways=["three_stage"])
    with pytest.raises(SettingsError, match="multi needs the name"):
        compare(task, str(served), ways=["multi"])


def test_thresholds_are_fitted_by_every_way_for_itself(served):
    from router_plugin.comparison.strategies import _Way

    way = _Way("two_stage", ANYTHING.replace(threshold=0.0, query_cache=0), str(served), None)
    fitted = measure(Task(ROUTES, QUESTIONS, fit=QUESTIONS), way)
    assert fitted.routed >= measure(Task(ROUTES, QUESTIONS), way).routed
    assert fitted.quality == measure(Task(ROUTES, QUESTIONS), way).quality


def test_ranks_are_told_though_no_threshold_is_reached(served):
    router = DomainRouter(ROUTES, str(served), settings=ANYTHING.replace(threshold=1))
    (ranks,) = router.rank([QUESTIONS[0].text], 5, ["legal"])
    assert [name for name, _ in ranks] == ["tenancy", "human"] and ranks[0][1] == pytest.approx(1, abs=1e-4)
    assert router.rank([QUESTIONS[0].text], 1, ["legal"])[0] == ranks[:1]


def test_a_domain_that_the_caller_knows_is_used(served):
    router = DomainRouter(ROUTES, str(served), settings=ANYTHING)
    decisions = router.route_many([QUESTIONS[0].text] * 2, ["legal", "medical"])
    assert [decision.domain for decision in decisions] == ["legal", "medical"]
    assert [decision.domains["legal"] for decision in decisions] == [1, 0]
    for domains, expected in ((["legal"], "a domain for every query"), (["legal", "astrology"], "'astrology' is not")):
        with pytest.raises(QueryError, match=expected):
            router.route_many([QUESTIONS[0].text] * 2, domains)


def test_a_question_about_no_route_is_an_error(served):
    with pytest.raises(RoutesError, match="question 'where': there is no route 'nowhere'"):
        compare(Task(ROUTES, (Question("where", GENERAL, ("nowhere",)),)), str(served))


def test_an_error_of_a_way_reaches_the_caller(served, kept):
    task = Task((Route(name="stars", domain="astrology", utterances=("x",)),), QUESTIONS[-1:])
    with pytest.raises(RoutesError, match="astrology"):
        compare(task, str(served), ways=("two_stage",))


def test_a_way_whose_process_is_killed_is_named(served, kept, monkeypatch):
    monkeypatch.setattr("router_plugin.comparison.strategies.measure", killed)
    with pytest.raises(ComparisonError, match="way two_stage: its process was ended"):
        compare(Task(ROUTES, QUESTIONS), str(served), ways=["two_stage"])


def killed(task, way):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_comparison_leaves_no_process():
    code = (
        "import os, time; from router_plugin.comparison import strategies;"
        "strategies.LIBRARIES = (); pool = strategies._fresh_process();"  # nothing slow to import
        "print(pool.submit(os.getpid).result(), flush=True); pool.submit(time.sleep, 300).result()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as comparing:
        child = int(comparing.stdout.readline())
        os.kill(child, 0)
        comparing.kill()
    for _ in range(300):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail(f"process {child} is still there")


def test_the_command_compares_labelled_queries_and_prepared_data(cli, served, tiny_models, tmp_path, monkeypatch):
    ways = []

    def comparing(task, registry, **options):
        ways.append((task, options["multi_domain"]))
        from router_plugin.comparison.strategies import _Way

        return Comparison([measure(task, _Way("oracle", ANYTHING.replace(query_cache=0), registry, None))])

    monkeypatch.setattr("router_plugin.comparison.strategies.compare", comparing)
    labelled, routes, page = tmp_path / "labelled.jsonl", tmp_path / "routes.yaml", tmp_path / "page.html"
    routes.write_text("routes:\n- {name: tenancy, domain: legal, utterances: [can a landlord keep my deposit]}\n")
    rows = [("can a landlord keep my deposit", "tenancy", None), ("a joke", None, None), ("pills", None, "medical")]
    labelled.write_text(
        "".join(json.dumps({"text": text, "route": route, "domain": domain}) + "\n" for text, route, domain in rows)
    )
    common = ("--registry", served)
    status, out, _ = cli("compare", "--queries", labelled, "--routes", routes, "--html", page, *common)
    assert status == 0 and "oracle" in out and "By domain" in page.read_text()
    assert [each.domain for each in ways[0][0].questions] == ["legal", GENERAL, "medical"]
    data = [f"--data={name}={tiny_models[name].with_name(f'{name}-data')}" for name in ("legal", "medical")]
    status, out, _ = cli("compare", *data, "--json", *common)
    assert status == 0 and set(json.loads(out)["ways"][0]["by_domain"]) == {"legal", "medical"}
    assert cli("compare", *common)[0] == 2
    assert "expected DOMAIN=DIR" in cli("compare", "--data", "legal", *common)[2]

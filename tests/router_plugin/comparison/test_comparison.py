"""Serving configurations, compared: what each figure is, and what the page and the command show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from registry import GENERAL, InvalidNameError
from registry.texts.forms import text_key
from router_plugin import DomainRouter, QueryError, Route, RoutesError, Settings, SettingsError
from router_plugin.comparison.measuring import Configuration, measure
from router_plugin.comparison.page import comparison_page
from router_plugin.comparison.strategies import CONFIGURATIONS, Comparison, compare
from router_plugin.comparison.tasks import Question, Task, retrieval_task, routing_task
from router_plugin.errors import ComparisonError
from tests.training.samples import prepared
from training import read_prepared
from training.sources.pairs import Pair

pytestmark = pytest.mark.slow

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


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Nothing is kept from before."""
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))


@pytest.fixture
def found(served, kept):
    task = Task(ROUTES, QUESTIONS)
    return compare(task, str(served), multi="finance", settings=ANYTHING)


def test_every_configuration_is_measured_on_the_same_questions(found, tmp_path):
    assert tuple(each.configuration for each in found.configurations) == CONFIGURATIONS
    for each in found.configurations:
        assert each.quality.questions == 3
        counts = {name: quality.questions for name, quality in each.by_domain.items()}
        assert counts == {GENERAL: 1, "legal": 1, "medical": 1}
        assert each.out_of_scope_recall == 0  # with a threshold that all reach
        assert 0 < each.median_ms <= each.p99_ms and each.resident_mb > 50
    by_name = {each.configuration: each for each in found.configurations}
    assert by_name["unadapted"].quality.accuracy == 1  # each is an utterance of its route
    assert by_name["unadapted"].domain_accuracy is None
    assert (by_name["oracle"].domain_accuracy, by_name["oracle"].quality.accuracy) == (1, 1)
    added = {name: each.adding_embeds for name, each in by_name.items()}
    assert (added["multi"], added["two_stage"], added["unadapted"]) == (7, 3, 2)
    assert json.loads(json.dumps(found.to_dict()))["configurations"][0]["configuration"] == "unadapted"
    page = comparison_page(found, "A <title>")
    assert "A &lt;title&gt;" in page and all(name in page for name in CONFIGURATIONS)
    assert "<script" not in page and "://" not in page


def test_chance_is_told_from_what_differs_on_the_same_questions(served, kept):
    (figures,) = compare(
        Task(ROUTES, QUESTIONS), str(served), settings=ANYTHING, configurations=("two_stage",)
    ).configurations

    def variant(name, right):
        return replace(figures, configuration=name, right=tuple(right))

    good, worse = [True] * 90 + [False] * 10, [True] * 80 + [False] * 20
    other = [False] * 10 + [True] * 80 + [True] * 10
    every = {"adaptive": good, "two_stage": worse, "ensemble": other, "oracle": [True] * 100}
    found = Comparison([variant(*each) for each in every.items()])
    first, second, third, oracle = found.p_values("right")
    assert (first, third) == (1, 1)  # as many are better as are worse
    assert second == pytest.approx(2 / 2**10) and oracle == second
    by_name = {each["configuration"]: each for each in found.to_dict()["configurations"]}
    assert by_name["two_stage"]["right_p_value"] == second and "right" not in by_name["two_stage"]


def test_some_configurations_are_compared(served, kept):
    task = Task(ROUTES, QUESTIONS)
    found = compare(task, str(served), settings=ANYTHING, configurations=("oracle",))
    assert [each.configuration for each in found.configurations] == ["oracle"]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (
            {"configurations": ["three_stage"]},
            "`configurations` three_stage: expected some of unadapted, multi, two_stage, ensemble, adaptive, oracle",
        ),
        ({"configurations": ["multi"]}, "nothing to compare: 'multi' needs `multi`"),
        ({"configurations": ["oracle"], "multi": "all"}, "`multi` cannot be used without `configurations` multi"),
        ({"multi_registry": "other"}, "`multi_registry` cannot be used without `multi`"),
    ],
)
def test_what_cannot_be_compared_is_explained(options, fault):
    with pytest.raises(SettingsError, match=f"^{fault}$"):
        compare(Task(ROUTES, QUESTIONS), **options)


def test_every_configuration_tunes_its_own_thresholds(served):
    two_stage = Configuration("two_stage", ANYTHING.replace(threshold=0.0, query_cache=0), str(served))
    fitted = measure(Task(ROUTES, QUESTIONS, fit=QUESTIONS), two_stage)
    assert fitted.routed >= measure(Task(ROUTES, QUESTIONS), two_stage).routed
    assert fitted.quality == measure(Task(ROUTES, QUESTIONS), two_stage).quality


def test_ranks_are_returned_though_no_threshold_is_reached(served):
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


def test_a_question_about_an_unknown_route_is_an_error():
    with pytest.raises(RoutesError, match="question 'where': unknown route 'nowhere'"):
        Task(ROUTES, (Question("where", GENERAL, ("nowhere",)),))


def test_an_error_in_a_process_reaches_the_caller(served, kept):
    task = Task((Route(name="stars", domain="astrology", utterances=("x",)),), QUESTIONS[-1:])
    with pytest.raises(RoutesError, match="astrology"):
        compare(task, str(served), configurations=("two_stage",))


def test_a_configuration_whose_process_is_killed_is_named(served, kept):
    with pytest.raises(ComparisonError, match="configuration two_stage: its process was killed"):
        compare(Task(ROUTES, (Deadly("x", GENERAL, ()),)), str(served), configurations=["two_stage"])


class Deadly(Question):
    """Kills the process that receives it."""

    def __reduce__(self):
        return os.kill, (KillMe(), signal.SIGKILL)


class KillMe:
    """Becomes the number of the process that receives it."""

    def __reduce__(self):
        return os.getpid, ()


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


def test_a_task_of_labelled_queries_has_the_domain_of_the_route_or_of_the_query(tmp_path):
    file = tmp_path / "labelled.jsonl"
    rows = [("a deposit", "tenancy", None), ("a joke", None, None), ("pills", None, "medical")]
    file.write_text(
        "".join(json.dumps({"text": text, "route": route, "domain": domain}) + "\n" for text, route, domain in rows)
    )
    task = routing_task(ROUTES, file)
    assert [(each.domain, each.relevant) for each in task.questions] == [
        ("legal", ("tenancy",)),
        (GENERAL, ()),
        ("medical", ()),
    ]
    assert (task.routes, task.fit) == (ROUTES, ())
    assert routing_task(ROUTES, file, file).fit == task.questions


def test_a_task_of_prepared_data_has_every_document_as_a_route_of_its_domain(tiny_models):
    legal = read_prepared(tiny_models["legal"].with_name("legal-data"))
    task = retrieval_task({"legal": legal, "law": legal})
    assert len(task.routes) == 2 * len(legal.corpus) and len(task.questions) == 2 * len(legal.qrels["test"])
    assert {each.domain for each in task.questions} == {"legal", "law"}
    assert all(name.startswith(f"{each.domain}/") for each in task.questions for name in each.relevant)
    with pytest.raises(ComparisonError, match="^`split` fair: expected one of train, dev, test$"):
        retrieval_task({"legal": legal}, "fair")
    with pytest.raises(InvalidNameError, match="'A b'"):
        retrieval_task({"A b": legal})


WORDINGS = [
    ("Can my landlord keep the deposit?", "may a lessor retain what I paid as security"),
    ("How do I contest a will?", "what can I do against a last testament"),
    ("Is a spoken contract valid?", "does an agreement bind me that nobody wrote down"),
]


def test_a_question_among_the_documents_is_not_compared_with_itself(served, tmp_path):
    pairs = [Pair(*pair) for pair in WORDINGS] + [Pair(answer.upper(), question) for question, answer in WORDINGS]
    data = prepared(pairs, tmp_path / "both", split="test")
    task = retrieval_task({"legal": data})
    names = {text_key(route.utterances[0]): route.name for route in task.routes}
    assert [each.own for each in task.questions] == [(names[text_key(each.text)],) for each in task.questions]
    oracle = Configuration("oracle", ANYTHING.replace(query_cache=0), str(served))
    found = measure(task, oracle)
    with_own = measure(Task(task.routes, tuple(replace(each, own=()) for each in task.questions)), oracle)
    assert with_own.quality.accuracy == with_own.routed == 0
    assert found.quality.accuracy == found.routed > 0
    assert found.quality.mrr > with_own.quality.mrr


def test_a_relevant_document_that_is_the_question_is_compared_with_it(tmp_path):
    data = prepared([Pair(text, text.upper()) for text, _ in WORDINGS], tmp_path / "same", split="test")
    assert not any(each.own for each in retrieval_task({"legal": data}).questions)


def test_the_command_compares_labelled_queries_and_prepared_data(cli, served, tiny_models, tmp_path, monkeypatch):
    def comparing(task, registry, **options):
        return Comparison([measure(task, Configuration("oracle", ANYTHING.replace(query_cache=0), registry))])

    monkeypatch.setattr("router_plugin.comparison.strategies.compare", comparing)  # in this process, and one only
    labelled, routes, page = tmp_path / "labelled.jsonl", tmp_path / "routes.yaml", tmp_path / "page.html"
    routes.write_text("routes:\n- {name: tenancy, domain: legal, utterances: [can a landlord keep my deposit]}\n")
    labelled.write_text('{"text": "can a landlord keep my deposit", "route": "tenancy"}\n')
    common = ("--registry", served)
    status, out, _ = cli("compare", "--queries", labelled, "--routes", routes, "--html", page, *common)
    assert status == 0 and "oracle" in out and "By domain" in page.read_text()
    data = [f"--data={name}={tiny_models[name].with_name(f'{name}-data')}" for name in ("legal", "medical")]
    status, out, _ = cli("compare", *data, "--json", *common)
    assert status == 0 and set(json.loads(out)["configurations"][0]["by_domain"]) == {"legal", "medical"}
    assert "give either --queries or --data" in cli("compare", *common)[2]
    assert "--data legal: expected NAME=DIR" in cli("compare", "--data", "legal", *common)[2]

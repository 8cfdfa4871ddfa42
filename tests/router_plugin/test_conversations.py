"""Conversations: a follow-up is read with the question that it follows, and a new subject without it."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from router_plugin import DomainRouter, QueryError, Route, Settings
from router_plugin.cli import app
from router_plugin.conversations import is_follow_up, load_history, user_messages, with_questions

QUESTION = "what is the right dose of ibuprofen for adults"
ROUTES = [
    Route(name="dose", utterances=(QUESTION, "how many tablets may I take")),
    Route(name="jokes", utterances=("tell me a joke", "make me laugh")),
    Route(name="weather", utterances=("is it going to rain tomorrow", "will it snow this weekend")),
]
HISTORY = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": QUESTION},
    {"role": "assistant", "content": "Tell me a joke is not what you asked."},
]


@pytest.fixture(scope="module")
def router(real_base, tmp_path_factory):
    settings = Settings(strategy="single", threshold=0.45, device="cpu")
    folder = tmp_path_factory.mktemp("conversation") / "registry"
    with DomainRouter(ROUTES, str(folder), base_model=real_base.path, settings=settings) as made:
        yield made


@pytest.mark.parametrize(
    "query", ["and for children?", "what about a child", "for how long?", "can I take it at night"]
)
def test_a_follow_up_is_read_with_the_question_before_it(router, query):
    assert router.route(query).route is None
    decision = router.route(query, HISTORY)
    assert (decision.query, decision.route, decision.read_as) == (query, "dose", f"{QUESTION} {query}")
    assert asyncio.run(router.aroute(query, iter(HISTORY))).route == "dose"


@pytest.mark.parametrize(
    ("query", "route"),
    [
        ("tell me a joke", "jokes"),
        ("make me laugh", "jokes"),
        ("will it snow this weekend", "weather"),
        ("how do I sort a list of numbers in Python", None),
        ("", None),
    ],
)
def test_a_new_subject_is_decided_as_without_the_history(router, query, route):
    alone, decision = router.route(query), router.route(query, HISTORY)
    assert (decision.route, decision.score, decision.read_as) == (route, alone.score, None)
    assert decision.reason == alone.reason


def test_a_query_without_a_history_is_read_alone(router):
    for history in ([], [HISTORY[0]], [HISTORY[2]], [{"role": "user", "content": None}], [{"role": "user"}]):
        decision = router.route("and for children?", history)
        assert (decision.route, decision.read_as) == (None, None)


def test_follow_ups_in_a_row_are_read_back_to_the_question():
    said = ["first of all, where is the nearest pharmacy in town", QUESTION, "and for children?"]
    assert with_questions("and for babies?", said) == f"{QUESTION} and for children? and for babies?"
    assert with_questions("and for babies?", ["and so?"] * 9) == "and so? and so? and so? and for babies?"
    assert with_questions("und im Winter?", said) is not None
    assert with_questions("ну а детям?", said) is not None
    assert with_questions(QUESTION, said) is None


def test_a_query_behind_a_long_message_is_read_whole(router):
    long = "I have been thinking about this for weeks. " * 1000 + QUESTION
    decision = router.route("and for children?", [{"role": "user", "content": long}])
    assert (decision.route, decision.truncated) == ("dose", False)
    assert decision.read_as.endswith(f"{QUESTION} and for children?")


@given(st.text(max_size=40), st.lists(st.text(max_size=40), max_size=5))
def test_a_reading_ends_with_the_query_and_begins_with_what_was_said(query, said):
    read = with_questions(query, said)
    if read is not None:
        assert read.endswith(query) and is_follow_up(query)
        assert any(read.startswith(text) for text in said)


def test_parts_of_text_are_joined_and_others_passed_over():
    parts = [
        {"type": "text", "text": "what is"},
        {"type": "image_url", "image_url": {"url": "x"}},
        {"type": "text", "text": "this"},
    ]
    assert user_messages([{"role": "user", "content": parts}]) == ["what is this"]


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ("hello", "expected a list of messages"),
        ({"role": "user", "content": "x"}, "expected a list of messages"),
        (7, "expected a list of messages"),
        (["hello"], r"`history\[0\]`: expected a message with `role` and `content`, not str"),
        ([*HISTORY, {"content": "x"}], r"`history\[3\]`"),
        ([{"role": "user", "content": 7}], "`content` must be text or a list of parts, not int"),
        ([{"role": "user", "content": ["x"]}], "`content` must be text or a list of parts, not list"),
    ],
)
def test_a_malformed_history_is_refused_by_position(router, history, said):
    with pytest.raises(QueryError, match=said):
        router.route("and for children?", history)


def test_a_history_is_read_from_a_file_of_messages_or_of_a_request(tmp_path):
    file = tmp_path / "messages.json"
    for content in (HISTORY, {"model": "gpt", "messages": HISTORY}):
        file.write_text(json.dumps(content), encoding="utf-8")
        assert load_history(file) == HISTORY
    for content in ("[", "7", '{"model": "gpt"}', '["x"]'):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(QueryError, match="messages.json"):
            load_history(file)
    with pytest.raises(QueryError, match="cannot be read"):
        load_history(tmp_path / "nowhere.json")


def test_the_command_takes_a_history(tmp_path, tiny_base, served):
    (tmp_path / "routes.yaml").write_text(
        "routes: [{name: dose, utterances: [how much ibuprofen], threshold: -1}]", encoding="utf-8"
    )
    (tmp_path / "history.json").write_text(json.dumps(HISTORY), encoding="utf-8")
    options = ["--routes", tmp_path / "routes.yaml", "--registry", served]
    options += ["--base-model", tiny_base.path, "--history", tmp_path / "history.json", "--json"]
    done = CliRunner().invoke(app, ["route", "and for children?", *map(str, options)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["read_as"] in (None, f"{QUESTION} and for children?")
    for other in (["--explain"], ["--batch", str(tmp_path / "history.json")]):
        query = [] if "--batch" in other else ["and for children?"]
        assert CliRunner().invoke(app, ["route", *query, *map(str, options), *other]).exit_code == 2

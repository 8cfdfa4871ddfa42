"""Calling a language model: faults of servers, the cache, the budget, and a key that is never shown."""

import json
import logging
import sqlite3
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import httpx
import openai
import pytest
from pydantic import BaseModel, ConfigDict
from tenacity import RetryCallState, wait_fixed

from tests.training.llm.chat_server import KEY, chat_server, said
from training.errors import BudgetError, LanguageModelError
from training.llm.chat import ATTEMPTS, MAX_FAILURES, MAX_TOKENS, ChatModel, Prompt
from training.llm.retries import RETRIES, pause, retrying
from training.llm.spending import Prices, Spending

VARIABLE = "MODEL_KEY"


class Echo(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str


def prompts(count):
    return [Prompt(f"say {number}", Echo) for number in range(count)]


def answers(count):
    return [Echo(text=f"say {number}") for number in range(count)]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr("training.llm.retries.BACKOFF", wait_fixed(0.001))


@pytest.fixture
def server():
    with chat_server(lambda body: {"text": said(body)}) as running:
        yield running


@pytest.fixture
def model(server, tmp_path, monkeypatch):
    """A way to open the model; every call opens it anew, as a command does."""
    monkeypatch.setenv(VARIABLE, KEY)

    def opened(**options):
        return ChatModel(server.url, "tiny", key_variable=VARIABLE, cache=tmp_path / "cache", **options)

    return opened


def test_answers_come_in_the_order_of_the_prompts_and_equal_prompts_are_asked_once(server, model):
    twice = [*prompts(6), *prompts(6)]
    assert model().ask_all(twice, "asking") == answers(6) * 2
    assert len(server.asked) == 6
    assert set(server.keys) == {f"Bearer {KEY}"}
    asked = server.asked[0]
    assert asked["response_format"]["json_schema"]["strict"] is True
    assert asked["response_format"]["json_schema"]["schema"] == Echo.model_json_schema()


def test_a_rerun_asks_nothing(server, model):
    model().ask_all(prompts(5), "asking")
    server.asked.clear()
    again = model()
    assert again.ask_all(prompts(5), "asking") == answers(5)
    assert server.asked == []
    assert again.spending.requests == 0


def test_answers_are_kept_by_server_model_and_form(server, model, tmp_path):
    class Other(BaseModel):
        text: str

    model().ask_all(prompts(1), "asking")
    ChatModel(server.url, "other", cache=tmp_path / "cache").ask_all(prompts(1), "asking")
    model().ask_all([Prompt("say 0", Other)], "asking")
    assert len(server.asked) == 3
    with chat_server(lambda body: {"text": "something else"}) as second:
        answer = ChatModel(second.url, "tiny", cache=tmp_path / "cache").ask_all(prompts(1), "asking")
    assert answer == [Echo(text="something else")]


def test_no_key_is_sent_unless_one_is_named(server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    ChatModel(server.url, "tiny", cache=tmp_path).ask_all(prompts(1), "asking")
    assert server.keys == [None]


@pytest.mark.parametrize(
    "fault",
    ["429", "500", "503", "408", "drop", "bad JSON", "other form", "cut off", "broken", "html", "no message", "parts"],
)
def test_transient_faults_are_retried(server, model, fault):
    server.faults = [fault, fault]
    assert model().ask_all(prompts(1), "asking") == answers(1)
    assert len(server.asked) == 3


def test_retry_after_is_respected(server, model):
    server.faults = ["429 after 0.3"]
    model().ask_all(prompts(1), "asking")
    assert server.times[1] - server.times[0] >= 0.3


def test_retry_after_may_be_a_number_or_a_date_up_to_a_limit():
    def asked(after):
        state = RetryCallState(retrying(), None, (), {})
        response = httpx.Response(429, headers={"retry-after": after}, request=httpx.Request("POST", "http://host"))
        state.set_exception((None, openai.RateLimitError("too many", response=response, body=None), None))
        return pause(state)

    later = datetime.now(timezone.utc) + timedelta(seconds=60)
    assert asked(format_datetime(later)) == pytest.approx(60, abs=3)
    assert asked("90") == 90
    assert {asked(after) for after in ("100000", "soon", "-1", "nan", "")} == {0.001}


def test_a_request_that_times_out_is_repeated(server, model):
    server.faults = ["slow"]
    assert model(timeout=0.2).ask_all(prompts(1), "asking") == answers(1)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("fault", "refused"), [("no format", 3), ("no schema", 2), ("reasoning", 1)], ids=lambda value: str(value)
)
def test_request_options_that_a_server_refuses_are_not_sent_again(server, model, fault, refused):
    server.always = fault
    opened = model(concurrency=1)
    assert opened.ask_all(prompts(3), "asking") == answers(3)
    assert len(server.asked) == 3 + refused


def test_an_answer_in_a_code_fence_is_read(server, model):
    server.always = "fenced"
    assert model().ask_all(prompts(1), "asking") == answers(1)
    assert len(server.asked) == 1


def test_the_next_request_says_what_was_wrong_and_allows_a_longer_answer(server, model):
    server.faults = ["other form", "cut off"]
    model().ask_all(prompts(1), "asking")
    second, third = server.asked[1:]
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]
    assert "cannot be used" in second["messages"][-1]["content"]
    assert len(third["messages"]) == 1
    assert [body["max_tokens"] for body in server.asked] == [MAX_TOKENS, 4 * MAX_TOKENS, 16 * MAX_TOKENS]


def test_a_prompt_without_a_usable_answer_is_skipped_and_sent_again_next_time(server, model, caplog):
    server.faults = ["bad JSON"] * ATTEMPTS
    with caplog.at_level(logging.WARNING):
        assert model().ask_all(prompts(1), "asking") == [None]
    assert "no usable answer to a prompt, which is skipped" in caplog.text
    assert model().ask_all(prompts(1), "asking") == answers(1)


def test_a_refused_prompt_is_skipped_if_others_are_answered(server, model, caplog):
    opened = model(concurrency=1)
    opened.ask_all(prompts(1), "asking")
    server.always = "400"
    with caplog.at_level(logging.WARNING):
        assert opened.ask_all(prompts(2), "asking") == [Echo(text="say 0"), None]
    assert "was refused (" in caplog.text
    assert KEY not in caplog.text


def test_kept_answers_are_checked_too(server, model):
    def refuse(answer):
        raise ValueError("not that")

    model().ask_all(prompts(1), "asking")
    assert model().ask_all([Prompt("say 0", Echo, refuse)], "asking") == [None]
    assert server.asked[-1]["messages"][-1]["content"].startswith("That cannot be used: not that")


@pytest.mark.slow
def test_a_model_that_never_gives_a_usable_answer_is_given_up(server, model):
    server.always = "other form"
    with pytest.raises(LanguageModelError, match="choose another model"):
        model(concurrency=1).ask_all(prompts(50), "asking")
    assert MAX_FAILURES * ATTEMPTS <= len(server.asked) <= (MAX_FAILURES + 2) * ATTEMPTS


@pytest.mark.parametrize(
    ("fault", "said_of_it"),
    [
        ("401", "`key_variable`"),
        ("403", "`key_variable`"),
        ("404", "has no model tiny"),
        ("400", "does not answer"),
        ("500", "does not answer"),
        ("429", "does not answer"),
        ("slow", "`timeout`"),
        ("drop", "cannot be reached"),
    ],
)
def test_a_lasting_fault_ends_with_one_line_without_the_key(server, model, caplog, fault, said_of_it):
    server.always = fault
    with caplog.at_level(logging.DEBUG), pytest.raises(LanguageModelError) as raised:
        model(timeout=0.05 if fault == "slow" else 60).ask_all(prompts(1), "asking")
    message = str(raised.value)
    assert said_of_it in message
    assert server.url in message
    assert "run the same command again" in message
    assert KEY not in message + caplog.text
    assert raised.value.__cause__ is None
    if fault in ("500", "429", "drop", "slow"):
        assert len(server.asked) == RETRIES + 1


def test_answers_before_a_failure_are_kept(server, model):
    server.faults = ["", "", "", "401"]
    with pytest.raises(LanguageModelError):
        model(concurrency=1).ask_all(prompts(10), "asking")
    answered = len(server.asked) - 1
    server.asked.clear()
    model().ask_all(prompts(10), "asking")
    assert answered >= 3
    assert len(server.asked) == 10 - answered


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_requests_are_open_than_allowed(server, model, concurrency):
    server.delay = 0.2
    model(concurrency=concurrency).ask_all(prompts(2 * concurrency), "asking")
    assert server.most_open == concurrency


def test_tokens_and_money_are_counted(server, model):
    spending = Spending(Prices(input=2.0, output=10.0))
    model(spending=spending).ask_all(prompts(5), "asking")
    assert (spending.requests, spending.input_tokens, spending.output_tokens) == (5, 500, 50)
    assert spending.cost == pytest.approx((500 * 2 + 50 * 10) / 1e6)
    assert "cost 0.0015" in spending.describe()


@pytest.mark.parametrize("fault", ["no usage", "half a usage"])
def test_without_reported_usage_tokens_are_counted_by_their_limits(server, model, fault):
    server.always = fault
    opened = model()
    opened.ask_all(prompts(1), "asking")
    assert opened.spending.output_tokens == MAX_TOKENS
    assert opened.spending.input_tokens > len("say 0")


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_budget_is_never_exceeded_and_answers_are_kept(server, model, concurrency):
    budget = 0.006  # an answer costs 0.00011, and may cost 0.002

    def spending():
        return Spending(Prices(1.0, 1.0), budget)

    first = spending()
    with pytest.raises(BudgetError, match="run the same command again"):
        model(spending=first, concurrency=concurrency).ask_all(prompts(200), "asking")
    answered = {said(body) for body in server.asked}
    assert first.cost <= budget
    assert len(answered) == len(server.asked) == first.requests > 10
    server.asked.clear()
    with pytest.raises(BudgetError):
        model(spending=spending(), concurrency=concurrency).ask_all(prompts(200), "asking")
    assert not {said(body) for body in server.asked} & answered


@pytest.mark.parametrize("fault", ["slow", "drop", "broken", "html"])
def test_requests_without_an_answer_count_against_the_budget(server, model, fault):
    server.always = fault
    spending = Spending(Prices(1.0, 1.0), budget=0.01)
    with pytest.raises(BudgetError):
        model(spending=spending, timeout=0.1 if fault == "slow" else 60, concurrency=1).ask_all(prompts(20), "asking")
    assert spending.requests == len(server.asked) > 1
    assert 0 < spending.cost <= 0.01


def test_refused_requests_cost_nothing(server, model):
    server.faults = ["429", "500", "503"]
    opened = model()
    assert opened.ask_all(prompts(1), "asking") == answers(1)
    assert (opened.spending.requests, opened.spending.input_tokens) == (1, 100)


def test_with_a_budget_of_zero_nothing_is_sent(server, model):
    with pytest.raises(BudgetError):
        model(spending=Spending(Prices(1, 1), budget=0)).ask_all(prompts(1), "asking")
    assert server.asked == []


@pytest.mark.parametrize(
    ("prices", "budget", "message"),
    [
        (Prices(), 1.0, "`price_in`"),
        (Prices(-1.0, 0.0), None, "`price_in` -1"),
        (Prices(0.0, float("nan")), None, "`price_out`"),
        (Prices(1.0, 1.0), float("inf"), "`budget` inf"),
    ],
)
def test_invalid_amounts_are_refused(prices, budget, message):
    with pytest.raises(LanguageModelError, match=message):
        Spending(prices, budget)


@pytest.mark.parametrize("url", ["host/v1", "ftp://host", "http://", "http://[", "http://host:99999", ""])
def test_an_invalid_address_is_refused(url, tmp_path):
    with pytest.raises(LanguageModelError, match="expected the address of an API"):
        ChatModel(url, "tiny", cache=tmp_path)


def test_a_password_in_the_address_is_refused_and_not_repeated(tmp_path):
    with pytest.raises(LanguageModelError) as raised:
        ChatModel(f"https://user:{KEY}@host/v1", "tiny", cache=tmp_path)
    assert KEY not in str(raised.value)


def test_a_variable_without_a_key_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, " ")
    with pytest.raises(LanguageModelError, match=f"`key_variable` {VARIABLE}"):
        ChatModel("http://host/v1", "tiny", key_variable=VARIABLE, cache=tmp_path)


@pytest.mark.parametrize("key", ["sk-first\nsk-second", "sk-\N{KEY}", "sk first"])
def test_an_invalid_key_is_refused_and_not_repeated(tmp_path, monkeypatch, key):
    monkeypatch.setenv(VARIABLE, key)
    with pytest.raises(LanguageModelError, match=f"`key_variable` {VARIABLE}: invalid key") as raised:
        ChatModel("http://host/v1", "tiny", key_variable=VARIABLE, cache=tmp_path)
    assert "sk" not in str(raised.value)


def test_a_damaged_cache_is_named_before_anything_is_asked(server, model, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "answers.db").write_bytes(b"no database" * 100)
    with pytest.raises(LanguageModelError, match=r"answers\.db"):
        model()
    assert server.asked == []


def test_neither_key_nor_prompt_is_in_the_cache(server, model, tmp_path):
    model().ask_all(prompts(1), "asking")
    content = (tmp_path / "cache" / "answers.db").read_bytes()
    assert KEY.encode() not in content
    with sqlite3.connect(tmp_path / "cache" / "answers.db") as database:
        assert [json.loads(text) for (text,) in database.execute("SELECT value FROM entries")] == [{"text": "say 0"}]


def test_waiting_for_a_budget_ends_when_open_requests_do(server, model):
    server.delay = 0.05
    spending = Spending(Prices(output=1.0), budget=1.5 * MAX_TOKENS * 1e-6)
    started = time.monotonic()
    assert model(spending=spending, concurrency=4).ask_all(prompts(3), "asking") == answers(3)
    assert time.monotonic() - started >= 3 * 0.05
    assert server.most_open == 1

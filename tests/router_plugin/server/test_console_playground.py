"""The playground of the console: every stage of a decision, safely, and what another version would have said."""

import html
import json
import re
import shlex

import httpx
import pytest

from router_plugin import DomainRouter, Route
from router_plugin.server.console.pages.playground import LONGEST, curl, read_conversation
from router_plugin.server.versions.others import OtherVersions
from training import publish

from .conftest import router_over, running

PATH = "/console/playground"
HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "\u202eright to left\u202c \u2066x",
    "{{ 7 * 7 }} {% raw %}",
    "a\x00b\x07c",
    "'; rm -rf / #",
    "x" * LONGEST,
    "\n\n  two\r\nlines  ",
    "💊" * 100,
]


@pytest.fixture(scope="module")
def serving(served_domains):
    with running(router_over(served_domains)) as up:
        yield up


@pytest.fixture
def browser(serving):
    with httpx.Client(base_url=serving[0], follow_redirects=True, timeout=30) as client:
        yield client


def text_of(page):
    """What a reader sees, about."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_the_form_stands_alone_until_somebody_asks(browser):
    answer = browser.get(PATH)
    assert answer.status_code == 200 and "<h2>" not in answer.text
    assert browser.get(PATH, params={"query": " \n"}).text.count("<h2>") == 0


def test_every_stage_of_a_decision_is_shown(browser):
    query = "can I take ibuprofen together with my blood thinner"
    decided = browser.post("/v1/explain", json={"query": query, "limit": 10}).json()
    answer = browser.get(PATH, params={"query": query})
    seen = text_of(answer.text)
    decision = decided["decision"]
    assert f"route {decision['route']} score {decision['score']:.3f}" in seen
    for domain, probability in decision["domains"].items():
        assert f"{domain} {probability:.3f}" in seen
    for near in (*decided["nearest"], *decided["nearest_in_general"]):
        assert f"{near['utterance']} {near['route']} {near['cosine']:.3f}" in seen
    assert seen.count(f"threshold {decided['threshold']:.3f}") == 3  # the decision, and a line in each space
    assert all(f"{stage} " in seen for stage in decision["timings_ms"])


def test_a_conversation_is_read_as_the_api_reads_it(browser):
    said = "user: can I take ibuprofen with my blood thinner\nassistant: ask your doctor\nfirst"
    history = read_conversation(said)
    assert history == [
        {"role": "user", "content": "can I take ibuprofen with my blood thinner"},
        {"role": "assistant", "content": "ask your doctor\nfirst"},
    ]
    given = {"query": "and for children?", "history": history}
    decided = browser.post("/v1/route", json=given).json()
    seen = text_of(browser.get(PATH, params={"query": "and for children?", "history": said}).text)
    assert decided["read_as"] and f"read as {decided['read_as']}" in seen


def test_earlier_messages_need_no_role():
    assert read_conversation("\n") == []
    assert read_conversation("hello\nUSER: you") == [
        {"role": "user", "content": "hello"},
        {"role": "user", "content": "you"},
    ]


@pytest.mark.parametrize("query", HOSTILE)
def test_what_queries_contain_is_text_alone(browser, query):
    answer = browser.get(PATH, params={"query": query, "history": ""})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text and "<img" not in answer.text
    assert not re.search(r"<[^>]+\s(style|on\w+)=", answer.text)


def test_half_a_character_and_too_much_are_answered(browser):
    assert browser.get(f"{PATH}?query=%ED%A0%80x").status_code == 200
    answer = browser.get(PATH, params={"query": "x" * 10_000})
    assert answer.status_code == 422 and str(LONGEST) in answer.text


def test_the_permalink_leads_to_the_same_page(browser):
    answer = browser.get(PATH, params={"query": "a & b? +%\u00fc <i>", "history": "user: x#y"})
    link = html.unescape(re.search(r'href="([^"]+)">Permalink', answer.text)[1])
    again = browser.get(link)
    assert "a &amp; b? +%\u00fc &lt;i&gt;</textarea>" in again.text and "user: x#y</textarea>" in again.text


def test_the_command_sends_the_same_query():
    query = 'it\'s $(rm) `x` "quoted" \u202e\n'
    parts = shlex.split(curl("http://127.0.0.1:8700/", query, [{"role": "user", "content": "a"}], keys=True))
    assert parts[2] == "http://127.0.0.1:8700/v1/route"
    assert json.loads(parts[-1]) == {"query": query, "history": [{"role": "user", "content": "a"}]}
    assert "Authorization: Bearer $DOMAIN_ROUTER_KEY" in parts


def test_another_version_decides_beside_what_serves(store, other_legal, tmp_path):
    candidate = publish(other_legal, store, force=True).name
    routes = [Route(name="tenancy", utterances=("rent and deposit",)), Route(name="court", utterances=("a judge",))]
    router = DomainRouter(routes, tmp_path / "registry")
    with running(router) as (url, service), httpx.Client(base_url=url, timeout=60) as client:
        before = service.router.state
        query = "the rent and the deposit"
        answer = client.get(PATH, params={"query": query, "version": candidate})
        assert answer.status_code == 200 and f"<h3>{candidate}</h3>" in answer.text
        assert service.router.state is before
        for wrong in ("legal@9", "<b>@1", "nothing@1", "legal@x y"):
            answer = client.get(PATH, params={"query": query, "version": wrong})
            assert answer.status_code == 404 and "<b>" not in answer.text


def test_few_other_versions_are_kept(store, other_legal, tmp_path):
    publish(other_legal, store, force=True)
    publish(other_legal, store, force=True)
    with DomainRouter([Route(name="a", utterances=("rent",))], tmp_path / "registry") as router:
        known = OtherVersions(router)
        first = known.load("legal@1")
        assert known.load("legal@1") is first
        known.load("legal@2")
        last = known.load("legal@3")
        assert known.load("legal@1") is not first
        assert known.load("legal@3") is last
        router.set_routes([Route(name="b", utterances=("rent",))])
        assert known.load("legal@3") is not last

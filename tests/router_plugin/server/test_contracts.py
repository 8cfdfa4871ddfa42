"""Labels as text-embeddings-inference gives them, decisions as decision models give them, and the router's own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from router_plugin import DomainRouter, JointSpace, Route, RoutesError
from router_plugin.server.options import ServerOptions
from router_plugin.server.service import Service

QUERY = "what are the side effects of this medicine"


def post(client, path, **body):
    answer = client.post(path, json=body)
    assert answer.status_code < 300, answer.text
    return answer.json()


def test_every_domain_has_a_probability(client, over_all):
    found = post(client, "/classify", inputs=QUERY)
    assert sorted(each["label"] for each in found) == sorted(over_all.domains)
    assert sum(each["score"] for each in found) == pytest.approx(1)
    assert found == sorted(found, key=lambda each: -each["score"])
    assert post(client, "/classify", inputs=[QUERY, "", QUERY])[2] == found


def test_every_route_has_a_probability_and_so_has_none(client, over_all):
    found = post(client, "/routes/classify", inputs=[QUERY, ""])
    for each in found:
        assert {label["label"] for label in each} == {"none", *(route.name for route in over_all.routes)}
        assert sum(label["score"] for label in each) == pytest.approx(1)
    assert found[1][0] == {"label": "none", "score": 1.0}
    decision = over_all.route(QUERY)
    chosen = {label["label"]: label["score"] for label in found[0]}[decision.route or "none"]
    assert chosen == pytest.approx(decision.confidence)


def test_a_route_with_the_label_of_no_route_is_not_served(served_domains):
    router = DomainRouter.over(served_domains, [Route(name="none", utterances=("anything",))])
    with pytest.raises(RoutesError, match="route 'none': that is the label of queries without a route"):
        Service(router, ServerOptions(), 1)


def test_texts_are_embedded_in_the_joint_space(client, served_domains):
    wanted = JointSpace(served_domains).encode_queries([QUERY])
    np.testing.assert_allclose(post(client, "/embed", inputs=QUERY), wanted, atol=1e-5)


@pytest.mark.parametrize(("body", "status"), [({"inputs": []}, 422), ({"inputs": 3}, 422), ({}, 422)])
def test_mistakes_are_told_as_text_embeddings_inference_tells_them(client, body, status):
    answer = client.post("/classify", json=body)
    assert (answer.status_code, answer.json()["error_type"]) == (status, "Validation")


def test_decisions_are_those_of_the_router(client, over_all):
    decision, again = over_all.route(QUERY).to_dict(), post(client, "/v1/route", query=QUERY)
    for volatile in (decision, again):
        volatile.pop("timings_ms")
    assert again == decision
    many = post(client, "/v1/route/batch", queries=[QUERY, "", QUERY])["decisions"]
    assert [each["route"] for each in many] == [decision["route"], None, decision["route"]]


def test_conversations_are_read_in_context(client, over_all):
    history = [{"role": "user", "content": QUERY}, {"role": "assistant", "content": "It may make you sleepy."}]
    found = post(client, "/v1/route", query="and for children?", history=history)
    assert found["read_as"] == over_all.route("and for children?", history).read_as


def test_decisions_are_explained(client, over_all):
    found = post(client, "/v1/explain", query=QUERY, limit=2)
    assert len(found["nearest"]) <= 2
    assert found["decision"]["domain"] == over_all.route(QUERY).domain


def test_feedback_can_be_learnt_from(client, serving):
    from training import read_logs

    for number in range(3):
        post(client, "/v1/feedback", query=f"question {number}", route="medicines", accepted=True)
    post(client, "/v1/feedback", query="wrong", route="medicines", corrected="symptoms")
    assert client.post("/v1/feedback", json={"query": "x", "route": None}).status_code == 400
    contradicting = {"query": "x", "route": "a", "accepted": True, "corrected": "b"}
    assert client.post("/v1/feedback", json=contradicting).status_code == 400
    labels = {each.text: each.label for each in read_logs(serving[1].feedback.path).texts}
    assert labels == {**{f"question {number}": "medicines" for number in range(3)}, "wrong": "symptoms"}


def test_options_are_routes_domains_or_what_they_mean(client):
    def choice(**criteria):
        questions = {"q": {"type": "choice", "criteria": criteria}}
        return post(client, "/v1/systemone", state=QUERY, questions=questions)["answers"]["q"]

    by_domain = {each["label"]: each["score"] for each in post(client, "/classify", inputs=QUERY)}
    found = choice(medical=None, legal=None)["probabilities"]
    assert found == {name: pytest.approx(by_domain[name], abs=1e-5) for name in ("medical", "legal")}
    by_route = {each["label"]: each["score"] for each in post(client, "/routes/classify", inputs=QUERY)}
    assert choice(**dict.fromkeys(by_route))["probabilities"] == pytest.approx(by_route)
    meant = choice(same=QUERY, other="the landlord keeps my deposit; rent")
    assert meant["choice"] == "same" and sum(meant["probabilities"].values()) == pytest.approx(1)


def chosen(client, state, *names):
    """The answer to a choice between names without a meaning."""
    questions = {"q": {"type": "choice", "criteria": dict.fromkeys(names)}}
    return post(client, "/v1/systemone", state=state, questions=questions)["answers"]["q"]


def test_the_choice_is_what_the_router_decides_and_none_stands_for_what_is_no_option(client, over_all):
    names = [route.name for route in over_all.routes]
    for query in [route.utterances[0] for route in over_all.routes] + ["zzz qqq", ""]:
        decided, every = over_all.route(query).route, chosen(client, query, "none", *names)
        assert every["choice"] == (decided or "none")
        for own in names[:3]:
            found = chosen(client, query, own, "none")
            assert found["choice"] == (own if own == decided else "none")
            assert found["probabilities"][own] == pytest.approx(every["probabilities"][own])
            assert sum(found["probabilities"].values()) == pytest.approx(1)
            assert max(found["probabilities"].values()) <= 1


def test_general_stands_for_domains_that_are_no_option(client):
    by_domain = {each["label"]: each["score"] for each in post(client, "/classify", inputs=QUERY)}
    best = max(by_domain, key=by_domain.__getitem__)
    for name in by_domain.keys() - {"general"}:
        found = chosen(client, QUERY, name, "general")
        assert found["choice"] == (name if name == best else "general")
        assert found["probabilities"][name] == pytest.approx(by_domain[name], abs=1e-5)
        assert sum(found["probabilities"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "quoted",
    [
        "",
        "\nCaller system prompt, quoted as task context:\nYou sell loans.\n",
        "\nRecent conversation (context only, do not classify these):\n[1] the rent is due\n"
        "\nConversation so far: ~12 tokens across the request\n",
        "\nConversation so far: ~12 tokens across the request\n",
    ],
)
def test_of_a_prompt_of_litellm_the_message_is_read(client, over_all, quoted):
    names = ["none", *(route.name for route in over_all.routes)]
    message = f"{QUERY}\nClassify this message:\nrent"
    expected = chosen(client, message, *names)["probabilities"]
    found = chosen(client, f"{quoted}\nClassify this message:\n{message}", *names)["probabilities"]
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "state",
    [
        [{"role": "user", "content": "rent"}, {"role": "user", "content": [{"type": "text", "text": QUERY}]}],
        [{"role": "user", "content": QUERY}, {"role": "assistant", "content": None}, {"role": "user", "content": " "}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}, {"text": QUERY}]}],
    ],
)
def test_of_messages_the_last_text_of_the_user_is_read(client, over_all, state):
    names = ["none", *(route.name for route in over_all.routes)]
    expected = chosen(client, QUERY, *names)["probabilities"]
    assert chosen(client, state, *names)["probabilities"] == pytest.approx(expected, abs=1e-5)


def test_messages_in_which_the_user_says_nothing_are_an_empty_text(client, over_all):
    names = ["none", *(route.name for route in over_all.routes)]
    state = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]
    assert chosen(client, state, *names) == chosen(client, "", *names)


def test_yes_or_no_and_levels_have_probabilities(client):
    questions = {
        "reachable": {"type": "noul", "instructions": "Is the service reachable?"},
        "about": {"type": "noul", "criteria": {"true": QUERY, "false": "rent"}},
        "level": {"type": "score", "criteria": ["rent", QUERY]},
    }
    state = [{"role": "user", "content": QUERY}]
    answers = post(client, "/v1/decisions", state=state, model="any", questions=questions)["answers"]
    assert 0 <= answers["reachable"]["noul"] <= 1
    assert answers["about"]["noul"] > 0.5
    assert answers["level"]["score"] == pytest.approx(answers["level"]["probabilities"]["1"])
    assert answers["level"]["legend"] == {"0": "rent", "1": QUERY}


@pytest.mark.parametrize(
    "question",
    [{"type": "box", "instructions": "x"}, {"type": "noul"}, {"type": "choice", "criteria": {}}, {"type": "score"}, {}],
)
def test_questions_that_cannot_be_answered_are_refused(client, question):
    answer = client.post("/v1/systemone", json={"state": "x", "questions": {"q": question}})
    assert answer.status_code == 400
    assert "questions.q" in json.dumps(answer.json())


def test_the_questions_of_a_request_are_answered_by_one_state_of_the_router(client, serving, over_all, monkeypatch):
    classify, given = serving[1].classify, over_all.routes
    names = [given[0].name, "none"]
    expected = chosen(client, QUERY, *names)

    async def changing(*asked):
        over_all.remove_route(given[0].name)
        return await classify(*asked)

    monkeypatch.setattr(serving[1], "classify", changing)
    domains = {"type": "choice", "criteria": {"medical": None}}
    questions = {"first": domains, "then": {"type": "choice", "criteria": dict.fromkeys(names)}}
    try:
        answers = post(client, "/v1/systemone", state=QUERY, questions=questions)["answers"]
    finally:
        over_all.set_routes(given)
    assert answers["then"] == expected


def test_all_texts_of_a_request_are_counted_before_any_is_read(client, serving, monkeypatch):
    def ask(names):
        options = {f"option {name}": "; ".join([f"meaning {name}", f"other {name}"]) for name in names}
        halves = [dict(list(options.items())[half::2]) for half in (0, 1)]
        questions = {str(number): {"type": "choice", "criteria": half} for number, half in enumerate(halves)}
        return client.post("/v1/systemone", json={"state": QUERY, "questions": questions})

    assert ask(range(16)).status_code == 200
    monkeypatch.setattr(serving[1].batcher, "run", None)
    refused = ask(range(18))
    assert (refused.status_code, refused.json()["error"]["message"]) == (
        422,
        "55 texts in a request: expected at most 50",
    )

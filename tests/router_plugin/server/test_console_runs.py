"""The console's page about training runs: how far they are, results, comparisons, and reports from outside."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser

import pytest

from router_plugin.server.protection.keys import Keys
from router_plugin.server.runs.reports import RunReport
from router_plugin.server.runs.store import RunStore
from router_plugin.server.service import Files

from .conftest import router_over, running
from .test_console import TOKEN, browser, signed_in
from .test_runs import a_report, a_run, finished

HOSTILE = [
    "<script>alert(1)</script>",
    '"\' onmouseover="alert(1)',
    "\u202etxt\u2066",
    "\0",
    "{{ 7 * 7 }}",
    "x" * 200,
]
MEASURED = [
    {"name": name, "dev": {"ndcg@10": value, "mrr@5": value}} for name, value in (("base", 0.5), ("iteration-1", 0.6))
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return RunStore(tmp_path_factory.mktemp("console") / "runs")


@pytest.fixture(scope="module")
def keys():
    found, admin = Keys().with_new("anna", ("admin",))
    found, trainer = found.with_new("gpu", ("train",))
    return found, admin, trainer


@pytest.fixture(scope="module")
def url(served_domains, store, keys):
    with running(router_over(served_domains), keys=keys[0], files=Files(runs=store)) as (url, _):
        yield url


@pytest.fixture
def client(url, keys, store):
    with signed_in(url, keys[1]) as client:
        yield client
    for run in store.all():
        store.remove(run.id)


def kept(store, number=1, page=None, **report):
    """Keep a run, and its page; returns its identifier."""
    run = f"{number:032x}"
    store.put(run, RunReport(**report))
    if page is not None:
        store.put_page(run, page)
    return run


def attributes(text):
    """The names of all attributes of a page."""
    found = set()
    parser = HTMLParser()
    parser.handle_starttag = lambda _, given: found.update(name for name, _ in given)
    parser.feed(text)
    return found


def charts(text):
    return [json.loads(unescape(each)) for each in re.findall(r"data-chart='([^']*)'", text)]


def test_what_a_run_sends_is_shown(client, url, keys, store):
    run = "a" * 32
    key = {"Authorization": f"Bearer {keys[2]}"}
    with browser(url, headers=key) as trainer:
        assert trainer.put(f"/v1/runs/{run}", json=a_run()).status_code == 200
        assert trainer.get("/metrics").status_code == 403
    listed = client.get("/console/runs").text
    assert "legal-model" in listed and "1 running" in listed and "step 5 of 10" in listed and "25 %" in listed
    shown = client.get(f"/console/runs/{run}").text
    assert 'hx-trigger="every 2s"' in shown and "learning_rate" in shown
    assert charts(shown)[0] == {
        "x": [1, 5],
        "series": [{"label": "iteration-1", "values": [0.9, None]}],
        "unit": "loss",
        "x_label": "step",
    }


def test_the_list_is_kept_fresh_in_place(client, store):
    run = kept(store, **a_run())
    seen = re.search(r'name="seen" value="([^"]*)"', client.get("/console/runs").text)[1]
    htmx = {"HX-Request": "true"}
    same = client.get("/console/runs/live", params={"seen": seen}, headers=htmx).text
    assert f'id="progress-{run}" hx-swap-oob="true"' in same and 'role="status"' not in same
    kept(store, 2, **a_run())
    assert "2 running" in client.get("/console/runs/live", params={"seen": seen}, headers=htmx).text


def test_a_run_is_kept_fresh_until_it_ends(client, store):
    run = kept(store, **a_run())
    live = client.get(f"/console/runs/{run}/live", params={"state": "running"})
    assert "hx-refresh" not in live.headers and 'id="state"' not in live.text and "<h1>" not in live.text
    assert 'id="state"' in client.get(f"/console/runs/{run}/live", params={"state": "silent"}).text
    kept(store, **finished())
    assert client.get(f"/console/runs/{run}/live", params={"state": "running"}).headers["hx-refresh"] == "true"


def test_the_results_of_a_finished_run_are_those_of_its_report(client, store):
    run = kept(store, page="<h1>x</h1>", **finished(measured=MEASURED))
    shown = client.get(f"/console/runs/{run}").text
    assert "iteration-1 was kept" in shown and "+0.1000" in shown and "+0.0500 to +0.1500" in shown
    assert "hx-trigger" not in shown and f'src="/console/runs/{run}/report"' in shown


def test_a_failed_run_says_why(client, store):
    run = kept(store, **a_run(state="failed", error="diverged: <b>choose</b>"))
    assert "diverged: &lt;b&gt;choose&lt;/b&gt;" in client.get(f"/console/runs/{run}").text


def test_a_report_from_outside_runs_in_a_box_of_its_own(client, store):
    page = "<script>alert(1)</script><h1>report</h1>"
    run = kept(store, page=page, **finished())
    answer = client.get(f"/console/runs/{run}/report")
    policy = answer.headers["content-security-policy"].split("; ")
    assert answer.text == page and "sandbox" in policy and "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy and not any("script" in each for each in policy)
    assert answer.headers["x-content-type-options"] == "nosniff"
    shown = client.get(f"/console/runs/{run}")
    assert re.search(r"<iframe [^>]*sandbox[ >]", shown.text) and "alert" not in shown.text
    assert "frame-src 'self'" in shown.headers["content-security-policy"]
    assert "frame-src" not in client.get("/console").headers["content-security-policy"]


def test_reports_are_for_those_who_signed_in(url, store, client):
    run = kept(store, page="secret", **finished())
    with browser(url) as stranger:
        for path in ("", f"/{run}", f"/{run}/report", f"/{run}/live", "/live"):
            assert stranger.get(f"/console/runs{path}").url.path == "/console/sign-in"


def test_runs_are_compared_side_by_side(client, store):
    other = a_report(adapted_metrics={"test": {"mrr@5": 0.4, "recall@5": 0.4, "ndcg@10": 0.4}}, comparison={})
    runs = [
        kept(store, 1, page="one", **finished(measured=MEASURED)),
        kept(
            store, 2, **{**finished(measured=MEASURED[:1], options={"learning_rate": 1e-3, "lora": 8}), "report": other}
        ),
        kept(store, 3, **a_run(measured=MEASURED, options={"learning_rate": 2e-5, "seed": 42})),
    ]
    answer = client.get("/console/runs/compare", params={"run": runs})
    text = answer.text
    assert answer.status_code == 200 and "lora" in text and "0.001" in text and ">recipe<" not in text
    assert charts(text)[0] == {
        "x": [0, 1],
        "series": [
            {"label": "1. legal-model", "values": [0.5, 0.6]},
            {"label": "2. legal-model", "values": [0.5, None]},
            {"label": "3. legal-model", "values": [0.5, 0.6]},
        ],
        "unit": "ndcg@10",
        "x_label": "iteration",
    }
    assert "0.5000 → 0.6000" in text and "-0.1000" in text and text.count("<iframe") == 1


def test_two_to_four_runs_are_compared(client, store):
    runs = [kept(store, number, **a_run()) for number in range(1, 6)]
    for chosen, status in (
        (runs, 400),
        (runs[:1], 400),
        ([], 400),
        (runs[:4], 200),
        (["0" * 32, runs[0]], 404),
        (["x"], 400),
    ):
        assert client.get("/console/runs/compare", params={"run": chosen}).status_code == status


def test_curves_of_several_seeds_are_apart(client, store):
    states = ("base", "seed-1-iteration-1", "seed-2-iteration-1", "mean-of-seeds")
    run = kept(store, **a_run(measured=[{"name": name, "dev": {"mrr@5": 0.5}} for name in states]))
    assert [each["label"] for each in charts(client.get(f"/console/runs/{run}").text)[1]["series"]] == [
        "legal-model seed-1",
        "legal-model seed-2",
    ]


@pytest.mark.parametrize("said", HOSTILE)
def test_whatever_a_run_says_is_text(client, store, said):
    odd = {"domain": said, "recipe": said, "base_model": said, "fingerprint": said, "error": said, "doing": said}
    measured = [{"name": said, "dev": {said: 0.5}}]
    losses = [{"iteration": said, "steps": [1], "losses": [1.0]}]
    report = {**a_run(name=said, options={said: {said: [said]}}, measured=measured, losses=losses), **odd}
    runs = [kept(store, number, **report) for number in (1, 2)]
    for path, query in (("", {}), (f"/{runs[0]}", {}), (f"/{runs[0]}/live", {}), ("/compare", {"run": runs})):
        answer = client.get(f"/console/runs{path}", params=query)
        assert answer.status_code == 200 and "<script>alert" not in answer.text
        assert not {name for name in attributes(answer.text) if name == "style" or name.startswith("on")}


def test_a_run_is_deleted_by_a_form_with_its_token_alone(client, store):
    run = kept(store, page="x", **finished())
    assert client.post(f"/console/runs/{run}/delete").status_code == 403
    assert client.post(f"/console/runs/{run}/delete", data={"token": "0" * 64}).status_code == 403
    token = TOKEN.search(client.get(f"/console/runs/{run}").text)[1]
    answer = client.post(f"/console/runs/{run}/delete", data={"token": token})
    assert answer.url.path == "/console/runs" and "legal-model" not in answer.text and store.all() == []
    assert client.get(f"/console/runs/{run}").status_code == 404


def test_a_hundred_runs_are_listed_in_time(client, store):
    long = [{"iteration": f"{number}", "steps": list(range(400)), "losses": [0.5] * 400} for number in range(4)]
    for number in range(1, 101):
        kept(store, number, **a_run(losses=long))
    client.get("/console/runs")
    assert client.get("/console/runs/live").elapsed.total_seconds() < 2


def test_a_server_that_keeps_none_says_how(served_domains):
    with running(router_over(served_domains)) as (url, _), browser(url) as client:
        assert "--runs FOLDER" in client.get("/console/runs").text
        assert client.get(f"/console/runs/{'a' * 32}").status_code == 503

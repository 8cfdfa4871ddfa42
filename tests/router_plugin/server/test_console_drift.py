"""The console's page about kept queries, over a real server: what it shows, what it hands out, and what it deletes."""

import io
import json
import re
import time
import zipfile

import httpx
import pytest

from router_plugin import DomainRouter, load_domains, load_routes
from router_plugin.server.console.jobs import Job
from router_plugin.server.console.pages import drift
from router_plugin.server.options import ServerOptions
from router_plugin.server.service import Files
from router_plugin.server.traffic import kept_queries
from router_plugin.server.traffic.recorder import Recorder
from router_plugin.server.traffic.traffic_file import QUERY_COLUMNS, TrafficFile
from tests.conftest import EXAMPLES

from .conftest import router_over, running, wait_for

TOKEN = re.compile(r'name="token" value="([0-9a-f]{64})"')
HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=y>",
    "\u202eright to left\u202c",
    "nul \0 in it",
    "x" * 10_000,
]


def keep(file, texts, domain="general"):
    rows = [(time.time(), text, domain, "", "tiny", 0.5, None, "none", "") for text in texts]
    assert len(rows[0]) == len(QUERY_COLUMNS)
    file.add({}, rows)


def questions(name):
    lines = (EXAMPLES / "data" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines[:60]]


@pytest.fixture(scope="module")
def up(served_domains, tmp_path_factory):
    """A server that keeps queries, and their file."""
    file = TrafficFile(tmp_path_factory.mktemp("traffic") / "traffic.db")
    files = Files(traffic=Recorder(file, 30.0))
    routes = load_routes(EXAMPLES / "routes.yaml")
    settings = served_domains.settings.replace(strategy="adaptive", threshold=1.0)  # no route is near enough
    router = DomainRouter.over(served_domains, routes, settings)
    with running(router, ServerOptions(keep_queries=30), files=files) as (url, _):
        yield url, file


def computed(client):
    """The page when its figures are there."""
    token = TOKEN.search(client.get("/console/drift").text)[1]
    client.post("/console/drift", data={"token": token}).raise_for_status()
    return wait_for(
        lambda: (
            (text := client.get("/console/drift").text)
            and 'class="waiting"' not in text
            and "<h2>Domains" in text
            and text
        ),
        60,
    )


def test_figures_of_domains_and_hostile_texts(browser):
    client, file = browser
    keep(file, questions("medical") + HOSTILE)
    text = computed(client)
    assert "different queries" in text and re.search(
        r'<span class="tag[^"]*">(stable|drifting|too few queries)</span>', text
    )
    assert "<script>alert" not in text and "<img src=x" not in text
    assert not re.search(r"\s(style|on\w+)=|<style|<script>", text)


def test_a_cluster_becomes_the_start_of_a_domain(browser, tmp_path):
    from training import prepare_labels, read_labels

    client, file = browser
    queries = questions("legal")
    keep(file, queries)
    ids = ",".join(str(each.id) for each in kept_queries.find_queries(file))
    token = TOKEN.search(client.get("/console/drift").text)[1]
    form = {"token": token, "name": "tenancy", "ids": ids, "terms": "landlord\nrent"}
    assert client.post("/console/drift/start", data={**form, "token": ""}).status_code == 403
    answer = client.post("/console/drift/start", data=form)
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="tenancy.zip"' in answer.headers["content-disposition"]
    zipfile.ZipFile(io.BytesIO(answer.content)).extractall(tmp_path)
    (domain,) = load_domains(tmp_path / "tenancy" / "domain.yaml")
    assert domain.name == "tenancy" and set(domain.queries) == set(queries)
    assert "domain-router train tenancy/data" in (tmp_path / "tenancy" / "README.txt").read_text()
    for wrong in ("medical", "../x", "Tenancy", "general"):
        assert client.post("/console/drift/start", data={**form, "name": wrong}).status_code in (400, 422)
    kept_queries.delete_all(file)
    answer = client.post("/console/drift/start", data=form)
    assert answer.status_code == 400 and "is kept any more" in answer.text
    if (labels := tmp_path / "tenancy" / "labels.jsonl").exists():
        prepare_labels(read_labels(str(labels)), tmp_path / "data")


def test_queries_are_deleted_after_a_question(browser):
    client, file = browser
    keep(file, ["my name is Jane", "jane again", "100 % sure", "no_underscore"])
    keep(file, ["a medical one"], "medical")
    for what, number in (
        ({"what": "containing", "text": "JANE"}, 2),
        ({"what": "containing", "text": "%"}, 1),
        ({"what": "domain", "domain": "medical"}, 1),
        ({"what": "all"}, 1),
    ):
        question = client.get("/console/drift/delete", params=what).text
        assert f"Delete {number} queries" in question
        before = kept_queries.count_queries(file)
        assert client.post("/console/drift/delete", data=what).status_code == 403
        assert kept_queries.count_queries(file) == before
        answer = client.post("/console/drift/delete", data={**what, "token": TOKEN.search(question)[1]})
        assert f"{number} queries were deleted" in answer.text
        assert kept_queries.count_queries(file) == before - number
    for what in ({"what": "containing", "text": ""}, {"what": "domain"}, {"what": "everything"}):
        assert client.get("/console/drift/delete", params=what).status_code == 400


def test_deleted_queries_are_not_on_the_page(browser):
    client, file = browser
    keep(file, [f"secret plan {number}" for number in range(40)])
    text = computed(client)
    assert "secret plan" in text and "Start a domain from this cluster" in text
    question = client.get("/console/drift/delete", params={"what": "all"}).text
    answer = client.post("/console/drift/delete", data={"what": "all", "token": TOKEN.search(question)[1]})
    assert "secret" not in answer.text and "secret" not in client.get("/console/drift").text


def test_queries_that_another_process_deleted_are_not_on_the_page(browser):
    client, file = browser
    keep(file, [f"secret plan {number:02}" for number in range(40)])
    shown = re.search(r"secret plan \d\d", computed(client))[0]
    assert kept_queries.delete_containing(file, shown) == 1
    assert shown not in client.get("/console/drift").text
    assert shown not in computed(client)


def test_the_wait_is_not_read_out_every_two_seconds(browser, monkeypatch):
    client, file = browser
    keep(file, ["one"])
    monkeypatch.setattr(drift, "_job", lambda *_, **__: Job(lambda _: None))
    text = client.get("/console/drift").text
    (waiting,) = re.findall(r'<p class="waiting"[^>]*>', text)
    assert "every 2s" in waiting and "role=" not in waiting


def test_the_page_says_how_to_keep_queries(served_domains):
    with running(router_over(served_domains)) as (url, _), httpx.Client(base_url=url) as client:
        assert "--keep-queries" in client.get("/console/drift").text
        assert client.get("/console/drift/delete?what=all").status_code == 400

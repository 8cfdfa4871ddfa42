"""The console's page of a domain: what it shows, and how versions are promoted and rolled back from it."""

import json
import re

import pytest

from registry.aliasing.moves import author
from registry.policies.policy import Guard, Policy
from registry.snapshot import Snapshot
from router_plugin import DomainRouter
from router_plugin.server.console.pages.domain import showing
from router_plugin.server.jsonl_file import JsonlFile
from router_plugin.server.options import ServerOptions
from router_plugin.server.protection.keys import Keys
from router_plugin.server.service import Files
from training import publish

from .conftest import router_over, running, wait_for
from .test_canary import QUERIES, ROUTES
from .test_console import browser, signed_in

LEGAL = "/console/domains/legal"
HTMX = {"HX-Request": "true"}
WHY = {"why": "better on\r\nreal questions"}
HOSTILE = "<script>alert(1)</script>\"'>\u202e &amp; {{ 7 * 7 }}"


@pytest.fixture
def candidate(store, other_legal):
    """A candidate of the legal domain."""
    return publish(other_legal, store, force=True)


@pytest.fixture
def serve(store, tmp_path):
    """A function that serves that registry with some options."""

    def start(keys=None, **options):
        log = tmp_path / "shadow.jsonl"
        files = Files(shadow=JsonlFile(log, "shadow_log")) if "shadow" in options else Files()
        logged = {"shadow_log": log} if "shadow" in options else {}
        router = DomainRouter(ROUTES, tmp_path / "registry")
        return running(router, ServerOptions(**options, **logged), keys, files)

    return start


def form(text, action):
    """The hidden fields of a form of a page."""
    found = re.search(rf'<form method="post" action="{LEGAL}/{action}">.*?</form>', text, re.DOTALL)
    return found and dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', found[0]))


def post(client, action, **fields):
    return client.post(f"{LEGAL}/{action}", data=fields)


def test_the_page_shows_versions_gains_aliases_and_history(serve, store, candidate):
    with serve() as (url, _), browser(url) as client:
        assert f'<a href="{LEGAL}">legal</a>' in client.get("/console").text
        text = client.get(LEGAL).text
        for version in store.versions("legal"):
            assert f'scope="row">{version.version}</th>' in text and version.dataset.fingerprint[:12] in text
            gain = version.comparison["mrr@5"]
            for figure in (gain.difference, gain.low, gain.high):
                assert f"{figure:+.4f}" in text
            base, adapted = (metrics["test"]["mrr@5"] for metrics in (version.base_metrics, version.adapted_metrics))
            assert f"{base:.4f} → {adapted:.4f}" in text
        assert "Gain in mrr@5 on test, by version" in text and "Gain in recall@5" not in text
        assert "Gain in recall@5 on test" in client.get(LEGAL, params={"measure": "recall@5"}).text
        assert text.count("<svg") == 1 and author() in text
        assert not re.search(r"\s(style|on\w+)=|<style|<script>", text)
        assert client.get(LEGAL, params={"page": 99, "moves": 99}).status_code == 200
        for wrong in ({"measure": "x"}, {"page": 0}, {"page": "9" * 40}, {"moves": "a"}):
            assert client.get(LEGAL, params=wrong).status_code == 400


def test_a_candidate_is_promoted_by_name_and_once(serve, store, candidate):
    admin_keys, admin = Keys().with_new("anna", ("admin",))
    with serve(admin_keys) as (url, service), signed_in(url, admin) as client:
        fields = {**form(client.get(LEGAL).text, "promote"), "version": 2, **WHY}
        assert fields["expected"] == "1"
        for wrong in ({"token": "0" * 64}, {"why": " "}, {"why": "a\x00b"}, {"why": "\u202e"}, {"why": "a" * 2001}):
            assert post(client, "promote", **{**fields, **wrong}).status_code in (400, 403)
        for wrong in ({"version": 0}, {"version": 10**30}, {"version": "x"}, {"expected": -1}):
            assert post(client, "promote", **{**fields, **wrong}).status_code == 400
        assert len(store.history("legal")) == 2
        for _ in range(2):
            answer = post(client, "promote", **fields)
            assert answer.status_code == 200 and answer.url.path == LEGAL
        *_, promoted, candidate_gone = store.history("legal")
        assert (promoted.version, candidate_gone.version) == (2, None) and len(store.history("legal")) == 4
        assert (promoted.author, promoted.why) == (f"anna through {author()}", "better on\nreal questions")
        wait_for(lambda: service.champions.versions()["legal"] == "legal@2")
        assert "It is the registry's champion" in client.get(LEGAL).text


def test_a_form_that_was_seen_before_another_move_changes_nothing(serve, store, candidate, other_legal):
    publish(other_legal, store, force=True)
    with serve() as (url, _), browser(url) as client:
        text = client.get(LEGAL).text
        promote = {**form(text, "promote"), "version": 2, **WHY}
        assert form(text, "roll-back") is None
        store.promote("legal@3")
        before = store.history("legal")
        answer = post(client, "promote", **promote)
        assert answer.status_code == 409 and "the champion of legal is legal@3 now" in answer.text
        roll_back = {**form(client.get(LEGAL).text, "roll-back"), **WHY}
        assert post(client, "roll-back", **{**roll_back, "expected": 2}).status_code == 409
        assert store.history("legal") == before
        assert post(client, "roll-back", **roll_back).url.path == LEGAL
        assert post(client, "roll-back", **roll_back).status_code == 409
        assert store.aliases("legal")["champion"] == 1
        assert store.history("legal")[-1].author == f"local through {author()}"


def test_the_gate_is_shown_line_by_line_and_refuses(serve, store, candidate):
    store.policies.set(Policy(max_bytes=10, max_dimension=1000))
    with serve() as (url, _), browser(url) as client:
        for address in (f"{LEGAL}/gate", f"{LEGAL}/gate?version=2"):
            text = client.get(address, headers=HTMX).text
            assert "1 of 2 lines fail" in text and text.count("<tr>") == 3 and "<html" not in text
            assert "32 dimensions; at most 1,000 are allowed" in text
        assert "<html" in client.get(f"{LEGAL}/gate").text
        assert "legal@1 is the champion already" in client.get(f"{LEGAL}/gate?version=1").text
        assert "legal@9 is not registered" in client.get(f"{LEGAL}/gate?version=9").text
        assert "There is no candidate" in client.get("/console/domains/medical/gate").text
        fields = {**form(client.get(LEGAL).text, "promote"), "version": 2, **WHY, "force": "true"}
        answer = post(client, "promote", **fields)
        assert answer.status_code == 409 and "1 of 2 lines fail" in answer.text and "max_bytes" in answer.text
        assert post(client, "promote", **{**fields, "version": 9}).status_code == 409
        assert store.aliases("legal") == {"champion": 1, "candidate": 2}
        store.policies.remove()
        assert "would be promoted: no rule applies" in client.get(f"{LEGAL}/gate").text


def test_a_protected_champion_needs_its_key_which_is_kept_nowhere(serve, store, candidate, caplog):
    field = 'type="password" name="key"'
    secret = store.policies.add_key("release")
    with serve() as (url, service), browser(url) as client:
        service.router.served_domains.store.use_key(secret)
        assert field not in client.get(LEGAL).text
        store.policies.set(Policy(protected={"champion": Guard(key="release")}))
        text = client.get(LEGAL).text
        assert text.count(field) == 1
        fields = {**form(text, "promote"), "version": 2, **WHY}
        for key in ("", "drp_wrong"):
            answer = post(client, "promote", **fields, key=key)
            assert answer.status_code == 403 and "protected by the key release" in answer.text
            assert "DOMAIN_ROUTER" not in answer.text and "wrong" not in answer.text
        answer = post(client, "promote", **fields, key=secret)
        assert answer.url.path == LEGAL and secret not in answer.text
        assert store.aliases("legal")["champion"] == 2
        assert secret not in caplog.text + str(store.history("legal"))


def test_what_serves_is_told_again_when_it_changes(serve, store, candidate):
    with serve(reload_s=0.1) as (url, service), browser(url) as client:
        address = re.search(rf'hx-get="({LEGAL}/serving\?seen=\w+)"', client.get(LEGAL).text)[1]
        assert client.get(address, headers=HTMX).status_code == 204
        store.promote("legal")
        wait_for(lambda: service.champions.versions()["legal"] == "legal@2")
        answer = client.get(address, headers=HTMX)
        assert answer.status_code == 200 and "<strong>legal@2</strong>" in answer.text and "<html" not in answer.text
        service.champions.unloaded = {"legal@2": HOSTILE}
        answer = client.get(address, headers=HTMX)
        assert "cannot be loaded" in answer.text and "<script>" not in answer.text


def test_canary_and_shadow_are_compared(serve, store, candidate, tmp_path):
    log = tmp_path / "shadow.jsonl"
    with serve(canary=("legal=0.5",), shadow=("legal",)) as (url, _), browser(url, timeout=20) as client:
        address = f"{LEGAL}/comparison"
        assert "no query was decided yet" in client.get(address).text
        for wanted in ("legal", "none"):
            queries = {"queries": QUERIES[:30]}
            client.post("/v1/route/batch", json=queries, headers={"X-Domain-Router-Canary": wanted}).raise_for_status()
        wait_for(lambda: len(log.read_text().splitlines()) == 30)
        text = client.get(address, headers=HTMX).text
        assert "decides 50 % of the requests" in text and "30 queries in the last 8 MB" in text
        assert re.search(r"all</th><td>30</td><td>30</td>", text)
        line = json.loads(log.read_text().splitlines()[0])
        rows = []
        for number in range(3000):
            sides = {"champion": {**line["champion"], "route": f"<b>{number}", "confidence": 0.25}}
            query = HOSTILE + "x" * 10_000 if number == 0 else f"{HOSTILE} {number}"
            rows.append(json.dumps({**line, **sides, "query": query}))
        log.write_text("\n".join(rows[::-1]))
        text = client.get(address).text
        assert "<script>" not in text.replace("<script src", "") and "<b>" not in text and "0.250" in text
        assert "2980 other pairs of routes are left out" in text and len(text) < 100_000
        log.write_text("{}")
        assert "is not what" in client.get(address).text
        other = client.get("/console/domains/medical/comparison").text
        assert "None decides in the shadow" in other


def test_many_versions_come_by_pages(serve, store):
    from sqlalchemy import insert, select

    from registry.storage.tables import model_versions

    with store._store.engine.connect() as connection:
        first = dict(
            connection.execute(select(model_versions).where(model_versions.c.domain == "legal")).one()._mapping
        )

    def more(connection):
        for number in range(2, 131):
            record = {**first["record"], "version": number, "author": HOSTILE}
            connection.execute(insert(model_versions).values({**first, "version": number, "record": record}))

    store._store.write(more)
    with serve() as (url, _), browser(url) as client:
        pages = [client.get(LEGAL, params={"page": number}).text for number in (1, 2, 3)]
    numbers = [[int(number) for number in re.findall(r'scope="row">(\d+)<', text)] for text in pages]
    assert numbers == [list(range(130, 80, -1)), list(range(80, 30, -1)), list(range(30, 0, -1))]
    assert "page 1 of 3, 130 versions" in pages[0] and "<script>" not in pages[0].replace("<script src", "")
    assert max(map(len, pages)) < 150_000


def test_the_history_comes_by_pages(serve, store, candidate, monkeypatch):
    monkeypatch.setattr(showing, "MOVES", 3)
    for number in range(6):
        store.promote(f"legal@{2 - number % 2}", f"reason {number}")
    with serve() as (url, _), browser(url) as client:
        text = client.get(LEGAL).text
        assert "reason 5" in text and "reason 2" not in text and "page 1 of 3" in text
        assert "reason 0" in client.get(LEGAL, params={"moves": 3}).text


def test_domains_without_versions_have_a_page_and_unknown_ones_none(served_domains):
    with running(router_over(served_domains)) as (url, _), browser(url) as client:
        assert "the base model serves it" in client.get("/console/domains/general").text
        for name in ("law", "Legal", "a" * 300, "<b>", "%00", "%ed%a0%80", "general%2f.."):
            for part in ("", "/gate", "/serving", "/comparison"):
                answer = client.get(f"/console/domains/{name}{part}")
                assert answer.status_code == 404 and "<b>" not in answer.text, name
        token = re.search(r'"x-console-token": "(\w+)"', client.get("/console").text)[1]
        fields = {"token": token, "version": 1, "expected": 1, **WHY}
        for action in ("promote", "roll-back"):
            assert client.post(f"/console/domains/general/{action}", data=fields).status_code == 400
            assert client.post(f"/console/domains/law/{action}", data=fields).status_code == 404


def test_a_snapshot_shows_what_it_can_and_has_no_forms(served_domains, tmp_path):
    champions = [(served_domains.champions[name], path) for name, path in served_domains.folders.items()]
    Snapshot.write(tmp_path, served_domains.base, champions)
    router = DomainRouter(ROUTES, Snapshot(tmp_path), base_model=served_domains.base)
    with running(router) as (url, _), browser(url) as client:
        text = client.get(LEGAL).text
        assert "legal@1" in text and "copy of a registry" in text and "<form" not in text
        assert "There is no candidate" in client.get(f"{LEGAL}/gate").text
        assert client.get(f"{LEGAL}/comparison").status_code == client.get(f"{LEGAL}/serving").status_code == 200

"""The console's frame: who gets in, what a browser may load, and the first page."""

import hashlib
import json
import re
import time
from contextlib import ExitStack, contextmanager
from html import unescape

import httpx
import pytest

from router_plugin.errors import ServerError
from router_plugin.server.console import static_files
from router_plugin.server.console.alarms import traffic_alarms
from router_plugin.server.console.pages import overview
from router_plugin.server.console.sessions import COOKIE, Sessions
from router_plugin.server.options import ServerOptions
from router_plugin.server.protection.key_file import KeyFile
from router_plugin.server.protection.keys import Keys
from router_plugin.server.service import Files
from router_plugin.server.traffic.recorder import Recorder, bucket_of
from router_plugin.server.traffic.traffic_file import DECISIONS, REQUESTS, TrafficFile

from .conftest import router_over, running, wait_for

TOKEN = re.compile(r'name="token" value="([0-9a-f]{64})"')


@pytest.fixture(scope="module")
def keys():
    """Keys, and the secrets of an administrator and of a client."""
    found, admin = Keys().with_new("anna", ("admin",))
    found, client = found.with_new("shop", ("route",))
    return found, admin, client


@pytest.fixture(scope="module")
def guarded(served_domains, keys):
    with running(router_over(served_domains), keys=keys[0]) as (url, _):
        yield url


def browser(url, **options):
    return httpx.Client(base_url=url, follow_redirects=True, **options)


@contextmanager
def signed_in(url, secret):
    with browser(url) as client:
        client.post("/console/sign-in", data={"key": secret}).raise_for_status()
        yield client


def test_without_a_session_there_is_only_the_form(guarded):
    with browser(guarded) as client:
        answer = client.get("/console")
    assert answer.url.path == "/console/sign-in" and "medical" not in answer.text


def test_administrators_sign_in_and_out_and_others_do_not(guarded, keys):
    _, admin, client_key = keys
    with browser(guarded) as client:
        for wrong in (client_key, "dr-wrong", ""):
            assert client.post("/console/sign-in", data={"key": wrong}).status_code == 401
        answer = client.post("/console/sign-in", data={"key": admin, "next": "/console"})
        assert answer.url.path == "/console" and "medical" in answer.text
        cookie = next(each for each in client.cookies.jar if each.name == COOKIE)
        assert cookie.has_nonstandard_attr("HttpOnly") and cookie.get_nonstandard_attr("SameSite") == "Strict"
        assert admin not in cookie.value
        assert client.post("/console/sign-out").status_code == 403
        answer = client.post("/console/sign-out", data={"token": TOKEN.search(answer.text)[1]})
        assert answer.url.path == "/console/sign-in"
        assert client.get("/console").url.path == "/console/sign-in"


def test_signing_out_ends_a_session_for_every_copy_of_its_cookie_in_all_processes(served_domains, keys, tmp_path):
    with ExitStack() as opened:
        urls = []
        for _ in range(2):
            recorder = Recorder(TrafficFile(tmp_path / "traffic.sqlite"))
            server = running(router_over(served_domains), keys=keys[0], files=Files(traffic=recorder))
            urls.append(opened.enter_context(server)[0])
        with signed_in(urls[0], keys[1]) as client, signed_in(urls[1], keys[1]) as other:
            copy = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
            token = TOKEN.search(client.get("/console").text)[1]
            assert [httpx.get(f"{url}/console", headers=copy).status_code for url in urls] == [200, 200]
            client.post("/console/sign-out", data={"token": token}).raise_for_status()
            assert [httpx.get(f"{url}/console", headers=copy).status_code for url in urls] == [303, 303]
            assert httpx.post(f"{urls[1]}/console/drift", data={"token": token}, headers=copy).status_code == 303
            assert other.get("/console").url.path == "/console"


def test_a_session_that_ended_stays_ended_after_a_restart_with_and_without_the_file(keys, tmp_path, monkeypatch):
    keys[0].save(tmp_path / "keys.json")
    key_file, file = KeyFile(tmp_path / "keys.json"), TrafficFile(tmp_path / "traffic.sqlite")
    sessions = Sessions(key_file, file)
    ended, other = sessions.start(keys[1]), sessions.start(keys[1])
    sessions.end(sessions.read(ended))
    later = time.time() + 2
    monkeypatch.setattr(time, "time", lambda: later)
    again = Sessions(key_file, file)
    assert again.read(ended) is None and again.read(other).name == "anna"
    without = Sessions(key_file, TrafficFile(tmp_path / "another.sqlite"))
    assert without.read(ended) is None and without.read(other) is None
    assert without.read(without.start(keys[1])).name == "anna"


def test_nobody_is_let_in_while_it_is_unknown_which_sessions_ended(served_domains, keys, tmp_path):
    recorder = Recorder(TrafficFile(tmp_path / "traffic.sqlite"))
    with (
        running(router_over(served_domains), keys=keys[0], files=Files(traffic=recorder)) as (url, _),
        signed_in(url, keys[1]) as client,
    ):
        recorder.file.path = tmp_path / "damaged"
        recorder.file.path.write_text("no database" * 100)
        answer = client.get("/console")
        assert answer.status_code == 500 and "is damaged" in answer.text and "medical" not in answer.text


def test_signing_in_leads_to_no_other_site(guarded, keys):
    with httpx.Client(base_url=guarded) as client:
        for elsewhere in ("https://example.com", "//example.com", "/console.example.com", "/metrics"):
            answer = client.post("/console/sign-in", data={"key": keys[1], "next": elsewhere})
            assert answer.headers["location"] == "/console"


def test_a_form_of_another_site_changes_nothing(guarded, keys):
    with signed_in(guarded, keys[1]) as client:
        token = TOKEN.search(client.get("/console").text)[1]
        foreign = {"Origin": "https://example.com"}
        assert client.post("/console/sign-out", data={"token": token}, headers=foreign).status_code == 403
        assert client.get("/console").url.path == "/console"


def test_a_cookie_ends_with_its_time_its_key_and_any_change(keys, tmp_path, monkeypatch):
    known, admin, _ = keys
    file = tmp_path / "keys.json"
    known.save(file)
    key_file = KeyFile(file)
    sessions = Sessions(key_file)
    cookie = sessions.start(admin)
    assert sessions.read(cookie).name == "anna"
    for place in range(len(cookie)):
        other = "0" if cookie[place] != "0" else "1"
        assert sessions.read(cookie[:place] + other + cookie[place + 1 :]) is None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 13 * 3600)
    assert sessions.read(cookie) is None
    monkeypatch.undo()
    known.without("anna").save(file)
    key_file.look()
    assert sessions.read(cookie) is None


def test_without_keys_this_machine_alone_uses_it_and_by_its_own_name(served_domains):
    with running(router_over(served_domains)) as (url, _), browser(url) as client:
        assert "medical" in client.get("/console").text
        for host in ("attacker.example", "attacker.example:80", ""):
            assert client.get("/console", headers={"Host": host}).status_code in (400, 403)


def test_a_server_can_do_without(served_domains):
    with running(router_over(served_domains), ServerOptions(console=False)) as (url, _):
        assert httpx.get(f"{url}/console").status_code == 404


def test_pages_load_nothing_from_elsewhere_and_run_nothing_inline(guarded, keys):
    with signed_in(guarded, keys[1]) as client:
        answer = client.get("/console")
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy and "default-src 'none'" in policy and "http" not in policy
        assert not re.search(r"\s(style|on\w+)=|<style|<script>", answer.text)
        for address in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
            assert address.startswith(("/console", "#", "data:,"))
            if "/static/" in address:
                found = client.get(address)
                assert found.status_code == 200 and "immutable" in found.headers["cache-control"]


def test_static_files_are_none_but_the_consoles_own(guarded):
    for path in ("0000000000000000/console.js", "x/%2e%2e/app.py", "x/%2e%2e%2f%2e%2e%2fapp.py"):
        assert httpx.get(f"{guarded}/console/static/{path}").status_code == 404


def test_vendored_files_are_what_their_list_says():
    folder = static_files.FOLDER / "vendor"
    listed = json.loads((folder / "vendored.json").read_text())
    files = {name: digest for each in listed.values() for name, digest in each["files"].items()}
    licences = {each["licence_file"] for each in listed.values()}
    assert {path.name for path in folder.iterdir()} == {*files, *licences, "vendored.json"}
    for name, digest in files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_an_error_is_a_page(guarded, keys):
    with signed_in(guarded, keys[1]) as client:
        answer = client.get("/console/nothing<b>")
    assert answer.status_code == 404 and "<b>" not in answer.text and "text/html" in answer.headers["content-type"]


@pytest.fixture(scope="module")
def counted(served_domains, tmp_path_factory):
    """A server that counts, after some decisions, a refusal among them."""
    recorder = Recorder(TrafficFile(tmp_path_factory.mktemp("traffic") / "traffic.sqlite"))
    options = ServerOptions(max_texts=50)
    with running(router_over(served_domains), options, files=Files(traffic=recorder)) as (url, service):
        with browser(url) as client:
            asked = {"queries": ["What are the symptoms of flu?", "<script>alert(1)</script>"]}
            client.post("/v1/route/batch", json=asked).raise_for_status()
            assert client.post("/v1/route/batch", json={"queries": ["x"] * 51}).status_code == 422
        yield url, service


def charts_of(html):
    return [json.loads(unescape(found)) for found in re.findall("data-chart='([^']*)'", html)]


def test_the_overview_shows_what_was_decided_and_refused(counted):
    with browser(counted[0]) as client:
        for span in ("hour", "day", "month"):
            html = wait_for(
                lambda span=span: (
                    found if len(charts_of(found := client.get(f"/console?span={span}").text)) == 4 else None
                )
            )
            domains, routes, refused, confidence = charts_of(html)
            for chart in (domains, routes):
                assert sum(sum(each["values"]) for each in chart["series"]) == 2
                assert all(len(each["values"]) == len(chart["x"]) for each in chart["series"])
            assert [(each["label"], sum(each["values"])) for each in refused["series"]] == [("422", 1)]
            given = [value for each in confidence["series"] for value in each["values"] if value is not None]
            assert given and all(0 <= value <= 1 for value in given)
            assert "/v1/route/batch" in html and 'scope="row">classify</th>' in html
        part = client.get("/console/traffic?span=hour", headers={"HX-Request": "true"}).text
        assert part.strip().startswith("<section") and len(charts_of(part)) == 4
        assert client.get("/console?span=year").status_code == 400


def test_what_an_operator_should_look_at_is_on_the_first_page(counted, monkeypatch):
    url, service = counted
    monkeypatch.setattr(service.champions, "unread", "<b>gone</b>")
    monkeypatch.setattr(service.champions, "unloaded", {"medical@7": "damaged"})
    with browser(url) as client:
        html = client.get("/console").text
    assert "&lt;b&gt;gone&lt;/b&gt;" in html and "medical@7 is not served: damaged" in html


@pytest.mark.parametrize(("number", "raised"), [(99, False), (100, True)])
def test_slow_answers_and_queries_without_a_domain_raise_alarms(tmp_path, number, raised):
    file, minute = TrafficFile(tmp_path / "traffic.sqlite"), int(time.time()) // 60 * 60
    decided = {
        (minute, "general", "base", "", "", ""): (40, 20.0),
        (minute, "medical", "m@1", "", "", ""): (number - 40, 9),
    }
    asked = {(minute, path, 200, bucket_of(2.0)): (number,) for path in ("/v1/route", "/v1/embeddings")}
    file.add({DECISIONS: decided, REQUESTS: asked}, [])
    found = traffic_alarms(file, ServerOptions())
    assert [each.split()[0] for each in found] == (["/v1/route", "40"] if raised else [])
    assert traffic_alarms(file, ServerOptions(alarm_ms=3000, alarm_unclaimed=0.4)) == []


def test_the_first_page_comes_without_its_traffic(counted, monkeypatch):
    monkeypatch.setattr(overview, "series", refuse)
    with browser(counted[0]) as client:
        answer = client.get("/console")
    assert answer.status_code == 200 and "Traffic cannot be read: locked" in answer.text


def refuse(*_):
    raise ServerError("locked")


@pytest.mark.parametrize("host", ["[", "[::1"])
def test_a_malformed_host_is_refused(guarded, counted, host):
    for url in (guarded, counted[0]):
        assert httpx.get(f"{url}/console", headers={"host": host}).status_code == 400


def test_cookies_of_other_programs_do_not_hide_ours(guarded, keys):
    with signed_in(guarded, keys[1]) as client:
        ours = client.cookies[COOKIE]
    others = {"cookie": f'theirs={{"a": [1, 2]}}; {COOKIE}={ours}'}
    assert httpx.get(f"{guarded}/console", headers=others).status_code == 200


def test_forms_of_other_kinds_and_origins_are_refused(guarded, keys):
    half = b'--b\r\ncontent-disposition: form-data; name="key"\r\n\r\n+2AA-\r\n--b--\r\n'
    kind = {"content-type": "multipart/form-data; boundary=b; charset=utf-7"}
    assert httpx.post(f"{guarded}/console/sign-in", content=half, headers=kind).status_code == 400
    with signed_in(guarded, keys[1]) as client:
        token = TOKEN.search(client.get("/console").text)[1]
        for origin in ("null", "http://[", "http://elsewhere.example"):
            answer = client.post("/console/sign-out", data={"token": token}, headers={"origin": origin})
            assert answer.status_code == 403
        assert client.post("/console/sign-out", headers={"x-console-token": b"\xff"}).status_code == 403


def test_files_that_anybody_may_keep_come_without_a_session(counted):
    answer = httpx.get(f"{counted[0]}{static_files.address('console.js')}")
    assert answer.status_code == 200 and "set-cookie" not in answer.headers


def test_what_is_refused_before_a_page_is_answered_by_one(guarded, keys):
    with signed_in(guarded, keys[1]) as client:
        for answer in (
            client.post("/console/sign-out", data={"token": "0" * 64}),
            client.post("/console/sign-out", content="x" * 9_000_000),
            client.get("/console", headers={"host": "["}),
        ):
            assert answer.status_code in (400, 403, 413) and 'role="alert"' in answer.text
            assert "default-src 'none'" in answer.headers["content-security-policy"]


LINK = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
WORKING = ("data?domain=medical", "drift", "routes/strays", "routes/confusions", "playground?query=flu")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_starts_no_work(counted, site):
    with browser(counted[0], timeout=30) as client:
        for path in WORKING:
            for mode in (LINK, {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}):
                answer = client.get(f"/console/{path}", headers={**mode, "Sec-Fetch-Site": site})
                assert answer.status_code == 403 and "another site" in answer.text, path
        assert client.get("/console", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors"}).status_code == 403
        for path in ("", "/routes", "/runs", "/domains/medical"):
            assert client.get(f"/console{path}", headers={**LINK, "Sec-Fetch-Site": site}).status_code == 200, path


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_addresses_that_are_typed_and_links_of_the_console_start_work(counted, site):
    with browser(counted[0], timeout=30) as client:
        for path in WORKING:
            assert client.get(f"/console/{path}", headers={**LINK, "Sec-Fetch-Site": site}).status_code == 200, path


def test_another_site_signs_nobody_in(guarded, keys):
    with browser(guarded) as client:
        link = {**LINK, "Sec-Fetch-Site": "cross-site"}
        assert client.post("/console/sign-in", data={"key": keys[1]}, headers=link).status_code == 403
        assert client.get("/console/sign-in", headers=link).status_code == 200

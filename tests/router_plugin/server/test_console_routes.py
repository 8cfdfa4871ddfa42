"""Routes in the console: found, edited with their effect shown before, saved whole or not at all, and confusions."""

import html
import json
import re
import time

import httpx
import pytest

from router_plugin import DomainRouter, Route, load_routes
from router_plugin.routes_text.editing import RouteChange
from router_plugin.server.editing.lines import from_lines, to_lines
from router_plugin.server.editing.route_files import RouteFiles, changed_lines
from router_plugin.server.options import ServerOptions
from router_plugin.server.service import Files
from tests.conftest import EXAMPLES

from .conftest import running, wait_for
from .test_console_playground import text_of

PATH = "/console/routes"
TOKEN = re.compile(r'name="token" value="([0-9a-f]{64})"')
HOSTILE = "<script>alert(1)</script>\"' \u202e {{ 7 * 7 }} &amp; %00 \\n"
LABELLED = [
    {"text": "my chest hurts when I take a breath", "route": "symptoms"},
    {"text": "which pills can I take together", "route": "medicines"},
    {"text": "what does my blood count mean", "route": "tests"},
    {"text": "<script>alert(2)</script>", "route": None},
    {"text": "zyx wvu tsr", "route": "tests"},
]


@pytest.fixture
def file(tmp_path):
    """A routes file of one's own, with a comment and a hostile name."""
    text = (EXAMPLES / "routes.yaml").read_text(encoding="utf-8")
    path = tmp_path / "routes.yaml"
    path.write_text(f"{text}  - name: {json.dumps(HOSTILE)}\n    utterances:\n      - |-\n        two\n        lines\n")
    return path


@pytest.fixture
def serve(served_domains, tmp_path):
    """A function that serves routes of files."""

    def start(*files, labelled=None, **options):
        known = RouteFiles(files)
        router = DomainRouter.over(
            served_domains, [route for each in files for route in load_routes(each)], served_domains.settings
        )
        if labelled is not None:
            options["labelled"] = tmp_path / "labelled.jsonl"
            options["labelled"].write_text("".join(f"{json.dumps(row)}\n" for row in labelled))
        return running(router, ServerOptions(**options), files=Files(routes=known))

    return start


def browser(url):
    return httpx.Client(base_url=url, follow_redirects=True, timeout=60)


def form_of(page):
    """What a browser would send of the form, as it stands."""
    area = re.search(r'<textarea id="utterances"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)[1]
    values = dict(re.findall(r'<input[^>]*?name="(\w+)" value="([^"]*)"', page))
    return {name: html.unescape(value) for name, value in {**values, "utterances": area}.items()}


def edited(client, name, /, **changes):
    return {**form_of(client.get(f"{PATH}/edit", params={"name": name}).text), **changes}


@pytest.mark.parametrize(
    "utterances",
    [
        ("plain", "with \\n backslash", 'says "hello"'),
        ("two\nlines", "\ttab", " blanks ", "\r", "\u2028x", "a\u00a0b", '"quoted"', '"', "\0 nul", "\x85"),
        (HOSTILE, "x" * 10_000, "\U0001f48a", "{}", "[1]", "null"),
    ],
)
def test_every_utterance_survives_a_text_field(utterances):
    sent = to_lines(utterances).replace("\n", "\r\n")  # as browsers do
    assert from_lines(sent) == utterances


def test_blank_lines_are_no_utterances_and_quotes_that_are_no_json_are_text():
    assert from_lines('\r\n a \n\n"b" he said\r"c\\n"\n"') == ("a", '"b" he said', "c\n", '"')


def test_lines_that_differ_are_shown_with_those_around():
    assert changed_lines("a\nb\nc\nd\n- e\nf\n", "a\nb\nc\nd\nx\nf\n") == [" b", " c", " d", "-- e", "+x", " f"]
    assert changed_lines("a\n", "a\n") == []


def test_routes_are_found_by_name_and_utterance(serve, file):
    with serve(file) as (url, _), browser(url) as client:
        assert "symptoms" in client.get(PATH).text
        found = client.get(PATH, params={"q": "BLOOD THINNER"}).text
        assert ">medicines<" in found and ">symptoms<" not in found and "together with my blood thinner" in found
        hostile = client.get(PATH, params={"q": HOSTILE[:30]})
        assert "<script>alert" not in hostile.text and "&lt;script&gt;alert" in hostile.text
        assert client.get(PATH, params={"q": "x" * 10_000}).status_code == 400
        part = client.get(PATH, params={"q": "medicines"}, headers={"HX-Request": "true"}).text
        assert "<html" not in part and 'id="found"' in part and 'id="count"' in part


def test_one_of_twenty_thousand_routes_is_changed_fast(tmp_path):
    path = tmp_path / "many.yaml"
    routes = [Route(name=f"route {number}", utterances=(f"thing {number}",)) for number in range(20_000)]
    lines = (f"  - name: {each.name}\n    utterances:\n      - {each.utterances[0]}\n" for each in routes)
    path.write_text("routes:\n" + "".join(lines))
    before = routes[15_000]
    wanted = before.model_copy(update={"utterances": ("thing 15000", "another")})
    files = RouteFiles([path])
    files.take_over(routes)
    started = time.monotonic()
    file = files.holding(before)
    changed = file.with_text(file.changed(RouteChange(before, wanted)))
    lines = changed_lines(file.text, changed.text)
    assert time.monotonic() - started < 1
    assert [line for line in lines if line[0] != " "] == ["+      - another"]
    assert changed.routes == (*routes[:15_000], wanted, *routes[15_001:])


def test_a_change_is_shown_with_its_effect_and_nothing_is_changed(serve, file):
    with serve(file, labelled=LABELLED) as (url, service), browser(url) as client:
        state, before = service.router.state, file.read_text()
        sent = edited(client, "tests", utterances="zyx wvu\nwhat does a high white cell count mean")
        answer = client.post(f"{PATH}/effect", data=sent)
        seen = text_of(answer.text)
        assert answer.status_code == 200 and "Of 5 labelled queries," in seen and "were right" in seen
        assert "+ - zyx wvu" in seen and "- - how is a heart scan done" in seen
        assert "<script>alert" not in answer.text
        assert service.router.state is state and file.read_text() == before
        same = client.post(f"{PATH}/effect", data=edited(client, "tests"))
        assert "Nothing changes." in same.text


def test_a_change_is_saved_with_comments_and_served(serve, file):
    with serve(file) as (url, service), browser(url) as client:
        before = file.read_text()
        sent = edited(client, "symptoms", utterances='my ears ring\n"two\\nlines"', threshold="0.25", domain="")
        assert "--labelled FILE" in client.post(f"{PATH}/effect", data=sent).text
        answer = client.post(f"{PATH}/save", data=sent)
        assert answer.url.path == f"{PATH}/edit" and "Saved in routes.yaml" in answer.text
        (found,) = [route for route in load_routes(file) if route.name == "symptoms"]
        assert found.utterances == ("my ears ring", "two\nlines") and found.threshold == 0.25 and not found.domains
        assert found.description and file.read_text().startswith("# Routes of the quickstart.")
        assert file.with_name("routes.yaml.bak").read_text() == before
        assert found in service.router.routes
        decided = client.post("/v1/route", json={"query": "my ears ring"}).json()
        assert decided["route"] == "symptoms" and decided["score"] == 1
        again = client.post(f"{PATH}/save", data={**edited(client, HOSTILE), "threshold": "0.5"})
        assert again.status_code == 200 and load_routes(file)[-1].utterances == ("two\nlines",)


def test_a_file_that_changed_meanwhile_is_left(serve, file):
    with serve(file) as (url, service), browser(url) as client:
        sent = edited(client, "symptoms", utterances="mine")
        earlier = edited(client, "tests", utterances="of another")
        assert client.post(f"{PATH}/save", data=sent).status_code == 200
        answer = client.post(f"{PATH}/save", data=earlier)
        assert answer.status_code == 409 and ">of another<" in answer.text.replace("\n", "")
        sent = edited(client, "tests", utterances="of mine")
        file.write_text(file.read_text() + "# by hand\n")
        answer = client.post(f"{PATH}/save", data=sent)
        assert answer.status_code == 409 and file.read_text().endswith("# by hand\n")
        assert all("of mine" not in route.utterances for route in service.router.routes)
        sent = edited(client, "tests", utterances="of mine")
        assert client.post(f"{PATH}/save", data=sent).status_code == 200 and "# by hand\n" in file.read_text()


def test_what_is_no_route_is_said_and_stays_in_the_form(serve, file):
    with serve(file) as (url, _), browser(url) as client:
        for change in (
            {"utterances": " \n"},
            {"threshold": "high"},
            {"threshold": "nan"},
            {"threshold": "7"},
            {"domain": "nowhere"},
            {"domain": "<script>alert(1)</script>"},
            {"utterances": '"\\ud800"'},
        ):
            for action in ("effect", "save", "download"):
                answer = client.post(f"{PATH}/{action}", data=edited(client, "tests", **change))
                if action == "download" and "domain" in change:  # a file may be for another server
                    continue
                assert answer.status_code == 400 and "<script>alert" not in answer.text
        assert client.get(f"{PATH}/edit", params={"name": "none such <b>"}).status_code == 404


def test_forms_without_a_token_change_nothing(serve, file):
    with serve(file) as (url, _), browser(url) as client:
        sent = edited(client, "tests", utterances="x")
        before = file.read_text()
        for action in ("effect", "save", "download"):
            assert client.post(f"{PATH}/{action}", data={**sent, "token": ""}).status_code == 403
        assert file.read_text() == before


def test_a_file_that_cannot_be_written_is_downloaded(serve, file, tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with serve(file) as (url, _), browser(url) as client:
        sent = edited(client, "tests", utterances="new one")
        page = client.post(f"{PATH}/effect", data=sent).text
        assert "cannot be written" in page and f'formaction="{PATH}/save"' not in page
        answer = client.post(f"{PATH}/download", data=sent)
        assert "attachment" in answer.headers["content-disposition"]
        (tmp_path / "downloaded.yaml").write_bytes(answer.content)
        (found,) = [each for each in load_routes(tmp_path / "downloaded.yaml") if each.name == "tests"]
        assert found.utterances == ("new one",)


def test_of_several_files_that_of_the_route_is_changed(serve, file):
    other = EXAMPLES / "legal_routes.yaml"
    legal = other.read_text()
    with serve(file, other) as (url, _), browser(url) as client:
        assert client.post(f"{PATH}/save", data=edited(client, "tests", utterances="new one")).status_code == 200
    assert "new one" in file.read_text() and other.read_text() == legal


def test_routes_of_no_file_are_downloaded_whole(served_domains, tmp_path):
    router = DomainRouter.over(served_domains, [Route(name="a", utterances=("x", "y"))], served_domains.settings)
    with running(router) as (url, _), browser(url) as client:
        sent = edited(client, "a", utterances="z")
        assert client.post(f"{PATH}/save", data=sent).status_code == 503
        (tmp_path / "a.yaml").write_bytes(client.post(f"{PATH}/download", data=sent).content)
        assert load_routes(tmp_path / "a.yaml") == [Route(name="a", utterances=("z",))]


def test_confusions_and_strays_are_shown(serve, file):
    with serve(file, labelled=LABELLED) as (url, service), browser(url) as client:
        answer = client.get(f"{PATH}/confusions")
        assert "Of 5 labelled queries," in text_of(answer.text) and "<script>alert" not in answer.text
        assert "lie nearer to another route" in client.get(f"{PATH}/strays").text
        service.options.labelled.write_text('{"text": "x", "route": "no such"}\n')
        wrong = client.get(f"{PATH}/confusions")
        assert wrong.status_code == 400 and "no such" in wrong.text
    with serve(file) as (url, _), browser(url) as client:
        assert "--labelled FILE" in client.get(f"{PATH}/confusions").text


def test_a_saved_threshold_does_not_replace_a_fitted_one(served_domains, file):
    from router_plugin.tuning.tuner import Tuner

    router = DomainRouter.over(served_domains, load_routes(file), served_domains.settings)
    Tuner(router).fit(["my chest hurts", "which pills"], ["symptoms", "medicines"])
    fitted = router.state.fitted
    route = router.state.given[0].model_copy(update={"threshold": 0.9})
    state = router.state.with_given([route, *router.state.given[1:]])
    assert state.fitted is fitted and state.given[0].threshold == 0.9
    assert state.served.routes[0].threshold == fitted.thresholds["symptoms"]


def test_a_route_is_added_renamed_and_removed_with_the_effect_shown_before(serve, file):
    rows = [*LABELLED, {"text": "when is the clinic open", "route": "opening hours"}]
    with serve(file, labelled=rows) as (url, service), browser(url) as client:
        before = file.read_text()
        new = form_of(client.get(f"{PATH}/new").text)
        new |= {"name": "opening hours", "utterances": "at what time does the clinic open\nclinic hours"}
        seen = client.post(f"{PATH}/effect", data=new).text
        assert "Of 6 labelled queries," in text_of(seen) and "when is the clinic open" in seen and "mended" in seen
        assert file.read_text() == before and "+  - name: opening hours" in html.unescape(seen)
        assert "Saved in routes.yaml" in client.post(f"{PATH}/save", data=new).text
        assert file.with_name("routes.yaml.bak").read_text() == before
        assert route_of(client, "clinic hours") == "opening hours" and load_routes(file)[-1].name == "opening hours"

        renamed = edited(client, "opening hours", name="hours")
        seen = text_of(client.post(f"{PATH}/effect", data=renamed).text)
        assert "No labelled query gets another route" in seen and "in labelled.jsonl after saving" in seen
        answer = client.post(f"{PATH}/save", data=renamed)
        assert answer.url.params["name"] == "hours" and route_of(client, "clinic hours") == "hours"
        assert client.get(f"{PATH}/edit", params={"name": "opening hours"}).status_code == 404

        service.options.labelled.write_text("".join(f"{json.dumps(row)}\n" for row in rows).replace("opening ", ""))
        removed = {**edited(client, "hours"), "remove": "1"}
        seen = client.post(f"{PATH}/effect", data=removed).text
        assert "broken" in seen and "Remove it from routes.yaml" in seen
        assert "was removed" in client.post(f"{PATH}/save", data=removed).text
        assert load_routes(file) == list(service.router.state.given) and route_of(client, "clinic hours") != "hours"
        assert file.read_text() == before


def route_of(client, query):
    return client.post("/v1/route", json={"query": query}).json()["route"]


def test_a_name_that_is_taken_or_means_no_route_is_refused(serve, file):
    with serve(file) as (url, _), browser(url) as client:
        before = file.read_text()
        for sent in (
            edited(client, "tests", name="symptoms"),
            edited(client, "tests", name=" "),
            edited(client, "tests", name="none"),
            {**form_of(client.get(f"{PATH}/new").text), "name": "tests", "utterances": "x"},
        ):
            for action in ("effect", "save"):
                answer = client.post(f"{PATH}/{action}", data=sent)
                assert answer.status_code == 400 and 'role="alert"' in answer.text
        assert file.read_text() == before


def test_a_new_route_goes_into_the_chosen_file(serve, file, tmp_path):
    other = tmp_path / "legal.yaml"
    other.write_bytes((EXAMPLES / "legal_routes.yaml").read_bytes())
    with serve(file, other) as (url, service), browser(url) as client:
        page = client.get(f"{PATH}/new").text
        digest = re.search(r'<option value="(\w+)">[^<]*legal\.yaml', page)[1]
        sent = {**form_of(page), "digest": digest, "name": "new one", "utterances": "x y"}
        assert client.post(f"{PATH}/save", data=sent).status_code == 200
        assert load_routes(other)[-1].name == "new one" and service.router.routes[-1].name == "new one"


def test_what_one_process_saves_or_somebody_writes_is_served_by_all(serve, file):
    with (
        serve(file) as (url, _),
        serve(file) as (other_url, other),
        browser(url) as client,
        browser(other_url) as there,
    ):
        sent = edited(client, "symptoms", utterances="my ears ring")
        assert client.post(f"{PATH}/save", data=sent).status_code == 200
        assert ">my ears ring<" in there.get(f"{PATH}/edit", params={"name": "symptoms"}).text.replace("\n", "")
        wait_for(lambda: there.post("/v1/route", json={"query": "my ears ring"}).json()["score"] == 1)
        saved = file.read_text()
        file.write_text(saved.replace("name: symptoms", "nam: symptoms"))
        wait_for(lambda: "did you mean &#39;name&#39;" in there.get("/console").text)
        assert there.post("/v1/route", json={"query": "my ears ring"}).json()["route"] == "symptoms"
        file.write_text(saved.replace("name: symptoms", "name: complaints"))
        wait_for(lambda: route_of(there, "my ears ring") == "complaints")
        wait_for(lambda: other.route_files.fault is None and route_of(client, "my ears ring") == "complaints")

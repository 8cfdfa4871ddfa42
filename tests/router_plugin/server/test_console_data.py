"""The console's map: its points, texts, search and colours, over a real server."""

import json
import re
import time

import numpy as np
import pytest

from router_plugin.errors import SettingsError
from router_plugin.server.console.jobs import Job
from router_plugin.server.console.pages.data import showing
from router_plugin.server.options import ServerOptions
from router_plugin.server.service import Files
from router_plugin.server.traffic import kept_queries
from router_plugin.server.traffic.recorder import Recorder
from router_plugin.server.traffic.traffic_file import TrafficFile
from tests.conftest import EXAMPLES

from .conftest import router_over, running, wait_for
from .test_console_drift import HOSTILE, keep

MAP = re.compile(r"data-map='([^']+)'")


@pytest.fixture(scope="module")
def up(served_domains, tmp_path_factory):
    file = TrafficFile(tmp_path_factory.mktemp("traffic") / "traffic.db")
    options = ServerOptions(keep_queries=30, data=(f"sample={EXAMPLES / 'beir'}",))
    with running(router_over(served_domains), options, files=Files(traffic=Recorder(file, 30.0))) as (url, _):
        yield url, file


def drawn(client, **wanted):
    """The page of a map, and what its script is given."""

    def page():
        text = client.get("/console/data", params=wanted).text
        return MAP.search(text) and text

    text = wait_for(page, 90)
    return text, json.loads(MAP.search(text)[1].replace("&#39;", "'").replace("&amp;", "&").replace("&#34;", '"'))


def test_routes_queries_and_data_are_on_a_map(browser):
    client, file = browser
    keep(file, ["is aspirin safe", *HOSTILE], "medical")
    text, described = drawn(client, domain="medical", data="sample")
    assert not re.search(r"\s(style|on\w+)=|<style|<script>", text)
    answer = client.get(described["points"])
    count = described["count"]
    assert len(answer.content) == count * (8 + len(described["colourings"]))
    places = np.frombuffer(answer.content, dtype="<f4", count=2 * count)
    assert places.min() >= 0 and places.max() <= 1 and np.isfinite(places).all()
    by_name = {each["name"]: dict(zip(each["labels"], each["counts"], strict=True)) for each in described["colourings"]}
    assert by_name["part"]["kept query"] == 1 + len(HOSTILE) and by_name["part"]["route"] > 5
    assert by_name["part"]["document"] and by_name["part"]["test query"]
    assert by_name["version"]["tiny"] == 1 + len(HOSTILE)
    assert set(by_name["error"]) == {"right", "wrong", "not judged"}
    said = client.get(described["text"] + f"&point={0}").json()
    assert said["part"] == "route" and said["text"]
    assert client.get(described["text"] + f"&point={count}").status_code == 404


def test_points_are_found_by_their_text_and_hostile_ones_are_escaped(browser):
    client, file = browser
    keep(file, ["is aspirin safe", *HOSTILE], "medical")
    _, described = drawn(client, domain="medical")
    found = client.get(described["found"] + "&find=ASPIRIN SAFE", headers={"HX-Request": "true"}).text
    assert "is aspirin safe" in found and "<h1>" not in found
    points = json.loads(re.search(r"data-points='([^']*)'", found)[1])
    listed = client.get(described["found"] + "&at=" + ",".join(map(str, points))).text
    assert "is aspirin safe" in listed
    found = client.get(described["found"] + "&find=script").text
    assert "&lt;script&gt;" in found and "<script>" not in found
    page = client.get(
        "/console/data",
        params={"domain": "medical", "find": "aspirin safe", "upto": re.search(r"upto=(\d+)", described["points"])[1]},
    )
    assert "is aspirin safe" in page.text


def test_a_deleted_query_has_no_text_on_a_map(browser):
    client, file = browser
    keep(file, ["my secret plan"], "medical")
    _, described = drawn(client, domain="medical")
    assert "my secret plan" in client.get(described["found"] + "&find=secret plan").text
    kept_queries.delete_all(file)
    assert "my secret plan" not in client.get(described["found"] + "&find=secret plan").text
    last = described["count"] - 1
    assert client.get(described["text"] + f"&point={last}").json()["text"] == "(deleted)"


def test_a_map_that_is_done_while_its_page_is_made_is_waited_for(browser, monkeypatch):
    monkeypatch.setattr(showing, "start_map", lambda *_: Job(lambda _: None, finished=time.time()))
    answer = browser[0].get("/console/data", params={"domain": "medical", "upto": 0})
    assert answer.status_code == 200 and 'class="waiting"' in answer.text


def test_other_models_and_wrong_choices(browser):
    client, _ = browser
    text, described = drawn(client, domain="medical", model="base")
    served = drawn(client, domain="medical", model="medical@1")[1]
    assert len(client.get(described["points"]).content) == len(client.get(served["points"]).content)
    assert "medical@1" in text
    assert client.get("/console/data", params={"domain": "<b>"}).status_code == 404
    assert client.get("/console/data", params={"domain": "medical", "data": "none"}).status_code == 400
    assert client.get("/console/data", params={"domain": "medical", "model": "legal@1"}).status_code == 404


def test_many_points_are_sent_fast(browser):
    client, file = browser
    keep(file, [f"query number {number} about {number % 7}" for number in range(4000)], "finance")
    text, described = drawn(client, domain="finance")
    assert "principal components" in text and described["count"] > 4000
    started = time.monotonic()
    assert len(client.get(described["points"]).content) == described["count"] * (8 + len(described["colourings"]))
    assert time.monotonic() - started < 2


def test_a_folder_that_is_none_ends_the_start(served_domains, tmp_path):
    from router_plugin.inspection.beir import read_folders

    for wrong in ("sample", "=x", f"a={tmp_path}"):
        with pytest.raises(SettingsError, match="`data`"):
            read_folders([wrong])

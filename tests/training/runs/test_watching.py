"""Runs that report to a server: what is sent, that nothing of it can stop or slow a training, and resuming."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.training.samples import QUICK, Crash
from training import TrainingError, TrainingJob, adapt
from training.options import TrainingOptions
from training.recipes import distributed
from training.reporting.report_page import PAGE
from training.runs import sending, watching
from training.runs.watching import MAX_POINTS, NOBODY, LiveReport, watched


class Heard(list[tuple[str, dict[str, Any]]]):
    """What a server was sent: paths and bodies; ``refuse`` makes it fail."""

    refuse = 0
    key = ""

    @property
    def last(self) -> dict[str, Any]:
        return next(body for path, body in reversed(self) if not path.endswith("/page"))


@contextmanager
def server(heard: Heard, port: int = 0) -> Iterator[str]:
    """A server that takes reports."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.key = self.headers.get("Authorization", "")
            heard.refuse -= 1
            if heard.refuse < 0:
                heard.append((self.path, body))
            self.send_response(200 if heard.refuse < 0 else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    found = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{found.server_address[1]}"
    finally:
        found.shutdown()
        found.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for module, name, seconds in ((sending, "FIRST_PAUSE", 0.02), (sending, "LAST", 2.0), (watching, "PAUSE", 0.0)):
        monkeypatch.setattr(module, name, seconds)


def wait_for(what, seconds=10.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def live(url, folder):
    return LiveReport(url, folder, {"name": "run", "iterations": 1}, lambda: 1.0)


def test_a_training_is_reported_from_its_start_to_its_end(tmp_path, trained, tiny_base, monkeypatch):
    monkeypatch.setenv("DOMAIN_ROUTER_API_KEY", "dr-key")
    heard = Heard()
    with server(heard) as url:
        job = TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu", report_to=url)
        report = adapt(job, tmp_path / "out")
    assert heard.key == "Bearer dr-key" and len({path.removesuffix("/page") for path, _ in heard}) == 1
    last = heard.last
    assert (last["state"], last["name"], last["iterations"], last["domain"]) == ("finished", "out", 1, "words")
    assert [each["name"] for each in last["measured"]] == ["base", "iteration-1"]
    assert last["measured"][1]["dev"] == report.iterations[1].dev
    curve = last["losses"][0]
    assert curve["iteration"] == "iteration-1" and curve["steps"][-1] == report.iterations[1].steps
    assert last["report"]["chosen"] == report.chosen and str(tiny_base.path) not in json.dumps(last)
    assert ("page" in heard[-1][0], heard[-1][1]["html"]) == (True, (tmp_path / "out" / PAGE).read_text())
    assert job.identity() == TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu").identity()


def test_a_resumed_training_goes_on_under_the_same_identifier(tmp_path, trained, tiny_base, monkeypatch):
    heard = Heard()
    with server(heard) as url:
        job = TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu", report_to=url)
        finetune = distributed.finetune

        def crash(*arguments):
            finetune(*arguments)
            raise Crash

        monkeypatch.setattr(distributed, "finetune", crash)
        with pytest.raises(Crash):
            adapt(job, tmp_path / "out")
        assert heard.last["state"] == "interrupted" and heard.last["losses"]
        monkeypatch.undo()
        adapt(job, tmp_path / "out")
    assert heard.last["state"] == "finished"
    assert len({path.removesuffix("/page") for path, _ in heard}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_training_that_fails_says_why(tmp_path):
    heard = Heard()
    with server(heard) as url, pytest.raises(TrainingError), watched(url, tmp_path, {}, lambda: 0.0):
        raise TrainingError("it \ud800 diverged")
    assert (heard.last["state"], heard.last["error"]) == ("failed", "it ? diverged")


def test_a_server_that_is_away_is_named_once_and_hears_the_rest_when_it_is_back(tmp_path, caplog):
    heard = Heard()
    with server(heard) as url:
        port = int(url.rpartition(":")[2])
    found = live(url, tmp_path)
    for _ in range(3):
        found.doing("waiting")
        time.sleep(0.05)
    found.measured("base", {"mrr@5": 0.5})
    with server(heard, port):
        wait_for(lambda: heard)
        found.ended("finished")
        found.close()
    assert heard.last["measured"] == [{"name": "base", "dev": {"mrr@5": 0.5}}] and heard.last["state"] == "finished"
    assert len(caplog.messages) == 1 and "the run is not reported for now" in caplog.text


def test_what_is_refused_is_sent_again(tmp_path, caplog):
    heard = Heard()
    heard.refuse = 2
    with server(heard) as url:
        found = live(url, tmp_path)
        wait_for(lambda: heard)
        found.close()
    assert "HTTP 503" in caplog.text


def test_a_server_that_never_answers_costs_a_training_no_time(tmp_path, monkeypatch):
    monkeypatch.setattr(sending, "LAST", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = live(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
        started = time.monotonic()
        for step in range(1, 301):
            found.stepped("iteration-1", step, 300, lambda: 1.0)
        assert time.monotonic() - started < 5
        started = time.monotonic()
        found.close()
        assert time.monotonic() - started < 2


def test_the_curve_of_the_loss_is_of_bounded_size_and_forgets_what_is_trained_again(tmp_path):
    heard = Heard()
    with server(heard) as url:
        found = live(url, tmp_path)
        for step in range(1, 1001):
            found.stepped("iteration-1", step, 1000, lambda step=step: 2.0 * step)
        found.doing("saved")
        found.close()
        again = live(url, tmp_path)
        for step in range(501, 511):
            again.stepped("iteration-1", step, 1000, lambda step=step: 3.0 * step)
        again.stepped("iteration-1", 511, 1000, lambda: float("nan"))
        again.close()
    first = next(body for _, body in heard[::-1] if body["doing"] == "saved")["losses"][0]
    assert len(first["steps"]) <= MAX_POINTS and first["steps"][-1] == 1000 and set(first["losses"]) == {2.0}
    curve = heard.last["losses"][0]
    assert curve["steps"] == sorted(set(curve["steps"])) and curve["steps"][-1] == 511
    assert curve["losses"][-2:] == [3.0, None]


def test_without_a_server_nobody_hears(tmp_path):
    with watched(None, tmp_path, {}, lambda: 0.0) as watcher:
        assert watcher is NOBODY
        watcher.doing("x")
        watcher.stepped("x", 1, 1, lambda: 1 / 0)
        watcher.measured("x", {})
        watcher.finished({}, Path("x"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8700", "ftp://host", "http://", "http://me:secret@host", "http://h?x=1"]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(TrainingError, match="`report_to`"):
        TrainingOptions(report_to=url)


def test_reporting_needs_a_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(TrainingError, match=r"domain-router\[client\]"):
        watching.LiveReport("http://127.0.0.1:1", tmp_path, {}, lambda: 0.0)

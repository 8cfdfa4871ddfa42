"""Training runs that report to the server: what is taken, what is kept, and what makes room for new ones."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from router_plugin import ServerError
from router_plugin.server.errors import NotFoundError, NotServingError, RequestError, TooLargeError
from router_plugin.server.options import ServerOptions
from router_plugin.server.runs import store as storing
from router_plugin.server.runs.comparing import CURVES, dev_chart, loss_chart
from router_plugin.server.runs.reports import RunReport
from router_plugin.server.runs.store import RunStore
from training import Contrastive, TrainingJob, adapt, read_prepared

from .conftest import router_over, running

ID = "0123456789abcdef" * 2
GAIN = {"difference": 0.1, "low": 0.05, "high": 0.15, "p_value": 0.001}


def a_run(**changes: Any) -> dict[str, Any]:
    """What a run sends."""
    return {
        "name": "legal-model",
        "state": "running",
        "doing": "fine-tuning",
        "seconds": 12.5,
        "domain": "legal",
        "recipe": "contrastive",
        "base_model": "all-MiniLM-L6-v2",
        "fingerprint": "ab12",
        "counts": {"train_queries": 100},
        "options": {"learning_rate": 2e-5, "seed": 42},
        "iterations": 2,
        "step": {"iteration": "iteration-1", "step": 5, "steps": 10},
        "losses": [{"iteration": "iteration-1", "steps": [1, 5], "losses": [0.9, None]}],
        "measured": [{"name": "base", "dev": {"mrr@5": 0.5, "ndcg@10": 0.6}}],
        **changes,
    }


def a_report(**changes: Any) -> dict[str, Any]:
    """What ``report.json`` says, as far as it is read."""
    return {
        "domain": "legal",
        "base_model": {"name": "all-MiniLM-L6-v2", "weights_sha256": "0" * 64},
        "recipe": "contrastive",
        "options": {"learning_rate": 2e-5},
        "dataset": {"fingerprint": "ab12", "counts": {"test_queries": 20}},
        "base_metrics": {"test": {"mrr@5": 0.5, "recall@5": 0.6, "ndcg@10": 0.55}},
        "adapted_metrics": {"test": {"mrr@5": 0.6, "recall@5": 0.7, "ndcg@10": 0.65}},
        "dimension": 384,
        "max_length": 256,
        "pooling": "mean",
        "normalized": True,
        "improved": True,
        "comparison": dict.fromkeys(("mrr@5", "recall@5", "ndcg@10"), GAIN),
        "chosen": "iteration-1",
        "seconds": 99.5,
        "another build's": "field",
        **changes,
    }


def finished(**changes: Any) -> dict[str, Any]:
    """What a run sends at its end."""
    return a_run(state="finished", report=a_report(), step=None, **changes)


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def stored(store, number, **changes):
    """Keep a run."""
    run = f"{number:032x}"
    store.put(run, RunReport(**a_run(**changes)))
    return run


def test_a_run_is_kept_by_its_last_report(client, serving):
    for report in (a_run(), finished()):
        assert client.put(f"/v1/runs/{ID}", json=report).json() == {"status": "kept"}
    assert client.put(f"/v1/runs/{ID}/page", json={"html": "<h1>all</h1>"}).status_code == 200
    run = serving[1].runs.get(ID)
    assert (run.report.state, run.report.report.chosen, run.done, run.has_page) == ("finished", "iteration-1", 1, True)
    assert run.began < run.heard and serving[1].runs.page(ID) == "<h1>all</h1>"


@pytest.mark.parametrize(
    ("run", "report", "status"),
    [
        (ID.upper(), a_run(), 400),
        ("x", a_run(), 400),
        ("..%2f..%2fetc", a_run(), 404),
        (ID, a_run(state="lost"), 400),
        (ID, a_run(seconds=-1), 400),
        (ID, a_run(name="x" * 201), 400),
        (ID, a_run(options={str(number): number for number in range(201)}), 400),
        (ID, finished(losses=[{"iteration": "1", "steps": [1] * 1001, "losses": []}]), 400),
        (ID, a_run(report={"domain": "General!"}), 400),
        (ID, [], 400),
    ],
)
def test_what_is_no_report_is_refused(client, run, report, status):
    assert client.put(f"/v1/runs/{run}", json=report).status_code == status


def test_half_characters_are_refused_and_other_odd_ones_are_kept(client, serving):
    body = b'{"name": "\\ud800"}'
    json = {"Content-Type": "application/json"}
    assert client.put(f"/v1/runs/{ID}", content=body, headers=json).status_code == 400
    odd = "\0\u202e<script>\"'"
    assert client.put(f"/v1/runs/{ID}", json=a_run(name=odd)).status_code == 200
    assert serving[1].runs.get(ID).report.name == odd


def test_a_page_needs_its_run(client):
    assert client.put(f"/v1/runs/{'f' * 32}/page", json={"html": ""}).status_code == 404


def test_a_server_without_a_folder_keeps_no_runs(served_domains):
    with running(router_over(served_domains), ServerOptions(console=False)) as (url, _):
        answer = httpx.put(f"{url}/v1/runs/{ID}", json=a_run())
    assert answer.status_code == 503 and "--runs" in answer.json()["error"]["message"]


def test_progress_counts_iterations_and_steps(store):
    half = {"measured": [{"name": "base", "dev": {}}, {"name": "seed-1-iteration-1", "dev": {}}]}
    step = {"iteration": "seed-1-iteration-2", "step": 1, "steps": 2}
    assert store.get(stored(store, 1)).done == 0.25
    assert store.get(stored(store, 2, **half, step=step)).done == 0.75
    assert store.get(stored(store, 3, **half, step=None)).done == 0.5
    assert store.get(stored(store, 4, step={**step, "step": 9})).done == 0.5


def test_a_run_that_is_not_heard_of_is_silent_unless_it_has_ended(store):
    later = datetime.now(timezone.utc) + timedelta(minutes=2)
    running, ended = store.get(stored(store, 1)), store.get(stored(store, 2, state="failed"))
    assert (running.state(running.heard), running.state(later), ended.state(later)) == ("running", "silent", "failed")


def test_other_processes_see_what_one_keeps(store, tmp_path):
    other = RunStore(tmp_path / "runs")
    run = stored(store, 1)
    assert other.get(run).report.seconds == 12.5
    stored(store, 1, seconds=13)
    assert [each.report.seconds for each in other.all()] == [13]
    store.remove(run)
    assert other.all() == [] and list((tmp_path / "runs").iterdir()) == []
    for missing in (run, "../x", ""):
        with pytest.raises(NotFoundError):
            other.get(missing)


def test_the_oldest_runs_that_have_ended_make_room(store, monkeypatch):
    monkeypatch.setattr(storing, "MAX_RUNS", 3)
    runs = [stored(store, number, state=state) for number, state in enumerate(("running", "finished", "failed"), 1)]
    runs.append(stored(store, 4))
    assert [run.id for run in store.all()] == [runs[3], runs[2], runs[0]]
    runs.append(stored(store, 5))
    with pytest.raises(NotServingError):
        stored(store, 6)
    stored(store, 5, seconds=14)
    monkeypatch.setattr(storing, "LOST", timedelta(0))
    stored(store, 6)
    assert len(store.all()) == 3


def test_the_bytes_of_all_runs_are_bounded(store, monkeypatch):
    run = stored(store, 1, state="finished")
    store.put_page(run, "x" * 10_000)
    monkeypatch.setattr(storing, "MAX_BYTES", 5_000)
    stored(store, 2)
    assert [each.id for each in store.all()] == [f"{2:032x}"]
    monkeypatch.setattr(storing, "MAX_REPORT", 1_000)
    with pytest.raises(TooLargeError):
        stored(store, 2, error="x" * 2000)


def test_the_bytes_are_bounded_while_a_run_goes_on(store, monkeypatch):
    older, run = stored(store, 1, state="finished"), stored(store, 2)
    monkeypatch.setattr(storing, "MAX_BYTES", 20_000)
    store.put_page(older, "x" * 9_000)
    stored(store, 2, error="x" * 1_990)
    assert [each.id for each in store.all()] == [run, older]
    store.put_page(run, "x" * 15_000)
    assert [each.id for each in store.all()] == [run]
    with pytest.raises(NotServingError):
        store.put_page(run, "\u00e4" * 12_000)
    assert store.page(run) == "x" * 15_000


def test_runs_that_ended_are_kept_for_some_days(tmp_path, monkeypatch):
    store = RunStore(tmp_path / "runs", keep_days=7)
    stored(store, 1, state="finished")
    store.put_page(f"{1:032x}", "x")
    running_on, later = stored(store, 2), datetime.now(timezone.utc)
    store.tidy()
    assert len(store.all()) == 2
    monkeypatch.setattr(storing, "datetime", FixedClock(later + timedelta(days=8)))
    stored(store, 2)
    store.tidy()
    assert [each.id for each in store.all()] == [running_on]
    assert [path.stem for path in (tmp_path / "runs").iterdir()] == [running_on]


class FixedClock:
    """Says what time it is."""

    def __init__(self, time):
        self._time = time

    def now(self, _):
        return self._time


def test_what_is_no_run_is_left_out(store, tmp_path):
    for name in ("notes.json", f"{'a' * 32}.json", f"{'b' * 32}.html"):
        (tmp_path / "runs" / name).write_text("{}")
    assert store.all() == []


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerError, match="`runs`"):
        RunStore(tmp_path / "file")


def test_a_training_is_kept_as_it_is_sent(serving, tiny_models, tiny_base, tmp_path):
    data = read_prepared(tiny_models["medical"].with_name("medical-data"))
    recipe = Contrastive(iterations=1, min_steps=3, learning_rate=1e-3, mix_ratio=0)
    job = TrainingJob(data, "medical", tiny_base, recipe, device="cpu", report_to=serving[0])
    report = adapt(job, tmp_path / "medical-model")
    run = next(each for each in serving[1].runs.all() if each.report.name == "medical-model")
    assert (run.report.state, run.report.domain, run.done) == ("finished", "medical", 1)
    assert run.report.report and run.report.report.evaluations == report.evaluations
    assert [each.dev for each in run.report.measured] == [each.dev for each in report.iterations]
    assert serving[1].runs.page(run.id) == (tmp_path / "medical-model" / "report.html").read_text(encoding="utf-8")


def test_options_nested_too_deeply_are_refused(tmp_path):
    nested: Any = []
    for _ in range(300):
        nested = [nested]
    store = RunStore(tmp_path)
    with pytest.raises(RequestError, match="nested too deeply"):
        store.put(ID, RunReport(**a_run(options={"a": nested})))
    assert store.all() == []


def test_charts_of_long_runs_are_thinned():
    steps = list(range(1, 1001))
    losses = [{"iteration": f"iteration-{number}", "steps": steps, "losses": [1.0] * 1000} for number in range(20)]
    measured = [{"name": f"seed-{number}-iteration-1", "dev": {"mrr@5": 0.5}} for number in range(900)]
    report = RunReport(**a_run(losses=losses, measured=measured))
    chart = loss_chart(report)
    assert len(chart["x"]) == 2000 and chart["x"][-1] == 20_000
    assert len(dev_chart({"run": report}, "mrr@5")["series"]) == CURVES

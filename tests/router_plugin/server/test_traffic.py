"""What a server counts and keeps: it adds up, loses nothing, fails no request, and is deleted for good."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import subprocess
import time
import timeit
from contextlib import closing

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_plugin import DomainRouter, Route
from router_plugin.decision import Decision
from router_plugin.errors import ServerError, SettingsError
from router_plugin.server.options import ServerOptions
from router_plugin.server.service import Files
from router_plugin.server.traffic import kept_queries, reading, recorder
from router_plugin.server.traffic.recorder import Counts, Recorder
from router_plugin.server.traffic.traffic_file import DAY, HOUR, REQUESTS, TrafficFile
from tests import warm
from tests.router_plugin.server.conftest import running, wait_for


@pytest.fixture
def file(tmp_path):
    return TrafficFile(tmp_path / "traffic.db")


def decision(query="is it safe", route="safety", domain="medical", confidence=0.5, version="medical@1"):
    stages = {"classify": 0.4, "load": 0.0, "encode": 7.0, "match": 0.2}
    reason = None if route else "too far"
    return Decision(query, route, 0.7, domain, {domain: 1.0}, version, stages, confidence=confidence, reason=reason)


def recorded(file, *decisions, keep_days=0.0):
    """Decisions in a file."""
    counting = Recorder(file, keep_days)
    for each in decisions:
        counting.count_decision(each)
    asyncio.run(counting.close())
    return counting


def lately(file, **options):
    """Decisions of the last hour, in one step."""
    now = time.time()
    return reading.series(file, now - HOUR, now + 1, 2 * HOUR, **{"by": "domain", **options})


def total(file):
    return sum(map(sum, lately(file).rows.values()))


def texts(file, **conditions):
    return [each.text for each in kept_queries.find_queries(file, **conditions)]


def bytes_of(file):
    """Everything that lies beside and in a file."""
    return b"".join(each.read_bytes() for each in file.path.parent.glob(f"{file.path.name}*"))


PROCESS = """
import asyncio, sys
from pathlib import Path
from router_plugin.server.traffic.recorder import Recorder
from router_plugin.server.traffic.traffic_file import TrafficFile
from tests.router_plugin.server.test_traffic import decision

async def count():
    counting = Recorder(TrafficFile(Path(sys.argv[1])), keep_days=1)
    for number in range(100):
        counting.count_decision(decision(f"{sys.argv[2]} {number}", confidence=0.25))
        counting.count_request("/v1/route", 200, 0.01)
        await counting.flush()
    assert counting.fault is None, counting.fault

asyncio.run(count())
"""


@pytest.mark.slow
def test_what_two_processes_count_adds_up(file):
    command = [warm.command("python"), "-c", PROCESS, str(file.path)]
    processes = [subprocess.Popen([*command, name]) for name in ("one", "two")]
    assert [each.wait(60) for each in processes] == [0, 0]
    now = time.time()
    found = lately(file)
    assert found.rows["medical"] in ([0, 200], [200, 0], [200])
    assert {mean for mean in found.confidence["medical"] if mean is not None} == {0.25}
    assert reading.latency(file, now - HOUR, now + 1)["/v1/route"].number == 200
    assert len(set(texts(file, limit=1000))) == 200


@given(st.lists(st.floats(1e-4, 60), min_size=1, max_size=300))
def test_percentiles_are_those_of_numpy_within_ten_percent(seconds):
    buckets: dict[int, int] = {}
    for each in sorted(map(recorder.bucket_of, seconds)):
        buckets[each] = buckets.get(each, 0) + 1
    exact = np.percentile(seconds, [50, 90, 95, 99], method="inverted_cdf")
    np.testing.assert_allclose(reading._percentiles(buckets), exact, rtol=0.1)


def test_latency_is_of_paths_and_leaves_refused_requests_out(file):
    counting = Recorder(file)
    seconds = np.random.default_rng(0).lognormal(-4, 1, 2000)
    for each in seconds:
        counting.count_request("/v1/route", 200, float(each))
        counting.count_request("/v1/route", 429, 0.0)
    counting.count_request("/embed", 504, 1e9)
    counting.count_decision(decision())
    asyncio.run(counting.close())
    now = time.time()
    found = reading.latency(file, now - HOUR, now + 1)
    assert {path: each.number for path, each in found.items()} == {"/v1/route": 2000, "/embed": 1}
    np.testing.assert_allclose(found["/v1/route"][1:], np.percentile(seconds, [50, 90, 95, 99]), rtol=0.1)
    stages = reading.stage_latency(file, now - HOUR, now + 1)
    assert stages["encode"].p50 == pytest.approx(0.007, rel=0.1)
    assert reading.latency(file, now - 3 * HOUR, now - 2 * HOUR) == {}


def test_refusals_are_shown_by_status(file):
    counting = Recorder(file)
    for status in (200, 404, 401, 429, 429, 500, 502, 504):
        counting.count_request("/v1/route", status, 0.01)
    asyncio.run(counting.close())
    now = time.time()
    rows = reading.refusals(file, now - HOUR, now + 1, 2 * HOUR).rows
    assert {status: sum(row) for status, row in rows.items()} == {"401": 1, "429": 2, "504": 1, "5xx": 2}


def test_the_rest_of_many_names_is_together_and_no_route_is_named(file):
    many = [decision(route=f"route {number}") for number in range(5) for _ in range(number + 1)]
    recorded(file, *many, decision(route=None), decision(route=None), decision(route="others"))
    found = lately(file, by="route", most=3)
    assert list(found.rows) == ["route 4", "route 3", "route 2"]
    assert sum(found.others) == 6
    assert "none" in lately(file, by="route").rows
    assert len(found.times) == len(found.others) == len(found.rows["route 4"])


minutes = st.integers(0, 5 * DAY // 60).map(lambda ago: ago * 60)


@settings(max_examples=20)
@given(st.lists(st.tuples(minutes, st.sampled_from(["a", "b"])), unique=True, max_size=40))
def test_merging_into_hours_changes_no_sum(tmp_path_factory, rows):
    file = TrafficFile(tmp_path_factory.mktemp("traffic") / "traffic.db")
    now = 1_800_000_000
    file.add({REQUESTS: {(now - ago, path, 200, 3): (1,) for ago, path in rows}}, ())
    for _ in range(2):
        file.tidy(now, 0)
        with file.open() as database:
            found = database.execute("SELECT minute, path, number FROM requests").fetchall()
        assert sum(number for *_, number in found) == len(rows)
        hours = sorted((now - ago) // HOUR * HOUR for ago, _ in rows)
        assert sorted(minute // HOUR * HOUR for minute, _, number in found for _ in range(int(number))) == hours
        assert all(minute % HOUR == 0 for minute, *_ in found if minute < now - DAY - HOUR)
    file.tidy(now + 401 * DAY, 0)
    with file.open() as database:
        assert database.execute("SELECT * FROM requests").fetchall() == []


def test_queries_are_kept_only_where_asked_and_as_long_as_asked(file):
    recorded(file, decision("never kept"))
    assert texts(file) == [] and b"never kept" not in bytes_of(file)
    recorded(file, decision("x" * 3000), decision("half \ud83d"), keep_days=2)
    assert texts(file) == ["half ?", "x" * recorder.CHARACTERS]
    file.tidy(time.time() + 1.9 * DAY, 2)
    assert len(texts(file)) == 2
    file.tidy(time.time() + 2.1 * DAY, 2)
    assert texts(file) == [] and b"half" not in bytes_of(file)


def test_queries_are_found(file):
    recorded(file, decision("Ärzte"), decision("law", domain="legal"), decision("huh", route=None), keep_days=1)
    assert texts(file, containing="äRZTE") == ["Ärzte"]
    assert texts(file, domain="legal") == ["law"]
    first, second = kept_queries.find_queries(file, limit=2)
    assert (first.text, first.reason, first.version) == ("huh", "too far", "medical@1")
    assert texts(file, before_id=second.id) == ["Ärzte"]


def test_no_byte_of_deleted_queries_stays(file):
    chosen = random.Random(0)
    gone, number = [], 0
    for _ in range(40):
        new = [f"<{number + each}>" + "x" * chosen.choice([5, 100, 1500]) for each in range(chosen.randrange(1, 120))]
        number += len(new)
        recorded(file, *map(decision, new), keep_days=1)
        kept = kept_queries.find_queries(file, limit=10_000)
        gone += (some := chosen.sample(kept, chosen.randrange(len(kept) // 2 + 1)))
        assert kept_queries.delete_queries(file, [each.id for each in some]) == len(some)
        left = bytes_of(file)
        assert not any(each.text.encode() in left for each in gone[-200:])
    assert not any(each.text.partition("x")[0].encode() in left for each in gone)
    assert len(gone) + len(texts(file, limit=10_000)) == number


def test_queries_are_deleted_by_what_they_contain_by_time_and_all(file):
    recorded(file, decision("my name is Bob"), decision("BOB again"), decision("else"), keep_days=1)
    assert kept_queries.delete_containing(file, "") == 0
    assert kept_queries.delete_containing(file, "bob") == 2
    assert kept_queries.delete_before(file, time.time() - 60) == 0
    assert kept_queries.delete_before(file, time.time() + 1) == 1
    recorded(file, decision("one"), decision("two"), keep_days=1)
    assert kept_queries.delete_all(file) == 2
    assert not any(each in bytes_of(file) for each in (b"Bob", b"BOB", b"else", b"one\0", b"two"))


def test_a_reader_in_the_way_delays_the_deletion_but_does_not_end_it(file, monkeypatch):
    monkeypatch.setattr("router_plugin.server.traffic.traffic_file._WAIT", 0.05)
    recorded(file, decision("secret words"), keep_days=1)
    with file.open() as database:
        database.execute("BEGIN")
        database.execute("SELECT COUNT(*) FROM queries").fetchone()
        assert kept_queries.delete_all(file) == 1
    assert kept_queries.delete_all(file) == 0  # as every hour by itself
    assert b"secret" not in bytes_of(file)


@pytest.fixture
def broken(file, request):
    """Counts whose file cannot be written for a while, and what mends that."""
    counting = Recorder(file)
    asyncio.run(counting.flush())
    if request.param == "locked":
        other = closing(sqlite3.connect(file.path, isolation_level=None))
        with other as database:
            database.execute("BEGIN IMMEDIATE")
            yield counting, lambda: database.execute("ROLLBACK")
        return
    kept = file.path.rename(file.path.with_name("kept.db"))
    if request.param == "damaged":
        file.path.write_bytes(b"no database" * 1000)
    else:
        file.path.mkdir()
    yield counting, lambda: (file.path.rename(file.path.with_name("aside")), kept.rename(file.path))


@pytest.mark.parametrize("broken", ["locked", "damaged", "unreadable"], indirect=True)
def test_what_cannot_be_written_is_kept_and_reported_once(broken, file, monkeypatch, caplog):
    monkeypatch.setattr("router_plugin.server.traffic.traffic_file._WAIT", 0.05)
    counting, mend = broken
    for _ in range(3):
        counting.count_decision(decision())
        asyncio.run(counting.flush())
        assert str(file.path) in counting.fault
    assert len([each for each in caplog.records if each.levelno == logging.ERROR]) == 1
    mend()
    asyncio.run(counting.close())
    assert counting.fault is None and counting.lost == 0
    assert total(file) == 3


def test_what_waits_is_bounded(monkeypatch):
    monkeypatch.setattr(recorder, "PENDING", 3)
    older, newer = Counts(), Counts()
    older.requests = {(minute, "/", 200, 0): [1] for minute in (0, 60)}
    newer.requests = {(minute, "/", 200, 0): [2] for minute in (60, 120, 180)}
    assert older.include(newer) == 1
    assert older.requests == {(60, "/", 200, 0): [3], (120, "/", 200, 0): [2], (180, "/", 200, 0): [2]}


def test_queries_that_wait_too_long_are_dropped_and_counted(file):
    counting = Recorder(file, keep_days=1)
    for number in range(recorder.PENDING + 5):
        counting.count_decision(decision(str(number)))
    asyncio.run(counting.close())
    assert counting.lost == 5
    assert total(file) == recorder.PENDING + 5
    assert texts(file, limit=30_000)[-1] == "5"


def test_a_file_of_something_else_or_of_a_newer_version_is_refused(tmp_path, file):
    assert file.path.stat().st_mode & 0o777 == 0o600
    with file.writing() as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(ServerError, match="a newer version"):
        TrafficFile(file.path)
    (tmp_path / "text").write_bytes(b"words " * 1000)
    with pytest.raises(ServerError, match="text: is damaged.*move it away"):
        TrafficFile(tmp_path / "text")
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("CREATE TABLE other (a)")
    with pytest.raises(ServerError, match="of something else"):
        TrafficFile(tmp_path / "other.db")
    with pytest.raises(ServerError, match="no/traffic.db: cannot be used: No such file"):
        TrafficFile(tmp_path / "no" / "traffic.db")
    with pytest.raises(SettingsError, match="keep_queries"):
        ServerOptions(keep_queries=-1)


def test_counting_costs_microseconds(file):
    counting, decided = Recorder(file), decision()

    def cost(work):
        return min(timeit.repeat(work, number=1000, repeat=20)) / 1000

    assert cost(lambda: counting.count_decision(decided)) < 2e-5  # 4 µs where nothing else runs
    assert cost(lambda: counting.count_request("/v1/route", 200, 0.01)) < 1e-5


@pytest.fixture
def routes():
    return [Route(name="any", utterances=("anything", "is it safe"))]


def test_a_server_counts_requests_and_decisions_but_not_what_operators_ask(served_domains, routes, file):
    counting = Recorder(file, keep_days=1)
    with (
        running(DomainRouter.over(served_domains, routes), files=Files(traffic=counting)) as (url, _),
        httpx.Client(base_url=url, timeout=20) as client,
    ):
        assert client.post("/v1/route", json={"query": "is it safe"}).is_success
        assert client.post("/v1/route/batch", json={"queries": ["is it safe", "hello"]}).is_success
        assert client.post("/embed", json={"inputs": "is it safe"}).is_success
        assert client.post("/v1/route", content="{").status_code == 400
        for path in ("/health/ready", "/metrics", "/console/x"):
            client.get(path)
        wait_for(lambda: total(file) == 3)
    now = time.time()
    numbers = {path: each.number for path, each in reading.latency(file, now - HOUR, now + 1).items()}
    assert numbers == {"/v1/route": 1, "/v1/route/batch": 1, "/embed": 1}
    assert texts(file) == ["hello", "is it safe", "is it safe"]


def test_no_request_fails_where_nothing_can_be_counted(served_domains, routes, file):
    counting = Recorder(file)
    with (
        running(DomainRouter.over(served_domains, routes), files=Files(traffic=counting)) as (url, _),
        httpx.Client(base_url=url, timeout=20) as client,
    ):
        file.path.write_bytes(b"no database" * 1000)
        assert client.post("/v1/route", json={"query": "is it safe"}).is_success
        wait_for(lambda: counting.fault)
        assert "the file of traffic cannot be used" in client.get("/health/ready").json()["warning"]
        assert client.post("/v1/route", json={"query": "is it safe"}).is_success
    assert "is damaged" in counting.fault

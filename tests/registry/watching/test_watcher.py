"""A moved alias is seen within a second on every store, also where the database was away in between."""

import os
import signal
import threading
import time

import pytest
from sqlalchemy import event

from registry import Registry, RegistryError
from registry.watching import watcher as watching
from tests.registry import servers
from tests.registry.samples import make_record, write_model

WITHIN = 1.0


@pytest.fixture
def two(registry, tmp_path):
    """A registry with two versions of one domain."""
    for number in (1, 2):
        registry.publish(write_model(tmp_path / str(number), str(number)), make_record())
    return registry


def later(seconds, work):
    """Run something in a thread after a while; returns when it was done, once joined."""
    done = []

    def run():
        time.sleep(seconds)
        work()
        done.append(time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    return thread, done


def test_the_first_wait_answers_at_once_and_the_next_one_not(two):
    with two.watch() as watcher:
        assert watcher.wait(0)
        assert not watcher.wait(0.3)


def test_an_alias_that_another_moves_is_seen_within_a_second(two, registry_url):
    with two.watch() as watcher:
        watcher.wait(0)
        other = Registry.open(registry_url)
        thread, done = later(0.3, lambda: other.promote("medical@2"))
        assert watcher.wait(20)
        seen = time.monotonic()
        thread.join()
        other.close()
        assert seen - done[0] < WITHIN
        assert two.champions()[0].version == 2


def test_what_changed_while_nobody_waited_is_told(two):
    with two.watch() as watcher:
        watcher.wait(0)
        two.promote("medical@2")
        two.rollback("medical")
        assert watcher.wait(0)
        assert not watcher.wait(0)


def test_a_wait_is_one_query_and_leaves_nothing_written(two):
    statements = []
    event.listen(two._store.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    with two.watch() as watcher:
        watcher.wait(0)
    assert len([each for each in statements if "SELECT" in each]) == 1
    assert not [each for each in statements if "UPDATE" in each or "INSERT" in each]


def test_a_registry_that_somebody_creates_is_seen(registry, registry_url, tmp_path):
    with registry.watch() as watcher:
        watcher.wait(0)
        other = Registry.open(registry_url)
        other.publish(write_model(tmp_path / "model", "1"), make_record())
        other.close()
        assert watcher.wait(WITHIN)


def test_without_notifications_the_database_is_polled(two, registry_url, monkeypatch):
    monkeypatch.setattr(watching._Listener, "connect", lambda self: False)
    with two.watch() as watcher:
        watcher.wait(0)
        thread, done = later(0.3, lambda: two.promote("medical@2"))
        assert watcher.wait(20)
        seen = time.monotonic()
        thread.join()
        assert seen - done[0] < WITHIN


@pytest.mark.slow
def test_nothing_is_lost_where_the_database_was_away(tmp_path):
    with servers.postgresql() as server, servers.new_database(server) as database:
        url = f"{database}&artifacts={tmp_path}/artifacts"
        registry = Registry.open(url)
        for number in (1, 2):
            registry.publish(write_model(tmp_path / str(number), str(number)), make_record())
        with registry.watch() as watcher:
            watcher.wait(0)
            os.kill(server.get_pid(), signal.SIGQUIT)  # as kill -9, but without leaving shared memory behind
            wait_until(lambda: server.get_pid() is None or not alive(server.get_pid()))
            with pytest.raises(RegistryError):
                watcher.wait(0.5)
            server.ensure_postgres_running()
            other = Registry.open(url)
            other.promote("medical@2")
            assert watcher.wait(WITHIN)
            assert registry.champions()[0].version == 2
            thread, done = later(0.3, lambda: other.rollback("medical"))
            assert watcher.wait(20)
            seen = time.monotonic()
            thread.join()
            assert seen - done[0] < WITHIN
            assert watcher._listener._connection is not None
            other.close()
        registry.close()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(what, seconds=20.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)

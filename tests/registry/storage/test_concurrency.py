"""Processes and threads that open and publish to one registry concurrently."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, text

from registry import Registry
from registry.storage import database as database_module
from tests.registry.samples import make_record, start_python, write_model
from tests.registry.servers import new_database

PUBLISH = """
import sys
from pathlib import Path
from registry import Registry
from registry.storage import database as database_module
from tests.registry.samples import make_record, write_model

url, scratch, number = sys.argv[1:]
own, same = write_model(Path(scratch) / number, number), write_model(Path(scratch) / f"same-{number}", "same")
print("ready", flush=True)
sys.stdin.readline()
registry = Registry.open(url)
for folder in (own, same, own):
    version = registry.publish(folder, make_record())
    assert (registry.fetch(version) / "model.safetensors").read_text() in (number, "same")
    print(version.version, flush=True)
"""


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A registry whose artifacts are remote, on a file system that threads may read at a time."""
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    registry = Registry.open(f"sqlite:///{tmp_path}/registry.db?artifacts=disk://{tmp_path}/remote")
    yield registry
    registry.close()


@pytest.mark.slow
def test_processes_that_open_a_new_registry_at_once_get_consecutive_versions(registry_url, tmp_path):
    url = registry_url
    processes = [start_python(PUBLISH, url, tmp_path, number) for number in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    numbers = []
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        own = [int(line) for line in out.split()]
        assert own == sorted(own)
        numbers += own
    assert sorted(numbers) == list(range(1, 13))
    registry = Registry.open(url)
    versions = registry.versions("medical")
    assert [version.version for version in versions] == list(range(1, 13))
    assert registry.aliases("medical") == {"champion": 1, "candidate": 12}
    assert all(registry.verify(version) == [] for version in versions)
    assert len({version.artifact for version in versions}) == 5


def test_threads_get_consecutive_versions(registry: Registry, tmp_path):
    folders = [write_model(tmp_path / str(number), str(number % 3)) for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        published = list(threads.map(lambda folder: registry.publish(folder, make_record()), folders))
        fetched = list(threads.map(registry.fetch, published))
    assert sorted(version.version for version in published) == list(range(1, 9))
    assert registry.aliases("medical") == {"champion": 1, "candidate": 8}
    for folder, place in zip(folders, fetched, strict=True):
        assert (place / "model.safetensors").read_text() == (folder / "model.safetensors").read_text()


def test_threads_that_promote_and_roll_back_leave_one_champion(registry: Registry, tmp_path):
    folder = write_model(tmp_path / "model")
    for _ in range(4):
        registry.publish(folder, make_record())

    def step(number):
        registry.promote(f"medical@{number % 3 + 2}")
        return registry.get("medical").version

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(step, range(18))) <= {2, 3, 4}
    assert len(registry.champions()) == 1
    for _ in range(19):  # the first champion and at most 18 promotions
        if registry.get("medical").version == 1:
            break
        registry.rollback("medical")
    assert registry.get("medical").version == 1


def test_threads_that_repair_the_same_local_copy_all_get_it_intact(disk: Registry, tmp_path):
    version = disk.publish(write_model(tmp_path / "model"), make_record())
    for _ in range(4):
        (disk.fetch(version) / "model.safetensors").write_text("damaged")
        with ThreadPoolExecutor(8) as threads:
            fetched = list(threads.map(lambda _: disk.fetch(version), range(8)))
        assert {(place / "model.safetensors").read_text() for place in fetched} == {"weights"}


@pytest.mark.parametrize("table", ["model_versions", "aliases"])
def test_a_transaction_that_conflicts_with_another_writer_is_repeated(registry: Registry, tmp_path, table):
    """SQLite keeps writers apart; on PostgreSQL one of two that interleave meets the other's row."""
    folder = write_model(tmp_path / "model")
    registry.publish(folder, make_record())
    before = []

    def come_first(connection, cursor, statement, parameters, *_):
        if statement.startswith(f"INSERT INTO {table}") and not before:
            before.append(statement)
            cursor.execute(statement, parameters)

    event.listen(registry._store.engine, "before_cursor_execute", come_first)
    assert registry.publish(folder, make_record()).version == 2
    assert before and registry.aliases("medical") == {"champion": 1, "candidate": 2}
    before.clear()
    registry.promote("medical")
    assert registry.aliases("medical") == {"champion": 2}


@pytest.mark.slow
def test_a_deadlock_with_another_program_is_survived(postgresql, tmp_path):
    """The program locks a row before it asks for the writers' lock, which we hold while we wait for the row."""
    folder = write_model(tmp_path / "model")
    with new_database(postgresql) as database:
        registry = Registry.open(f"{database}&artifacts={tmp_path}/artifacts")
        registry.publish(folder, make_record())
        registry.publish(folder, make_record())
        failed = []
        event.listen(registry._store.engine, "handle_error", lambda context: failed.append(context.original_exception))
        with ThreadPoolExecutor(1) as threads, registry._store.engine.connect() as other:
            other.execute(text("UPDATE aliases SET version = version WHERE alias = 'champion'"))
            promoting = threads.submit(registry.promote, "medical@2")
            time.sleep(0.3)
            other.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": database_module._WRITERS})
            other.commit()
            assert promoting.result().version == 2
        assert [error.sqlstate for error in failed] == ["40P01"]
        assert registry.aliases("medical") == {"champion": 2}
        registry.close()


@pytest.mark.parametrize("kind", ["folder", "disk"])
def test_readers_are_served_while_others_publish(kind, disk: Registry, tmp_path):
    registry = disk if kind == "disk" else Registry.open(str(tmp_path / "registry"))
    folder = write_model(tmp_path / "model")
    registry.publish(folder, make_record())

    def read(_):
        return [registry.get("medical").version, len(registry.champions()), registry.verify(registry.get("medical@1"))]

    with ThreadPoolExecutor(8) as threads:
        publishing = [threads.submit(registry.publish, folder, make_record()) for _ in range(6)]
        assert list(threads.map(read, range(20))) == [[1, 1, []]] * 20
    assert sorted(future.result().version for future in publishing) == list(range(2, 8))

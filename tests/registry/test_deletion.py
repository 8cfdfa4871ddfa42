"""Aliases of one's own, retirement, deletion with a grace period, and the collection of what nothing refers to."""

import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import event, update

from registry import NotRegisteredError, Registry, RegistryError
from registry.catalog.listing import Filter
from registry.names import Reference
from registry.storage.artifacts import RemoteStore
from registry.storage.database import write
from registry.storage.reservations import LIFETIME, reserve
from registry.storage.tables import model_versions, reservations
from tests.registry.samples import make_record, run_python, write_model


@pytest.fixture
def three(registry: Registry, tmp_path: Path) -> Registry:
    """Three versions of ``medical`` with files of their own; the first is the champion, the third the candidate."""
    for number in "123":
        registry.publish(write_model(tmp_path / number, number), make_record())
    return registry


def stored(registry: Registry) -> list[str]:
    """The digests of the stored artifacts."""
    return registry._store.artifacts.digests()


def test_an_alias_of_ones_own_is_moved_and_removed_with_a_history(three: Registry):
    three.alias("medical@2", "staging", "to be tried")
    assert three.get("medical@staging").version == 2
    three.alias("medical@3", "staging")
    assert three.aliases("medical")["staging"] == 3
    assert three.remove_alias("medical", "staging") == 3
    with pytest.raises(NotRegisteredError, match="medical has no alias staging"):
        three.remove_alias("medical", "staging")
    with pytest.raises(NotRegisteredError, match="medical@staging"):
        three.get("medical@staging")


@pytest.mark.parametrize("name", ["champion", "candidate"])
def test_the_aliases_of_publishing_are_not_moved_by_hand(three: Registry, name):
    with pytest.raises(RegistryError, match=f"alias '{name}' is moved by"):
        three.alias("medical@2", name)
    with pytest.raises(RegistryError, match=f"alias '{name}' is moved by"):
        three.remove_alias("medical", name)
    assert three.aliases("medical") == {"champion": 1, "candidate": 3}


def test_a_retired_version_is_neither_promoted_nor_gone_back_to(three: Registry):
    three.promote("medical@2")
    three.promote("medical@3")
    three.retire("medical@2", "wrong labels")
    with pytest.raises(RegistryError, match="medical@2 is not promoted: it was retired: .*--undo"):
        three.promote("medical@2")
    assert three.rollback("medical").version == 1
    with pytest.raises(NotRegisteredError, match="no earlier champion"):
        three.rollback("medical")
    three.undo_retirement("medical@2")
    assert three.promote("medical@2").version == 2
    assert three.rollback("medical").version == 1


def test_a_retired_candidate_is_no_candidate_and_the_champion_cannot_be_retired(three: Registry):
    three.retire("medical@candidate")
    assert three.aliases("medical") == {"champion": 1}
    with pytest.raises(RegistryError, match="medical@1 is the champion: promote another version first"):
        three.retire("medical")


def test_a_deleted_version_disappears_until_it_is_restored(three: Registry):
    until = three.delete("medical@2")
    assert timedelta(days=29) < until - datetime.now(timezone.utc) <= timedelta(days=30)
    for ask in (three.get, three.promote, three.delete, three.retire, lambda name: three.alias(name, "staging")):
        with pytest.raises(NotRegisteredError, match="medical@2 was deleted: 'models restore medical@2'"):
            ask("medical@2")
    assert [version.version for version in three.versions("medical")] == [1, 3]
    assert three.restore("medical@2").version == 2
    assert three.promote("medical@2").version == 2


def test_a_version_deleted_between_its_lookup_and_its_promotion_is_not_promoted(three: Registry, monkeypatch):
    version = three.get("medical@2")
    three.delete("medical@2")
    monkeypatch.setattr(three, "get", lambda _: version)
    for change in (three.promote, lambda name: three.alias(name, "staging")):
        with pytest.raises(NotRegisteredError, match="medical@2 was deleted"):
            change("medical@2")
    assert three.aliases("medical") == {"champion": 1, "candidate": 3}


@pytest.mark.parametrize(
    ("reference", "advice"), [("medical@1", "promote"), ("medical@3", "models retire"), ("medical@2", "--remove")]
)
def test_a_version_with_an_alias_cannot_be_deleted(three: Registry, reference, advice):
    three.alias("medical@2", "staging")
    with pytest.raises(RegistryError, match=f"{reference} is .*{advice}"):
        three.delete(reference)
    assert len(three.versions()) == 3


@pytest.mark.parametrize("days", [-1, float("nan"), float("inf"), 1e9])
def test_a_grace_period_is_a_number_of_days(three: Registry, days):
    with pytest.raises(RegistryError, match="expected days from 0"):
        three.delete("medical@2", days)


def test_rollback_skips_a_deleted_champion(three: Registry):
    three.promote("medical@2")
    three.promote("medical@3")
    three.delete("medical@2")
    assert three.rollback("medical").version == 1
    three.restore("medical@2")
    three.promote("medical@2")
    assert three.rollback("medical").version == 1


def test_nothing_is_collected_during_the_grace_period(three: Registry):
    three.delete("medical@2")
    for dry_run in (True, False):
        found = three.collect(dry_run)
        assert (found.versions, found.artifacts, found.leftovers, found.freed) == ([], {}, {}, 0)
    assert three.verify(three.restore("medical@2")) == []


def test_a_collection_removes_exactly_what_its_dry_run_says(three: Registry):
    version = three.get("medical@2")
    three.delete("medical@2", grace_days=0)
    said = three.collect(dry_run=True)
    assert (said.versions, said.artifacts) == (["medical@2"], {version.artifact: version.size})
    assert version.artifact in stored(three)
    assert three.collect() == said
    assert version.artifact not in stored(three) and len(stored(three)) == 2
    assert three.collect().freed == 0
    assert all(three.verify(each) == [] for each in three.versions())


def test_the_number_of_a_purged_version_is_not_given_again(three: Registry, tmp_path):
    three.retire("medical@3")
    three.delete("medical@3", grace_days=0)
    three.collect()
    for ask in (three.get, three.restore):
        with pytest.raises(NotRegisteredError, match="medical@3 was deleted for good"):
            ask("medical@3")
    version = three.publish(tmp_path / "3", make_record())
    assert (version.version, three.verify(version)) == (4, [])


def test_an_artifact_of_several_versions_stays_until_the_last_of_them_is_purged(three: Registry, tmp_path):
    same = three.publish(tmp_path / "2", make_record("law"))
    three.delete("medical@2", grace_days=0)
    assert three.collect().versions == ["medical@2"]
    assert three.verify(same) == []


def test_a_reserved_artifact_is_not_collected_until_its_publication_must_have_died(three: Registry, tmp_path):
    digest, _ = three._store.artifacts.put(write_model(tmp_path / "other", "other"))
    write(three._store.engine, lambda connection: reserve(connection, digest))
    assert three.collect(dry_run=True).artifacts == three.collect().artifacts == {}
    old = datetime.now(timezone.utc) - LIFETIME - timedelta(minutes=1)
    write(three._store.engine, lambda connection: connection.execute(update(reservations).values(made=old)))
    assert list(three.collect(dry_run=True).artifacts) == list(three.collect().artifacts) == [digest]


def test_a_publication_whose_reservation_was_collected_fails_and_says_so(three: Registry, tmp_path, monkeypatch):
    put = type(three._store.artifacts).put
    old = datetime.now(timezone.utc) - LIFETIME - timedelta(minutes=1)

    def slow(store, folder):
        stored = put(store, folder)
        write(three._store.engine, lambda connection: connection.execute(update(reservations).values(made=old)))
        Registry.collect(three)
        return stored

    monkeypatch.setattr(type(three._store.artifacts), "put", slow)
    with pytest.raises(RegistryError, match="took longer than 1 day"):
        three.publish(write_model(tmp_path / "other", "other"), make_record())
    assert len(three.versions()) == 3


def test_a_publication_that_stores_what_is_being_collected_keeps_it(three: Registry, tmp_path):
    """Eight threads publish what others delete and collect; nothing that a version refers to may be missing."""
    folders = [write_model(tmp_path / f"shared-{number}", str(number % 2)) for number in range(4)]

    def step(number):
        if number % 3 == 2:
            return three.collect().versions
        version = three.publish(folders[number % 4], make_record(f"d{number}"))
        three.publish(folders[number % 4], make_record(f"d{number}"))
        three.promote(version.domain)
        three.delete(version.name, grace_days=0)
        return version.name

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(step, range(18)))
    three.collect()
    assert all(three.verify(version) == [] for version in three.versions())
    assert set(stored(three)) == {version.artifact for version in three.versions()}


def test_a_collection_that_was_killed_after_moving_an_artifact_is_finished_by_the_next(tmp_path):
    registry = Registry.open(str(tmp_path / "registry"))
    used = registry.publish(write_model(tmp_path / "used", "used"), make_record())
    store = registry._store.artifacts
    unused, _ = store.put(write_model(tmp_path / "unused", "unused"))
    for digest in (used.artifact, unused):
        store.set_aside(digest)
    assert registry.collect().artifacts == {}
    assert registry.verify(used) == []
    assert {path.name for path in store.root.iterdir()} == {".locks", used.artifact}


def test_an_artifact_is_put_back_if_the_transaction_fails(tmp_path):
    registry = Registry.open(str(tmp_path / "registry"))
    registry.publish(write_model(tmp_path / "used", "used"), make_record())
    unused, _ = registry._store.artifacts.put(write_model(tmp_path / "unused", "unused"))

    def fail(connection, cursor, statement, *_):
        if statement.startswith("UPDATE generation") and unused not in stored(registry):
            raise OSError(5, "Input/output error")

    event.listen(registry._store.engine, "before_cursor_execute", fail)
    with pytest.raises(RegistryError, match="cannot be written: .*Input/output error"):
        registry.collect()
    assert unused in stored(registry)


def test_what_killed_writers_left_is_swept_after_a_day(three: Registry, tmp_path):
    if isinstance(three._store.artifacts, RemoteStore):
        left, _ = three._store.artifacts.put(write_model(tmp_path / "left", "left"))  # it looks like this there
        assert list(three.collect().artifacts) == [left]
        return
    for name, age in ((".new.domain-router-0123abcd", 25), (".new.domain-router-89abcdef", 23)):
        folder = write_model(three._store.artifacts.root / name)
        os.utime(folder, (time.time() - age * 3600,) * 2)
    assert list(three.collect(dry_run=True).leftovers) == [".new.domain-router-0123abcd"]
    assert list(three.collect().leftovers) == [".new.domain-router-0123abcd"]
    assert three.collect().leftovers == {}


def test_other_files_in_the_store_are_not_touched(tmp_path):
    registry = Registry.open(str(tmp_path / "registry"))
    version = registry.publish(write_model(tmp_path / "model"), make_record())
    root = registry.fetch(version).parent
    (root / "README").write_text("ours")
    (root / ("A" * 64)).mkdir()
    registry.collect()
    assert {path.name for path in root.iterdir()} == {".locks", "README", "A" * 64, version.artifact}


def test_lists_are_filtered(registry: Registry, tmp_path):
    folder = write_model(tmp_path / "model")
    for score in (0.5, 0.6, 0.7):
        registry.publish(folder, make_record(adapted_metrics={"test": {"mrr@5": score}}))
        registry.promote("medical@candidate") if score > 0.5 else None
    registry.publish(folder, make_record("law"))
    created = {f"medical@{number}": datetime(2026, 1, number, tzinfo=timezone.utc) for number in (1, 2, 3)}
    for name, moment in created.items():
        number = int(name[-1])
        change = update(model_versions).where(model_versions.c.domain == "medical", model_versions.c.version == number)
        write(registry._store.engine, lambda connection, c=change, m=moment: connection.execute(c.values(created=m)))

    def names(**wanted):
        return [version.name for version in registry.listed(Filter(**wanted))]

    medical = ["medical@1", "medical@2", "medical@3"]
    assert names() == ["law@1", *medical]
    assert names(domain="law") == ["law@1"]
    assert names(alias="champion") == ["law@1", "medical@3"]
    assert names(base_model="other") == [] and len(names(base_model="all-MiniLM-L6-v2")) == 4
    assert names(min_score=0.6, domain="medical") == medical[1:]
    assert names(since=datetime(2026, 1, 2), until=datetime(2026, 1, 3)) == ["medical@2"]
    assert names(parent=Reference("medical", 1)) == ["medical@2"]
    assert names(ancestors=Reference("medical", 3)) == medical
    assert names(ancestors=Reference("medical", 2)) == medical[:2]
    first = registry.listed(Filter(domain="medical"))[0]
    assert (first.created, first.adapted_score, first.size) == (
        created["medical@1"],
        0.5,
        registry.get("medical@1").size,
    )


COLLECT = """
import os, sys
from registry import Registry, RegistryError

def collect(dry_run):
    registry = Registry.open(sys.argv[1])
    try:
        print(sorted(registry.collect(dry_run).artifacts.values()))
    except RegistryError as error:
        print("refused:", "\\n" not in str(error) and "artifacts" in str(error))
    registry.close()

collect(True)  # imports all that is needed, which the other user might not be allowed to read
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
collect(False)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX ones")
def test_a_collection_by_who_may_only_read_the_artifacts_says_so_and_loses_nothing():
    """A superuser may write everywhere, so the process takes another user's rights first."""
    place = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    try:
        url = f"sqlite:///{place}/database/registry.db?artifacts={place}/artifacts"
        registry = Registry.open(url)
        for number in range(3):
            registry.publish(write_model(place / f"model-{number}", str(number)), make_record())
        registry.retire("medical@3")
        registry.delete("medical@3", grace_days=0)
        registry.close()
        for path in (place, *place.rglob("*")):
            writable = path.is_relative_to(place / "database")
            path.chmod((0o777 if writable else 0o555) if path.is_dir() else 0o666 if writable else 0o444)
        found, refused = run_python(COLLECT, url).splitlines()
        assert found.count(",") == 0 and refused == "refused: True"
        for path in place.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        registry = Registry.open(url)
        assert [registry.verify(version) for version in registry.versions()] == [[], []]
        assert len(registry.collect().artifacts) == 1
        registry.close()
    finally:
        shutil.rmtree(place)

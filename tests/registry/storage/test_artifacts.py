"""Integrity of artifacts: every load finds damage, content is stored once, and good copies replace damaged ones."""

import hashlib
import os
import shutil
import time
from pathlib import Path

import fsspec
import pytest
from filelock import FileLock, Timeout

from registry import DamagedArtifactError, Registry, RegistryError
from registry.storage.artifacts import LocalStore, RemoteStore
from tests.registry.samples import make_record, write_model

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder of a few bytes."""
    return write_model(tmp_path / "model")


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """A registry whose artifacts are on a file system other than the disk."""
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    registry = Registry.open(f"sqlite:///{tmp_path}/remote.db?artifacts=memory://models")
    yield registry
    registry.close()
    fsspec.filesystem("memory").store.clear()


def stored(registry, version, name):
    """Where the bytes of a version's file are kept for good, as (file system, path)."""
    store = registry._store.artifacts
    if isinstance(store, RemoteStore):
        return store._system, f"{store._root}/{version.artifact}/{name}"
    return fsspec.filesystem("file"), str(registry.fetch(version) / name)


def change(registry, version, name, how):
    """Damage a stored file, and forget any copy of it elsewhere."""
    system, path = stored(registry, version, name)
    if isinstance(registry._store.artifacts, RemoteStore):
        shutil.rmtree(registry.fetch(version))
    content = system.cat_file(path)
    if how == "missing":
        system.rm_file(path)
    else:
        system.pipe_file(path, how(content))


HOWS = {
    "one bit flipped": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "truncated": lambda content: content[:-1],
    "emptied": lambda content: b"",
    "longer": lambda content: content + b"\0",
    "missing": "missing",
}


@pytest.mark.parametrize("name", [WEIGHTS, "1_Pooling/config.json"])
@pytest.mark.parametrize("how", HOWS.values(), ids=HOWS)
def test_a_damaged_file_is_refused_and_reported_by_name(registry: Registry, folder, name, how):
    version = registry.publish(folder, make_record())
    assert registry.verify(version) == []
    change(registry, version, name, how)
    problems = registry.verify(version)
    assert len(problems) == 1 and name in problems[0]
    for _ in range(2):
        with pytest.raises(DamagedArtifactError) as error:
            registry.fetch(version)
        assert name in str(error.value) and version.artifact in str(error.value)


def test_every_damaged_file_is_reported(registry: Registry, folder):
    version = registry.publish(folder, make_record())
    for system, path in [stored(registry, version, name) for name in (WEIGHTS, "modules.json")]:
        system.pipe_file(path, b"other")
    problems = registry.verify(version)
    assert len(problems) == 2
    assert WEIGHTS in problems[0] and "modules.json" in problems[1]


def test_a_missing_artifact_is_refused_and_reported(registry: Registry, folder):
    version = registry.publish(folder, make_record())
    system, path = stored(registry, version, WEIGHTS)
    shutil.rmtree(registry.fetch(version))
    if isinstance(registry._store.artifacts, RemoteStore):
        system.rm(path.rpartition("/")[0], recursive=True)
    assert len(registry.verify(version)) == len(version.files)
    with pytest.raises(DamagedArtifactError, match="missing"):
        registry.fetch(version)


def test_a_planted_file_is_never_served(registry: Registry, folder):
    """A planted adapter_config.json would make transformers load an adapter that nobody registered."""
    version = registry.publish(folder, make_record())
    planted = registry.fetch(version) / "adapter_config.json"
    planted.write_text("{}")
    try:
        fetched = registry.fetch(version)
    except DamagedArtifactError as error:
        assert "adapter_config.json" in str(error)
        assert "adapter_config.json" in "".join(registry.verify(version))
    else:
        found = {path.relative_to(fetched).as_posix() for path in fetched.rglob("*") if path.is_file()}
        assert found == {file.path for file in version.files}


def test_a_file_replaced_by_a_link_to_other_bytes_is_refused(tmp_path, folder):
    registry = Registry.open(str(tmp_path / "registry"))
    version = registry.publish(folder, make_record())
    (tmp_path / "other").write_text("other")
    path = registry.fetch(version) / WEIGHTS
    path.unlink()
    path.symlink_to(tmp_path / "other")
    with pytest.raises(DamagedArtifactError, match=WEIGHTS):
        registry.fetch(version)


def test_recorded_digests_are_those_of_the_files(registry: Registry, folder):
    version = registry.publish(folder, make_record())
    fetched = registry.fetch(version)
    assert {path.relative_to(fetched).as_posix() for path in fetched.rglob("*") if path.is_file()} == {
        file.path for file in version.files
    }
    for file in version.files:
        content = (fetched / file.path).read_bytes()
        assert content == (folder / file.path).read_bytes()
        assert (file.sha256, file.size) == (hashlib.sha256(content).hexdigest(), len(content))


def test_equal_content_is_stored_once(registry: Registry, folder, tmp_path):
    first = registry.publish(folder, make_record())
    system, path = stored(registry, first, WEIGHTS)

    def count():
        return len(system.find(path.split(first.artifact)[0])), len(list(registry.fetch(first).parent.rglob("*")))

    before = count()
    again = write_model(tmp_path / "again")
    os.utime(again / WEIGHTS, (0, 0))
    second, third = registry.publish(again, make_record()), registry.publish(again, make_record("law"))
    assert first.artifact == second.artifact == third.artifact
    assert registry.fetch(first) == registry.fetch(second) == registry.fetch(third)
    assert count() == before


def test_equal_content_is_not_overwritten(registry: Registry, folder):
    version = registry.publish(folder, make_record())
    system, path = stored(registry, version, WEIGHTS)
    before = system.modified(path)
    registry.publish(folder, make_record())
    assert system.modified(path) == before


def test_an_unreadable_file_is_reported(tmp_path, folder):
    place = tmp_path / "registry"
    registry = Registry.open(str(place))
    first = registry.publish(folder, make_record())
    (folder / WEIGHTS).write_text("others")
    second = registry.publish(folder, make_record())
    weights = registry.fetch(first) / WEIGHTS
    weights.unlink()
    weights.symlink_to(weights)
    (problem,) = registry.verify(first)
    assert problem.startswith(f"{WEIGHTS} cannot be read: ")
    assert registry.verify(second) == []
    with pytest.raises(DamagedArtifactError, match=f"{WEIGHTS} cannot be read"):
        registry.fetch(first)


def test_a_store_that_cannot_be_written_is_named(tmp_path, folder):
    (tmp_path / "file").write_text("x")
    registry = Registry.open(f"sqlite:///{tmp_path}/other.db?artifacts={tmp_path}/file/models")
    with pytest.raises(RegistryError, match=f"{folder} cannot be stored in {tmp_path}/file/"):
        registry.publish(folder, make_record())
    assert registry.versions() == []


def test_the_digest_covers_content_names_and_folders_of_files(registry: Registry, folder):
    seen = {registry.publish(folder, make_record()).artifact}
    (folder / WEIGHTS).write_text("others")
    seen.add(registry.publish(folder, make_record()).artifact)
    (folder / WEIGHTS).rename(folder / "other.safetensors")
    seen.add(registry.publish(folder, make_record()).artifact)
    (folder / "other.safetensors").rename(folder / "1_Pooling" / "other.safetensors")
    seen.add(registry.publish(folder, make_record()).artifact)
    assert len(seen) == 4
    assert all(registry.verify(version) == [] for version in registry.versions())


def test_publishing_the_same_content_again_repairs_a_damaged_artifact(registry: Registry, folder):
    version = registry.publish(folder, make_record())
    change(registry, version, WEIGHTS, HOWS["one bit flipped"])
    registry.publish(folder, make_record())
    assert registry.verify(version) == []
    assert (registry.fetch(version) / WEIGHTS).read_text() == "weights"


def test_pages_for_people_stay_in_the_model_folder(registry: Registry, folder):
    (folder / "report.html").write_text("a question that must not leave the machine")
    version = registry.publish(folder, make_record())
    assert not (registry.fetch(version) / "report.html").exists()
    assert registry.find_by_content(folder) == version
    (folder / "report.html").unlink()
    assert registry.find_by_content(folder) == version


def test_nothing_but_artifacts_is_left_in_the_store(registry: Registry, folder):
    version = registry.publish(folder, make_record())
    registry.publish(folder, make_record())
    (folder / "bad name").write_text("x")
    with pytest.raises(ValueError, match="bad name"):
        registry.publish(folder, make_record())
    assert names_in(registry.fetch(version).parent) == {version.artifact}


def test_leftovers_of_a_killed_publisher_are_removed_after_a_day(registry: Registry, folder):
    store = registry.fetch(registry.publish(folder, make_record())).parent
    for name, age in ((".new.domain-router-0123abcd", 25), (".new.domain-router-89abcdef", 23)):
        write_model(store / name)
        os.utime(store / name, (time.time() - age * 3600,) * 2)
    version = registry.publish(folder, make_record())
    assert names_in(store) == {version.artifact, ".new.domain-router-89abcdef"}


def test_a_damaged_local_copy_of_a_remote_artifact_is_repaired(remote: Registry, folder):
    version = remote.publish(folder, make_record())
    copy = remote.fetch(version)
    for how in HOWS.values():
        if how == "missing":
            (copy / WEIGHTS).unlink()
        else:
            (copy / WEIGHTS).write_bytes(how((copy / WEIGHTS).read_bytes()))
        assert remote.verify(version) == []
        assert remote.fetch(version) == copy
        assert (copy / WEIGHTS).read_text() == "weights"


def test_a_remote_artifact_is_fetched_on_another_machine(remote: Registry, folder, tmp_path, monkeypatch):
    version = remote.publish(folder, make_record())
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "elsewhere"))
    other = Registry.open(f"sqlite:///{tmp_path}/remote.db?artifacts=memory://models")
    fetched = other.fetch(other.get("medical"))
    assert fetched.is_relative_to(tmp_path / "elsewhere")
    assert {file.path: (fetched / file.path).read_bytes() for file in version.files} == {
        file.path: (folder / file.path).read_bytes() for file in version.files
    }


def test_an_intact_local_copy_serves_while_the_remote_store_is_unavailable(remote: Registry, folder):
    version = remote.publish(folder, make_record())
    remote.fetch(version)
    fsspec.filesystem("memory").store.clear()
    assert (remote.fetch(version) / WEIGHTS).read_text() == "weights"
    assert len(remote.verify(version)) == len(version.files)


def test_a_damaged_remote_artifact_never_replaces_what_is_cached(remote: Registry, folder):
    version = remote.publish(folder, make_record())
    copy = remote.fetch(version)
    system, path = stored(remote, version, WEIGHTS)
    system.pipe_file(path, b"other")
    (copy / "modules.json").unlink()
    with pytest.raises(DamagedArtifactError, match=WEIGHTS):
        remote.fetch(version)
    assert names_in(copy.parent) == {version.artifact}


def names_in(store: Path) -> set[str]:
    """What lies in a store beside its locks."""
    return {path.name for path in store.iterdir()} - {".locks"}


def test_the_locks_of_a_store_lie_in_it_and_may_be_taken_by_all_who_write_there(tmp_path, folder):
    registry = Registry.open(f"sqlite:///{tmp_path}/registry.db?artifacts={tmp_path}/models")
    version = registry.publish(folder, make_record())
    registry.close()
    lock = tmp_path / "models" / ".locks" / version.artifact
    assert lock.stat().st_mode & 0o666 == 0o666
    assert {path.name for path in tmp_path.iterdir()} == {"model", "models", "registry.db"}


def test_users_with_homes_of_their_own_lock_each_other_out(tmp_path, monkeypatch):
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "one"))
    with LocalStore(tmp_path / "models").lock("x"):
        monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "other"))
        with pytest.raises(Timeout):
            FileLock(tmp_path / "models" / ".locks" / "x").acquire(timeout=0)


def test_a_publisher_that_was_overtaken_succeeds_where_locks_do_not_work(tmp_path, folder, monkeypatch):
    """A rename onto a folder that is not empty fails; what is there is what was to be stored."""
    one, other = LocalStore(tmp_path / "models"), LocalStore(tmp_path / "models")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / ".locks").write_text("no folder")
    rename, pending = Path.rename, [other]

    def overtaken(path: Path, target: Path) -> Path:
        if pending and ".new." in path.name:
            pending.pop().put(folder)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    digest, files = one.put(folder)
    assert one.verify(digest, files) == []
    assert names_in(tmp_path / "models") == {digest}


def test_a_home_that_cannot_be_written_stops_nobody_from_a_remote_store(tmp_path, folder, monkeypatch, caplog):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "file"))
    registry = Registry.open(f"sqlite:///{tmp_path}/remote.db?artifacts=memory://unwritable")
    version = registry.publish(folder, make_record())
    assert (registry.fetch(version) / WEIGHTS).read_text() == "weights"
    assert registry.verify(version) == []
    assert f"{tmp_path}/file/cache/artifacts cannot be used as a cache" in caplog.text


def test_permissions_follow_the_umask(registry: Registry, folder, tmp_path):
    (tmp_path / "plain").mkdir()
    expected = (tmp_path / "plain").stat().st_mode & 0o777
    fetched = registry.fetch(registry.publish(folder, make_record()))
    for path in (fetched, fetched / "1_Pooling"):
        assert oct(path.stat().st_mode & 0o777) == oct(expected)

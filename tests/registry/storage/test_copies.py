"""Local copies of remote artifacts: bounded, and never taken from a process that was just given one."""

import os
import time

import pytest

from registry import Registry, RegistryError
from registry.shared.digests import sha256_of, sha256_of_unchanged
from registry.storage.copies import IN_USE, VARIABLE
from tests.registry.samples import make_record, write_model


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """A registry whose artifacts are not on this disk, and four versions of 8 bytes and some."""
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    registry = Registry.open(f"sqlite:///{tmp_path}/remote.db?artifacts=disk://{tmp_path}/remote")
    for number in range(4):
        registry.publish(write_model(tmp_path / str(number), f"weights{number}"), make_record())
    yield registry
    registry.close()


def age(registry, seconds):
    """Let the copies of all versions have been used so long ago, the first one longest."""
    for version in registry.versions():
        then = time.time() - seconds + version.version
        os.utime(copies(registry) / version.artifact, (then, then))


def copies(registry):
    return registry._store.artifacts._cache


def kept(registry):
    return [version.version for version in registry.versions() if (copies(registry) / version.artifact).exists()]


def test_the_copies_used_longest_ago_are_removed_down_to_the_limit(remote, monkeypatch, tmp_path):
    age(remote, IN_USE + 60)
    remote.fetch(remote.get("medical@1"))
    monkeypatch.setenv(VARIABLE, str(2.5 * remote.get("medical@1").size / 1e9))
    remote.publish(write_model(tmp_path / "new", "weights5"), make_record())
    assert kept(remote) == [1, 5]
    assert all(remote.verify(version) == [] for version in remote.versions())


def test_a_copy_used_within_the_hour_is_never_removed(remote, monkeypatch, tmp_path):
    age(remote, IN_USE - 60)
    monkeypatch.setenv(VARIABLE, "1e-9")
    remote.publish(write_model(tmp_path / "new", "weights5"), make_record())
    assert kept(remote) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("given", ["0", "-1", "nan", "inf", "much"])
def test_a_limit_that_is_no_size_is_named(remote, monkeypatch, tmp_path, given):
    monkeypatch.setenv(VARIABLE, given)
    with pytest.raises(RegistryError, match=f"{VARIABLE}='{given}': expected gigabytes"):
        remote.publish(write_model(tmp_path / "new", "weights5"), make_record())


def settled(path, text):
    """Write a file as if that were long ago: only the time of its change of state is now."""
    path.write_text(text)
    os.utime(path, (1, 1))
    return path


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    path = settled(tmp_path / "file", "one")
    monkeypatch.setattr("registry.shared.digests._SETTLED", -1_000_000_000)  # as if two seconds had passed
    first = sha256_of_unchanged(path)
    reads = []
    monkeypatch.setattr("registry.shared.digests.sha256_of_stream", lambda stream: reads.append(stream) or "read")
    assert sha256_of_unchanged(path) == first and not reads
    settled(path, "two")  # of the same size and with the same time of modification
    assert sha256_of_unchanged(path) == "read"


def test_a_file_that_has_just_changed_is_read_every_time(tmp_path):
    """A further change within one tick of the file system's clock would change no time."""
    path = settled(tmp_path / "file", "one")
    before = path.stat()
    assert sha256_of_unchanged(path) == sha256_of(path)
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert sha256_of_unchanged(path) == sha256_of(path)

"""Opening a registry: migrations, repeated and read-only opening, and invalid databases."""

import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import event

from registry import NotRegisteredError, Registry, RegistryError
from tests.registry.samples import make_record, run_python, write_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder of a few bytes."""
    return write_model(tmp_path / "model")


def test_opening_twice_is_harmless(tmp_path, folder):
    first = Registry.open(str(tmp_path / "registry"))
    version = first.publish(folder, make_record())
    second = Registry.open(str(tmp_path / "registry"))
    assert second.versions() == [version] == first.versions()
    second.promote(version.name)
    first.close()
    second.close()
    third = Registry.open(str(tmp_path / "registry"))
    assert third.versions() == [version]
    assert third.publish(folder, make_record()).version == 2


def test_opening_an_up_to_date_registry_writes_nothing_and_loads_no_alembic(tmp_path, folder):
    registry = Registry.open(str(tmp_path / "registry"))
    registry.publish(folder, make_record())
    registry.close()
    before = (tmp_path / "registry" / "registry.db").read_bytes()
    code = """
import sys
from registry import Registry
print(Registry.open(sys.argv[1]).get("medical").name, "alembic" in sys.modules)
"""
    assert run_python(code, tmp_path / "registry").split() == ["medical@1", "False"]
    assert (tmp_path / "registry" / "registry.db").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX ones")
def test_a_read_only_registry_is_read(tmp_path_factory):
    """A superuser may write everywhere, so the process takes another user's rights first."""
    place = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    try:
        store = Registry.open(str(place / "registry"))
        store.publish(write_model(place / "model"), make_record())
        store.publish(write_model(place / "model"), make_record())
        store.close()
        for path in (place, *place.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        code = """
import os, sys
from pathlib import Path
from registry import Registry

def read():
    registry = Registry.open(sys.argv[1])
    version = registry.get("medical@2")
    print(version.name, registry.champions()[0].name, registry.aliases("medical"), registry.verify(version))
    print((registry.fetch(version) / "model.safetensors").read_text())
    registry.close()

read()  # imports all that is needed, which the other user might not be allowed to read
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
try:
    Path(sys.argv[1], "probe").touch()
except PermissionError:
    read()
"""
        expected = "medical@2 medical@1 {'candidate': 2, 'champion': 1} []\nweights\n"
        assert run_python(code, place / "registry") == expected * 2
    finally:
        for path in (place, *place.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        shutil.rmtree(place)


@pytest.mark.parametrize("how", ["only read", "locked"])
def test_a_database_that_cannot_be_written_is_named_with_advice(tmp_path, folder, how):
    registry = Registry.open(str(tmp_path / "registry"))
    registry.publish(folder, make_record())
    registry.publish(folder, make_record())
    registry._store.engine.dispose()
    pragma = "query_only = ON" if how == "only read" else "busy_timeout = 1"
    event.listen(registry._store.engine, "connect", lambda connection, _: connection.execute(f"PRAGMA {pragma}"))
    other = sqlite3.connect(tmp_path / "registry" / "registry.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE" if how == "locked" else "SELECT 1")
    writes = (
        lambda: registry.publish(folder, make_record()),
        lambda: registry.promote("medical@2"),
    )
    for write in writes:
        with pytest.raises(RegistryError, match=r"registry\.db cannot be written: .*(readonly|locked).*try again"):
            write()
    assert registry.aliases("medical") == {"champion": 1, "candidate": 2}
    other.close()


def test_a_database_with_missing_tables_is_named(tmp_path, folder):
    registry = Registry.open(str(tmp_path / "registry"))
    registry.create()
    with sqlite3.connect(tmp_path / "registry" / "registry.db") as database:
        database.execute("DROP TABLE aliases")
    for read in (registry.champions, lambda: registry.get("medical"), lambda: registry.aliases("medical")):
        with pytest.raises(RegistryError, match=r"registry\.db cannot be read: no such table"):
            read()


@pytest.mark.parametrize("content", [b"no database\n" * 100, b"\0" * 4096])
def test_a_file_that_is_not_a_database_is_refused_by_name(tmp_path, content):
    (tmp_path / "registry.db").write_bytes(content)
    with pytest.raises(RegistryError, match="registry.db"):
        Registry.open(str(tmp_path))
    assert (tmp_path / "registry.db").read_bytes() == content


def test_a_registry_that_cannot_be_created_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "taken" / "registry.db").mkdir(parents=True)
    for place in (tmp_path / "file" / "registry", tmp_path / "taken"):
        with pytest.raises(RegistryError, match=str(place)):
            Registry.open(str(place)).create()


@pytest.mark.parametrize("there", [True, False])
def test_reading_a_registry_that_does_not_exist_makes_nothing(tmp_path, folder, there):
    place = tmp_path / "registry"
    if there:
        place.mkdir()
    registry = Registry.open(place)
    assert (registry.versions(), registry.champions(), registry.aliases("medical")) == ([], [], {})
    assert registry.find_by_content(folder) is None
    for ask in (registry.get, registry.promote, registry.rollback):
        with pytest.raises(NotRegisteredError):
            ask("medical")
    registry.close()
    assert {path.name for path in tmp_path.rglob("*")} & {"registry", "registry.db", "artifacts"} <= (
        {"registry"} if there else set()
    )


def test_a_reader_sees_what_is_published_to_a_registry_that_did_not_exist_when_it_was_opened(tmp_path, folder):
    reader = Registry.open(tmp_path / "registry")
    assert reader.versions() == []
    Registry.open(tmp_path / "registry").publish(folder, make_record())
    assert [version.name for version in reader.champions()] == ["medical@1"]


def test_a_registry_is_created_with_its_folders(tmp_path, folder):
    registry = Registry.open(f"sqlite:///{tmp_path}/a/b/c.db?artifacts={tmp_path}/d/e")
    version = registry.publish(folder, make_record())
    assert registry.fetch(version).parent == tmp_path / "d" / "e"
    assert (tmp_path / "a" / "b" / "c.db").is_file()

"""A publishing process that dies at any instant leaves the complete version or nothing, and a usable registry."""

import pytest

from registry import Registry, RegistryError
from tests.registry.samples import make_record, run_python, write_model

PUBLISH = """
import os, sys
from pathlib import Path
from sqlalchemy import Engine, event
from registry import Observer, Registry
from registry.storage.migrations import upgrade
from tests.registry.samples import make_record

DIED = 77

def die(*_):
    os._exit(DIED)

def die_before(occasion, wanted):
    # An audit hook sees what the process is about to do to the disk, in any library.
    sys.addaudithook(lambda name, arguments: die() if name == occasion and wanted(arguments) else None)

class Dying(Observer):
    def version_published(self, version):
        die()

def publish(root, point):
    observer = None
    opened = []
    if point == "copy of the second file":
        def second(arguments):
            opened.extend([1] if ".new.domain-router-" in str(arguments[0]) and "w" in str(arguments[1]) else [])
            return len(opened) == 2
        die_before("open", second)
    elif point == "move-in":
        die_before("os.rename", lambda arguments: ".new.domain-router-" in str(arguments[0]))
    elif point == "commit":
        event.listen(Engine, "commit", die)
    elif point == "news":
        observer = Dying()
    else:
        def before(connection, cursor, statement, *_):
            if statement.strip().startswith(point):
                die()
        event.listen(Engine, "before_cursor_execute", before)
    Registry.open(str(root / "registry"), observer).publish(root / "second", make_record())

for root, point in zip(sys.argv[1::2], sys.argv[2::2]):
    child = os.fork()
    if child == 0:
        publish(Path(root), point)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == DIED, point
"""

BEFORE = [
    "copy of the second file",
    "move-in",
    "SELECT max",  # moved in; the transaction has begun
    "INSERT INTO model_versions",
    "INSERT INTO aliases",
    "INSERT INTO alias_moves",
    "commit",
]
AFTER = ["news"]
CREATING = ["CREATE TABLE alembic_version", "CREATE TABLE aliases", "INSERT INTO alembic_version"]


@pytest.fixture(scope="module")
def died(tmp_path_factory):
    """A folder for each instant, with the registry that a process left which died just before it.

    One process is forked for all instants, which spares the imports.
    """
    folders = {}
    for point in BEFORE + AFTER + CREATING:
        folder = folders[point] = tmp_path_factory.mktemp("died")
        write_model(folder / "second", "second")
        if point not in CREATING:
            registry = Registry.open(str(folder / "registry"))
            registry.publish(write_model(folder / "first", "first"), make_record())
            registry.close()
    run_python(PUBLISH, *(item for point, folder in folders.items() for item in (folder, point)))
    return folders


@pytest.mark.parametrize("point", BEFORE)
def test_a_publisher_that_dies_before_the_commit_leaves_nothing_visible(died, point):
    registry = Registry.open(str(died[point] / "registry"))
    first = registry.get("medical@1")
    assert registry.versions() == [first]
    assert registry.aliases("medical") == {"champion": 1}
    assert registry.verify(first) == []

    second = registry.publish(died[point] / "second", make_record())
    assert second.version == 2
    assert registry.aliases("medical") == {"champion": 1, "candidate": 2}
    assert (registry.fetch(second) / "model.safetensors").read_text() == "second"


@pytest.mark.parametrize("point", AFTER)
def test_a_publisher_that_dies_after_the_commit_leaves_the_whole_version(died, point):
    registry = Registry.open(str(died[point] / "registry"))
    second = registry.get("medical@2")
    assert registry.aliases("medical") == {"champion": 1, "candidate": 2}
    assert registry.verify(second) == []
    assert registry.publish(died[point] / "second", make_record()).version == 3


@pytest.mark.parametrize("point", CREATING)
def test_a_process_that_dies_while_it_creates_a_registry_leaves_one_that_opens(died, point):
    registry = Registry.open(str(died[point] / "registry"))
    assert registry.versions() == []
    assert registry.publish(died[point] / "second", make_record()).version == 1


def test_an_error_while_publishing_leaves_nothing_visible(registry: Registry, tmp_path, monkeypatch):
    folder = write_model(tmp_path / "model")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(RegistryError, match=f"{folder} cannot be stored in .*No space left"):
            registry.publish(folder, make_record())
    assert registry.versions() == []
    version = registry.publish(folder, make_record())
    assert version.version == 1
    assert {path.name for path in registry.fetch(version).parent.iterdir()} == {version.artifact, ".locks"}

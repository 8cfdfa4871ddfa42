"""Snapshots of the champions are complete, movable, read-only and checked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from registry import BaseModelFiles, DamagedArtifactError, Registry
from registry.snapshot import Snapshot
from tests.registry.samples import make_record, write_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A snapshot of two domains, moved from where it was written."""
    store = Registry.open(str(tmp_path / "registry"))
    for domain in ("legal", "medical"):
        store.publish(write_model(tmp_path / domain, weights=domain), make_record(domain))
    base = BaseModelFiles("the-base", "c9745ed", write_model(tmp_path / "base", "base"), "folder")
    (base.path / "custom.py").write_text("print('code')", encoding="utf-8")
    Snapshot.write(tmp_path / "written", base, [(version, store.fetch(version)) for version in store.champions()])
    store.close()
    shutil.rmtree(tmp_path / "registry")
    return (tmp_path / "written").rename(tmp_path / "moved")


def test_it_serves_what_the_registry_served(folder: Path) -> None:
    snapshot = Snapshot(folder)
    assert [version.name for version in snapshot.champions()] == ["legal@1", "medical@1"]
    for version in snapshot.champions():
        assert (snapshot.fetch(version) / "model.safetensors").read_text(encoding="utf-8") == version.domain
    assert (snapshot.base.name, snapshot.base.revision) == ("the-base", "c9745ed")
    assert sorted(path.name for path in snapshot.base.path.iterdir()) == [
        "1_Pooling",
        "model.safetensors",
        "modules.json",
    ]


def test_a_changed_file_is_named(folder: Path) -> None:
    snapshot = Snapshot(folder)
    (snapshot.fetch(snapshot.champions()[0]) / "modules.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(DamagedArtifactError, match=r"legal is damaged: modules\.json"):
        snapshot.fetch(snapshot.champions()[0])
    (folder / "base" / "model.safetensors").unlink()
    with pytest.raises(DamagedArtifactError, match=r"base is damaged: model\.safetensors is missing"):
        _ = snapshot.base


@pytest.mark.parametrize("text", ["", "{}", '{"base": 5}'])
def test_an_unreadable_listing_is_named(folder: Path, text: str) -> None:
    (folder / "snapshot.json").write_text(text, encoding="utf-8")
    with pytest.raises(DamagedArtifactError, match=r"snapshot\.json cannot be read"):
        Snapshot(folder)

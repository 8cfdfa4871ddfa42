"""A version as a single file: the same bytes everywhere, and nothing from a stranger's file that is not as it says."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from registry import DamagedArtifactError, DomainRouterError, ModelVersion, OutputError, Registry, RegistryError
from registry.errors import ExchangeError
from registry.exchange.archive import MANIFEST, write_archive
from registry.storage.file_kinds import check_arrays
from tests.registry.samples import make_record, write_model

Entry = tuple[tarfile.TarInfo, bytes]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this machine keeps things."""
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def exported(tmp_path: Path, home: Path) -> Path:
    """A file with medical@1 of another registry."""
    source = Registry.open(tmp_path / "source")
    version = source.publish(write_model(tmp_path / "model"), make_record())
    source.exchange.export_file(version, tmp_path / "medical.tar")
    source.close()
    return tmp_path / "medical.tar"


def entries(path: Path) -> list[Entry]:
    with tarfile.open(path) as tar:
        return [(each, tar.extractfile(each).read()) for each in tar]  # type: ignore[union-attr]


def rewritten(path: Path, change: Callable[[list[Entry]], list[Entry]]) -> Path:
    with_changes = change(entries(path))
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for head, content in with_changes:
            if head.isreg():
                head.size = len(content)
            tar.addfile(head, io.BytesIO(content))
    return path


def head(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def test_a_version_comes_over_with_its_record_files_and_origin(
    registry: Registry, exported: Path, tmp_path: Path
) -> None:
    version, is_new = registry.exchange.import_file(exported)
    source = Registry.open(tmp_path / "source").get("medical@1")
    assert is_new and version.name == "medical@1"
    assert version.origin is not None and version.origin.name == "medical@1"
    assert (version.origin.created, version.origin.author) == (source.created, source.author)
    assert version.model_dump(include=set(type(make_record()).model_fields)) == make_record().model_dump()
    assert (version.artifact, version.files) == (source.artifact, source.files)
    assert (registry.fetch(version) / "model.safetensors").read_text() == "weights"


def test_what_is_registered_already_is_imported_only_by_force(registry: Registry, exported: Path) -> None:
    first, _ = registry.exchange.import_file(exported)
    assert registry.exchange.import_file(exported) == (first, False)
    again, is_new = registry.exchange.import_file(exported, force=True)
    assert is_new and again.name == "medical@2" and registry.aliases("medical")["candidate"] == 2


def test_an_imported_version_gives_the_same_bytes_again(registry: Registry, exported: Path, tmp_path: Path) -> None:
    version, _ = registry.exchange.import_file(exported, force=True)
    registry.exchange.export_file(version, tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == exported.read_bytes()
    assert [each.name for each, _ in entries(exported)][:2] == [MANIFEST, "origin.json"]


def test_an_existing_file_is_replaced_only_if_asked(exported: Path, tmp_path: Path) -> None:
    source = Registry.open(tmp_path / "source")
    exported.write_text("another file")
    with pytest.raises(OutputError, match="exists already"):
        source.exchange.export_file(source.get("medical"), exported)
    source.exchange.export_file(source.get("medical"), exported, overwrite=True)
    assert tarfile.is_tarfile(exported)


def test_a_file_that_changes_while_it_is_exported_leaves_nothing(exported: Path, tmp_path: Path) -> None:
    source = Registry.open(tmp_path / "source")
    version = source.get("medical")
    (tmp_path / "model" / "modules.json").write_text("[1]")
    with pytest.raises(DamagedArtifactError, match=r"modules\.json changed"):
        write_archive(tmp_path / "new.tar", version, tmp_path / "model", None, False)
    assert not [path for path in tmp_path.iterdir() if "new.tar" in path.name]


def bomb(found: list[Entry]) -> list[Entry]:
    """Entries whose last one holds far more than the manifest says."""
    return [*found[:-1], (found[-1][0], bytes(1 << 20))]


def last_as(kind: bytes) -> Callable[[list[Entry]], list[Entry]]:
    """Entries whose last one is something else than a file."""
    return lambda found: [*found[:-1], (head(found[-1][0].name, kind, "/etc/passwd"), b"")]


def edited(old: bytes, new: bytes) -> Callable[[list[Entry]], list[Entry]]:
    """Entries with another manifest."""

    def change(found: list[Entry]) -> list[Entry]:
        assert old in found[0][1]
        return [(found[0][0], found[0][1].replace(old, new)), *found[1:]]

    return change


def file_renamed(name: bytes) -> Callable[[list[Entry]], list[Entry]]:
    """Entries with a file of another name, and a manifest that has all its digests right."""

    def change(found: list[Entry]) -> list[Entry]:
        import json

        manifest = json.loads(found[0][1])
        files = manifest["files"]
        renamed = [{**each, "path": name.decode()} if each["path"] == "modules.json" else each for each in files]
        manifest["files"] = sorted(renamed, key=lambda each: each["path"])
        lines = "".join(f"{file['sha256']}  {file['path']}\n" for file in manifest["files"])
        manifest["artifact"] = hashlib.sha256(lines.encode()).hexdigest()
        contents = {each.name: content for each, content in found}
        contents[f"files/{name.decode()}"] = contents.pop("files/modules.json")
        order = [f"files/{file['path']}" for file in manifest["files"]]
        return [
            (head("manifest.json"), json.dumps(manifest).encode()),
            (head("origin.json"), contents["origin.json"]),
            *((head(each), contents[each]) for each in order),
        ]

    return change


BAD: dict[str, tuple[Callable[[list[Entry]], list[Entry]], str]] = {
    "a path upwards": (lambda found: [*found, (head("../../evil.txt"), b"evil")], "evil.txt"),
    "an absolute path": (lambda found: [*found, (head("/tmp/evil.txt"), b"evil")], "evil.txt"),
    "a path upwards first": (lambda found: [(head("../evil.txt"), b"evil"), *found], "evil.txt"),
    "a path upwards in the manifest": (file_renamed(b"../evil.json"), "evil.json"),
    "an absolute path in the manifest": (file_renamed(b"/tmp/evil.json"), "evil.json"),
    "a control character in the manifest": (file_renamed(b"a\nb.json"), "not allowed"),
    "a pickle in the manifest": (file_renamed(b"pytorch_model.bin"), "pytorch_model.bin"),
    "code in the manifest": (file_renamed(b"modeling.py"), "modeling.py"),
    "a link": (last_as(tarfile.SYMTYPE), "plain"),
    "a hard link": (
        lambda found: [*found[:-1], (head(found[-1][0].name, tarfile.LNKTYPE, "/etc/passwd"), b"")],
        "plain",
    ),
    "a device": (last_as(tarfile.CHRTYPE), "plain"),
    "a folder": (lambda found: [*found, (head("files/a", tarfile.DIRTYPE), b"")], "plain"),
    "a pipe": (lambda found: [*found, (head("files/a", tarfile.FIFOTYPE), b"")], "plain"),
    "a long name": (lambda found: [(head("x", tarfile.GNUTYPE_LONGNAME), b""), *found], "plain"),
    "an extended head": (lambda found: [(head("x", tarfile.XHDTYPE), b""), *found], "plain"),
    "a file twice": (lambda found: [*found, found[-1]], "not in its manifest"),
    "an unknown file": (lambda found: [*found, (head("files/more.json"), b"{}")], "more.json"),
    "no manifest": (lambda found: found[1:], "manifest.json is expected"),
    "the manifest last": (lambda found: [*found[1:], found[0]], "manifest.json is expected"),
    "a missing file": (lambda found: found[:-1], "is expected"),
    "a bomb": (bomb, "the manifest says 2"),
    "a huge manifest": (lambda found: [(found[0][0], bytes(5 << 20)), *found[1:]], "more than"),
    "another content": (lambda found: [*found[:-1], (found[-1][0], b"{}")], "modules.json"),
    "another digest": (edited(b'"artifact": "', b'"artifact": "0'), "manifest.json"),
    "another size": (edited(b'"size": 7', b'"size": 8'), "the manifest says 8"),
    "an unknown field": (edited(b'"format": 1', b'"format": 1, "more": 1'), "manifest.json"),
    "another format": (edited(b'"format": 1', b'"format": 2'), "manifest.json"),
    "a domain that is a path": (edited(b'"domain": "medical"', b'"domain": "../medical"'), "domain"),
}


@pytest.mark.parametrize(("change", "said"), BAD.values(), ids=BAD)
def test_what_a_file_may_not_hold_is_refused_and_nothing_is_written(
    exported: Path, tmp_path: Path, home: Path, change: Callable[[list[Entry]], list[Entry]], said: str
) -> None:
    rewritten(exported, change)
    store = Registry.open(tmp_path / "registry")
    before = {path for path in tmp_path.parent.rglob("*") if "/registry" not in str(path)}
    with pytest.raises(DomainRouterError, match=said.replace(".", r"\.")):
        store.exchange.import_file(exported)
    assert store.versions() == []
    after = {path for path in tmp_path.parent.rglob("*") if "/registry" not in str(path)}
    assert {path for path in after - before if path.is_file()} == set()
    assert not Path("/tmp/evil.txt").exists() and not Path("/tmp/evil.json").exists()
    assert not (tmp_path / "registry" / "artifacts").exists()
    store.close()


def test_every_truncation_is_refused(exported: Path, tmp_path: Path) -> None:
    content, store = exported.read_bytes(), Registry.open(tmp_path / "registry")
    for length in range(0, len(content) - 1024, 389):
        exported.write_bytes(content[:length])
        with pytest.raises(RegistryError):
            store.exchange.import_file(exported)
    exported.write_bytes(content + b"more")
    with pytest.raises(ExchangeError, match="follows"):
        store.exchange.import_file(exported)
    assert store.versions() == []
    store.close()


def test_a_compressed_file_is_refused(exported: Path, tmp_path: Path, home: Path) -> None:
    import gzip

    exported.write_bytes(gzip.compress(exported.read_bytes()))
    with pytest.raises(ExchangeError, match="uncompressed"):
        Registry.open(tmp_path / "registry").exchange.import_file(exported)


def test_a_model_larger_than_allowed_is_refused_before_it_is_read(exported: Path, tmp_path: Path) -> None:
    store = Registry.open(tmp_path / "registry")
    with pytest.raises(ExchangeError, match="11 bytes, at most 10"):
        store.exchange.import_file(exported, max_size=10)
    with pytest.raises(ExchangeError, match="no such file"):
        store.exchange.import_file(tmp_path / "missing.tar")
    store.close()


def test_a_model_larger_than_the_disk_is_refused_before_it_is_read(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(ExchangeError, match="more than the disk"):
        Registry.open(tmp_path / "registry").exchange.import_file(exported)


@pytest.mark.parametrize("name", ["model.bin", "modeling.py", "data.pkl", "a.pt", "0_Module/page.html", "LICENSE"])
def test_files_of_other_kinds_are_published_nowhere(tmp_path: Path, home: Path, name: str) -> None:
    folder = write_model(tmp_path / "model")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("x")
    store = Registry.open(tmp_path / "registry")
    with pytest.raises(RegistryError, match=f"{name} is not allowed in an artifact"):
        store.publish(folder, make_record())
    assert store.versions() == []
    store.close()


def test_arrays_are_published_unless_they_are_pickled(tmp_path: Path, home: Path) -> None:
    folder, store = write_model(tmp_path / "model"), Registry.open(tmp_path / "registry")
    np.savez(folder / "arrays.npz", a=np.arange(3), b=np.array(["x"]))
    version: ModelVersion = store.publish(folder, make_record())
    assert "arrays.npz" in {file.path for file in version.files}
    np.savez(folder / "arrays.npz", a=np.arange(3), b=np.array([{}], dtype=object))
    with pytest.raises(RegistryError, match=r"arrays\.npz is not allowed .* b\.npy is pickled"):
        store.publish(folder, make_record())
    (folder / "arrays.npz").write_bytes(b"PK no zip")
    with pytest.raises(RegistryError, match=r"arrays\.npz is no file of numpy arrays"):
        store.publish(folder, make_record())
    store.close()


def test_an_array_whose_head_claims_gigabytes_is_refused_without_reading_it(tmp_path):
    head = b"\x93NUMPY\x02\x00" + (1 << 30).to_bytes(4, "little")
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as arrays:
        arrays.writestr("a.npy", head + bytes(64 << 20))
    tracemalloc.start()
    with pytest.raises(RegistryError, match="bomb.npz is no file of numpy arrays") as error:
        check_arrays(tmp_path, ["bomb.npz"])
    assert tracemalloc.get_traced_memory()[1] < 8 << 20 and "\n" not in str(error.value)
    tracemalloc.stop()


@pytest.mark.parametrize("size", [-1, -5])
def test_an_entry_of_negative_size_is_refused(exported, tmp_path, size):
    content = bytearray(exported.read_bytes())
    content[124:136] = size.to_bytes(12, "big", signed=True)
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    exported.write_bytes(content)
    with pytest.raises(ExchangeError, match=f"has the size {size}"):
        Registry.open(tmp_path / "registry").exchange.import_file(exported)

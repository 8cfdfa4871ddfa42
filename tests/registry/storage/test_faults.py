"""Disks and stores that fail: the order in which bytes reach the disk, full disks, and an S3 that answers badly."""

import os
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from registry import DamagedArtifactError, Registry, RegistryError
from tests.registry import servers
from tests.registry.samples import FILES, make_record, write_model

CONTENT = [(name, offset) for name, text in FILES.items() for offset in range(len(text))]


def test_files_and_folders_are_on_the_disk_before_the_row_is_written(tmp_path, monkeypatch):
    registry = Registry.open(str(tmp_path / "registry"))
    registry.create()
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def synced(descriptor: int) -> None:
        done.append("sync " + Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        done.extend(["move"] if ".new.domain-router-" in path.name else [])
        return rename(path, target)

    def inserted(connection, cursor, statement, *_):
        done.extend(["row"] if statement.startswith("INSERT INTO model_versions") else [])

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    event.listen(registry._store.engine, "before_cursor_execute", inserted)
    registry.publish(write_model(tmp_path / "model"), make_record())

    names = ["new" if ".new.domain-router-" in name else name.removeprefix("sync ") for name in done]
    moved, row = names.index("move"), names.index("row")
    assert {"model.safetensors", "modules.json", "config.json", "1_Pooling", "new"} <= set(names[:moved])
    assert names[:moved].index("new") > names[:moved].index("modules.json")
    assert {"artifacts", "registry"} <= set(names[moved:row])


def test_an_artifact_that_another_process_moved_in_is_synced_too(tmp_path, monkeypatch):
    """It may have been killed before its folder's names were on the disk."""
    registry = Registry.open(str(tmp_path / "registry"))
    folder = write_model(tmp_path / "model")
    registry.publish(folder, make_record())
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
    )
    registry.publish(folder, make_record())
    assert synced[-1] == "artifacts"


@pytest.mark.parametrize("call", ["open", "mkdir", "fsync", "rename"])
def test_a_full_disk_is_one_clear_error_and_changes_nothing(tmp_path, monkeypatch, call):
    registry = Registry.open(str(tmp_path / "registry"))
    first = registry.publish(write_model(tmp_path / "first", "first"), make_record())
    second = write_model(tmp_path / "second", "second")
    owner = {"open": Path, "mkdir": Path, "rename": Path, "fsync": os}[call]
    real: Callable[..., object] = getattr(owner, call)

    def full(place, *arguments, **options):
        writing = call != "open" or "w" in str(arguments)
        if writing and (call == "fsync" or ".new.domain-router-" in str(place)):
            raise OSError(28, "No space left on device")
        return real(place, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, call, full)
        with pytest.raises(RegistryError, match="No space left on device.*check free space"):
            registry.publish(second, make_record())
    assert registry.versions() == [first]
    assert {path.name for path in registry.fetch(first).parent.iterdir()} == {first.artifact, ".locks"}
    assert registry.publish(second, make_record()).version == 2


@given(place=st.sampled_from(CONTENT), bit=st.integers(0, 7))
@settings(max_examples=25)
def test_any_flipped_bit_is_found_before_use_with_the_version_and_the_file(damaged, place, bit):
    registry, version, folder = damaged
    name, offset = place
    path = folder / name
    content, times = path.read_bytes(), path.stat()
    changed = bytearray(content)
    changed[offset] ^= 1 << bit
    path.write_bytes(changed)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as whoever wants to hide it would
    with pytest.raises(DamagedArtifactError, match=f"medical@1: .*{name}"):
        registry.fetch(version)
    assert name in registry.verify(version)[0]
    path.write_bytes(content)
    assert registry.fetch(version) == folder


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """A registry, its version, and the folder of the version's files, each of which this process has checked once."""
    root = tmp_path_factory.mktemp("damaged")
    registry = Registry.open(str(root / "registry"))
    version = registry.publish(write_model(root / "model"), make_record())
    folder = registry.fetch(version)
    yield registry, version, folder
    registry.close()


def test_a_changed_file_list_is_found_before_use(tmp_path):
    registry = Registry.open(str(tmp_path / "registry"))
    version = registry.publish(write_model(tmp_path / "model"), make_record())
    other = version.files[0].model_copy(update={"sha256": "0" * 64})
    changed = version.model_copy(update={"files": (other, *version.files[1:])})
    with pytest.raises(DamagedArtifactError, match="medical@1: its file list"):
        registry.fetch(changed)
    assert "file list" in registry.verify(changed)[0]


class FaultyS3(BaseHTTPRequestHandler):
    """Stands before an S3, and answers as told where the path names an artifact."""

    protocol_version = "HTTP/1.1"
    address: ClassVar[str] = ""
    fault: ClassVar[str | None] = None
    asked: ClassVar[int] = 0

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = type(self)
        hit = kind.fault is not None and "/faulty/" in self.path
        kind.asked += hit
        if hit and kind.fault != "half a body":
            self._send(int(str(kind.fault)), {}, b"")
            return
        behind = HTTPConnection(urlsplit(kind.address).netloc)
        behind.request(self.command, self.path, body, dict(self.headers))
        answer = behind.getresponse()
        content = answer.read()
        headers = {name: text for name, text in answer.getheaders() if name.lower() not in _HOPS}
        if self.command == "HEAD":
            headers["Content-Length"] = answer.getheader("Content-Length") or "0"
        cut = hit and self.command == "GET"
        kept = 0 if "Range" in self.headers else len(content) // 2  # else the rest would come with the next request
        self._send(answer.status, headers, content, content[:kept] if cut else content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

    def _send(self, status: int, headers: dict[str, str], content: bytes, sent: bytes | None = None) -> None:
        self.send_response(status)
        for name, text in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content if sent is None else sent)
        self.close_connection = sent is not None and len(sent) < len(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


_HOPS = {"content-length", "transfer-encoding", "connection", "date", "server"}


@pytest.fixture
def faulty(s3, tmp_path, monkeypatch):
    """The URL of a registry whose artifacts are in an S3 that can be told to fail."""
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    FaultyS3.address, FaultyS3.fault, FaultyS3.asked = s3, None, 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), FaultyS3)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    yield f"sqlite:///{tmp_path}/registry.db?artifacts=s3://{servers.BUCKET}/{tmp_path.name}/faulty"
    server.shutdown()
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["500", "503", "half a body"])
def test_an_s3_that_fails_is_one_clear_error_in_bounded_time_and_changes_nothing(faulty, fault, tmp_path, monkeypatch):
    registry = Registry.open(faulty)
    first = registry.publish(write_model(tmp_path / "first", "first"), make_record())
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "elsewhere"))
    other = Registry.open(faulty)
    FaultyS3.fault = fault
    tries = [lambda: other.fetch(first), lambda: other.verify(first)]
    if fault != "half a body":  # which a write does not see
        tries.append(lambda: other.publish(write_model(tmp_path / "second", "second"), make_record()))
    for attempt in tries:
        started = time.monotonic()
        with pytest.raises(RegistryError) as error:
            attempt()
        assert not isinstance(error.value, DamagedArtifactError)
        assert "s3" in str(error.value) or "models/" in str(error.value)
        assert "\n" not in str(error.value)
        assert time.monotonic() - started < 20
    FaultyS3.fault = None
    assert other.versions() == [first]
    assert other.verify(first) == []
    assert (other.fetch(first) / "model.safetensors").read_text() == "first"
    assert other.publish(write_model(tmp_path / "second", "second"), make_record()).version == 2

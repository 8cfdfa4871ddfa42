"""A server that speaks the Hub's API as far as pushing and pulling a model needs it: repositories in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_secretoftests"


class HubServer(ThreadingHTTPServer):
    """Repositories by name, each with its files; and what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def hub_server() -> Iterator[HubServer]:
    with HubServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""

    def _answer(self, status: int, body: Any = None, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _handle(self) -> None:
        body, path = self._body(), self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        if self.command == "PUT":  # the address of an upload carries its own permission
            self.server.objects[path.rpartition("/")[2]] = body
            return self._answer(200, {})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer(401, {"error": "Invalid username or password."})
        if path == "/api/whoami-v2":
            return self._answer(200, {"name": "tester", "orgs": []})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self._answer(200, {"errors": [], "warnings": []})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(.*))?", path):
            return self._of_repository(found[1], found[2] or "", body)
        if found := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            return self._answer(
                200, {"transfer": "basic", "objects": [*map(self._upload, json.loads(body)["objects"])]}
            )
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            content = self.server.repositories.get(found[1], {}).get(found[3])
            return self._answer(200, content) if content is not None else self._answer(404, {"error": "no entry"})
        self._answer(404, {"error": f"unknown: {path}"})

    do_GET = do_POST = do_PUT = do_HEAD = _handle

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted.get('organization') or 'tester'}/{wanted['name']}"
        if name in self.server.repositories:
            return self._answer(409, {"error": "You already created this model repo", "url": name})
        self.server.repositories[name], self.server.private[name] = {}, wanted.get("visibility") == "private"
        self._answer(200, {"url": f"{self.server.address}/{name}", "name": name})

    def _upload(self, wanted: dict[str, Any]) -> dict[str, Any]:
        return {**wanted, "actions": {"upload": {"href": f"{self.server.address}/lfs/{wanted['oid']}"}}}

    def _of_repository(self, name: str, rest: str, body: bytes) -> None:
        files = self.server.repositories.get(name)
        if files is None:
            return self._answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        if rest.startswith("preupload/"):
            wanted = json.loads(body)["files"]
            mode = {True: "lfs", False: "regular"}
            modes = [
                {"path": each["path"], "uploadMode": mode[each["path"].endswith(".safetensors")], "shouldIgnore": False}
                for each in wanted
            ]
            return self._answer(200, {"files": modes})
        if rest.startswith("commit/"):
            return self._commit(name, files, [json.loads(line) for line in body.splitlines()])
        if rest == "" or rest.startswith("revision/"):
            siblings = [{"rfilename": path} for path in sorted(files)]
            return self._answer(
                200, {"id": name, "modelId": name, "sha": _sha(files), "siblings": siblings, "tags": []}
            )
        if rest.startswith("tree/"):
            entries = [
                {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for path, content in sorted(files.items())
            ]
            return self._answer(200, entries)
        self._answer(404, {"error": f"unknown: {rest}"})

    def _commit(self, name: str, files: dict[str, bytes], lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                content = self.server.objects[value["oid"]]
                assert hashlib.sha256(content).hexdigest() == value["oid"]
                files[value["path"]] = content
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        sha = _sha(files)
        self._answer(
            200, {"success": True, "commitOid": sha, "commitUrl": f"{self.server.address}/{name}/commit/{sha}"}
        )


def _sha(files: dict[str, bytes]) -> str:
    state = "".join(f"{path}{hashlib.sha1(content).hexdigest()}" for path, content in sorted(files.items()))
    return hashlib.sha1(state.encode()).hexdigest()

"""A chat-completions server on this machine, with the faults of real ones."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-secret-0123456789"

Answer = Callable[[dict[str, Any]], Any]


class ChatServer(ThreadingHTTPServer):
    """Answers every prompt by ``answer``; ``faults`` are met first, one a request.

    Attributes:
        asked: the body of every request.
        keys: the Authorization header of every request.
        most_open: requests that were open at once.
    """

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.faults: list[str] = []
        self.always: str | None = None
        self.delay = 0.0
        self.asked: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.keys: list[str | None] = []
        self.open = self.most_open = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Of the API."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.asked.append(body)
            server.times.append(time.monotonic())
            server.keys.append(self.headers.get("Authorization"))
            server.open += 1
            server.most_open = max(server.most_open, server.open)
            fault = server.always or (server.faults.pop(0) if server.faults else "")
        try:
            time.sleep(server.delay)
            self.reply(fault, body)
        finally:
            with server.lock:
                server.open -= 1

    def reply(self, fault: str, body: dict[str, Any]) -> None:
        """A good answer, or the fault of that name."""
        status, _, after = fault.partition(" after ")
        if status == "slow":
            time.sleep(0.5)
        if status == "drop":
            self.close_connection = True
            return
        if status.isdigit():
            headers = {"Retry-After": after} if after else {}
            self.send(
                int(status), {"error": {"message": f"fault {status} for {self.headers['Authorization']}"}}, headers
            )
        elif status == "no format" and "response_format" in body:
            self.send(400, {"error": {"message": "response_format is not supported"}})
        elif status == "no schema" and body.get("response_format", {}).get("type") == "json_schema":
            self.send(400, {"error": {"message": "json_schema is not supported"}})
        elif status == "reasoning" and ("max_tokens" in body or "temperature" in body):
            self.send(400, {"error": {"message": "use max_completion_tokens, and no temperature"}})
        elif status == "html":
            self.send_bytes(200, b"<html>proxy</html>", {"Content-Type": "text/html"})
        elif status == "broken":
            self.send_bytes(200, b'{"choices": [', {"Content-Type": "application/json"})
        else:
            self.complete(status, body)

    def complete(self, fault: str, body: dict[str, Any]) -> None:
        text = json.dumps(self.server.answer(body))
        if fault == "bad JSON":
            text = text[:-1]
        if fault == "other form":
            text = '{"verdict": "fine"}'
        if fault == "fenced":
            text = f"Here it is:\n```json\n{text}\n```"
        message: Any = {"role": "assistant", "content": text[:5] if fault == "cut off" else text}
        if fault == "no message":
            message = None
        if fault == "parts":
            message["content"] = [{"type": "text", "text": text}]
        choice = {"index": 0, "finish_reason": "length" if fault == "cut off" else "stop", "message": message}
        usage: dict[str, Any] = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        if fault == "half a usage":
            usage = {"prompt_tokens": None, "total_tokens": 110}
        reply = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice]}
        self.send(200, reply if fault == "no usage" else {**reply, "usage": usage})

    def send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        self.send_bytes(status, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})})

    def send_bytes(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def chat_server(answer: Answer) -> Iterator[ChatServer]:
    """A server that runs within the block."""
    server = ChatServer(answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def said(body: dict[str, Any]) -> str:
    """The first message of a request."""
    return str(body["messages"][0]["content"])


def two_questions(body: dict[str, Any]) -> dict[str, Any]:
    """Questions made of the passage's first words."""
    passage = re.search(r"<passage>\n(.*?)\n</passage>", said(body), re.DOTALL)
    assert passage
    words = passage[1].split()
    return {"questions": [" ".join(words[:3]) + "?", "what about " + " ".join(words[3:6])]}


def shared_words(body: dict[str, Any]) -> dict[str, Any]:
    """The grade is how many key words query and passage have in common, 3 at most."""
    from tests.training.samples import KEYS

    query = re.search(r"<query>\n(.*?)\n</query>", said(body), re.DOTALL)
    assert query
    passages = re.findall(r"<passage \d+>\n(.*?)\n</passage \d+>", said(body), re.DOTALL)
    keys = set(query[1].split()) & set(KEYS)
    grades = [min(3, len(keys & set(passage.split()))) for passage in passages]
    return {"grades": [{"passage": number, "grade": grade} for number, grade in enumerate(grades, 1)]}

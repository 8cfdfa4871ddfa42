"""Processes with warm imports: a server imports the libraries once and is forked for each process that a test starts.

Importing torch and sentence-transformers takes longer than most of what the documentation and the tests run.
:func:`started` starts the server and writes two commands, ``domain-router`` and ``python``; see :func:`command`. A
command sends its arguments, folder, environment and standard streams to the server, and ends as the forked process
does. That is a process of its own in all but three things: the modules are imported already, libraries that read the
environment at import have read the server's, the Hub's excepted, and modules are not torn down at the end, which takes
a second. A test of any of these starts ``sys.executable`` instead.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

COMMANDS = "WARM_COMMANDS"
"""The environment variable with the folder of the commands."""

BASE = "WARM_BASE_MODEL"
"""The environment variable that names the folder of the model that a process takes for all-MiniLM-L6-v2."""

QUESTIONS = "WARM_BUNDLED_QUESTIONS"
"""The environment variable that names the folder of the questions that training mixes in."""

LIBRARIES = (
    *("datasets", "peft", "sklearn.linear_model", "sklearn.feature_extraction.text", "sklearn.manifold"),
    *("training.adaptation", "training.publishing", "training.recipes.finetune", "router_plugin.cli"),
    *("router_plugin.router", "router_plugin.encoders.torch_encoder", "transformers.models.bert.modeling_bert"),
    "router_plugin.server.mcp.stdio",
)
COMMAND = """#!{python} -IS
import json, os, signal, socket, sys

server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
request = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(request).to_bytes(4, "big")], [0, 1, 2])
server.sendall(request)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: server.send(bytes([number])))
status = int(server.recv(16) or 1)
if status < 0:
    if status != -signal.SIGKILL:
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


@contextmanager
def started() -> Iterator[None]:
    """A server for this process and its children; it imports when it is first asked for a process."""
    with TemporaryDirectory(prefix="warm-") as folder, socket.socket(socket.AF_UNIX) as listener:
        address = f"{folder}/socket"
        listener.bind(address)
        listener.listen()
        for name in ("domain-router", "python"):
            path = Path(folder, name)
            path.write_text(COMMAND.format(python=sys.executable, address=address), encoding="utf-8")
            path.chmod(0o755)
        os.environ[COMMANDS] = folder
        server = [sys.executable, "-m", "tests.warm", str(listener.fileno())]
        root = Path(__file__).parents[1]
        with subprocess.Popen(server, stdin=subprocess.PIPE, pass_fds=[listener.fileno()], cwd=root) as process:
            yield
            process.terminate()


def command(name: str) -> Path:
    """The file of ``domain-router`` or ``python``."""
    return Path(os.environ[COMMANDS], name)


def main(listener: int) -> None:
    """Serve, and in a forked process, do what a command does."""
    arguments, status = serve(listener), 1
    try:
        run(arguments)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if not isinstance(end.code, int | None):
            print(end.code, file=sys.stderr)  # noqa: T201
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(status)


def serve(listener: int) -> list[str]:
    """Fork a process for each connection; in such a process, become what is asked for and return its arguments."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=listener) as server:
        while server in select.select([server, sys.stdin], [], [])[0]:
            connection, _ = server.accept()
            for name in LIBRARIES:
                importlib.import_module(name)
            gc.freeze()  # a collection would visit, and thereby copy, what all processes have in common
            if os.fork() == 0:
                return attend(connection)
            connection.close()
    os._exit(0)


def attend(connection: socket.socket) -> list[str]:
    """Fork the process itself, where this returns; pass signals on to it, and answer with its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, streams, _, _ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as sent:
        arguments, folder, environment = json.loads(sent.read(int.from_bytes(length, "big")))
    child = os.fork()
    if child == 0:
        connection.close()
        become(streams, folder, environment)
        return list(arguments)
    for stream in streams:
        os.close(stream)

    def pass_signals() -> None:
        with suppress(ProcessLookupError):
            while number := connection.recv(1):
                os.kill(child, number[0])
            os.kill(child, signal.SIGKILL)  # the command was killed

    threading.Thread(target=pass_signals, daemon=True).start()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(BrokenPipeError):
        connection.send(str(status).encode())
    os._exit(0)


def become(streams: list[int], folder: str, environment: dict[str, str]) -> None:
    """Take over the streams, the folder and the environment of a command."""
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    importlib.reload(importlib.import_module("huggingface_hub.constants"))
    sys.path[:0] = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path not in sys.path]
    if "COVERAGE_PROCESS_START" in environment:
        import coverage

        coverage.process_startup()
    if base := environment.get(BASE):
        from registry.model_folders import base_models

        base_models._packaged = lambda: (Path(base), "")
    if questions := environment.get(QUESTIONS):
        from training.mining import bundled_questions

        bundled_questions.HOMES = (Path(questions),)


def run(arguments: list[str]) -> None:
    """What the command would do."""
    command, *rest = arguments
    sys.modules["__main__"] = ModuleType("__main__")
    if Path(command).name == "domain-router":
        from router_plugin import cli

        sys.argv = arguments
        cli.main()
    elif rest[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *rest[2:]], ""
        exec(compile(rest[1], "<string>", "exec"), vars(sys.modules["__main__"]))
    elif not rest[0].startswith("-"):
        sys.argv, sys.path[0] = rest, str(Path(rest[0]).parent)
        runpy.run_path(rest[0], run_name="__main__")
    else:
        os.execv(sys.executable, [sys.executable, *rest])


if __name__ == "__main__":
    main(int(sys.argv[1]))

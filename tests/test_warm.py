"""Warm processes end, print and die as cold ones do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm

CODES = {
    "prints and ends": "import os, sys; print(os.getcwd(), sys.argv, os.environ['X'], input())",
    "says what is wrong": "raise SystemExit('no')",
    "fails": "print('before', flush=True); raise ValueError('é')",
    "is killed": "import os; os.kill(os.getpid(), 9)",
    "has a status": "import atexit, sys; atexit.register(print, 'last'); sys.exit(3)",
}


@pytest.mark.slow
@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_a_warm_process_ends_as_a_cold_one(code: str, tmp_path: Path) -> None:
    options = {"cwd": tmp_path, "env": {**os.environ, "X": "ü"}, "input": "given\n", "text": True}
    cold, done = (
        subprocess.run([python, "-c", code, "an argument"], capture_output=True, timeout=60, **options)  # type: ignore[call-overload]
        for python in (sys.executable, warm.command("python"))
    )
    assert (done.returncode, done.stdout) == (cold.returncode, cold.stdout)
    assert done.stderr.splitlines()[-1:] == cold.stderr.splitlines()[-1:]


@pytest.mark.slow
def test_a_warm_process_is_ended_with_its_command() -> None:
    code = "import time; print('started', flush=True); time.sleep(60)"
    for number in (signal.SIGTERM, signal.SIGKILL):
        command = [warm.command("python"), "-c", code]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            process.send_signal(number)
            assert process.wait(10) == -number
            assert process.stdout.read() == ""  # which ends when the child does


def test_the_installed_command_runs() -> None:
    command = [Path(sys.prefix) / "bin" / "domain-router", "--help"]
    assert "train" in subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

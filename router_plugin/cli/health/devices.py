"""What torch can compute on, asked in a process of its own: a broken driver may end it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from router_plugin.cli.health.findings import Finding, in_units

SECONDS = 120
"""How long torch may take to start."""

_ASK = """
import json, torch
def bfloat16(device):
    try:
        return bool(torch.ones(8, 8, dtype=torch.bfloat16, device=device).matmul(
            torch.ones(8, 8, dtype=torch.bfloat16, device=device)).sum() == 512)
    except (RuntimeError, TypeError):
        return False
gpus = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
print(json.dumps({
    "cuda": [[each.name, each.total_memory, bfloat16(f"cuda:{n}")] for n, each in enumerate(gpus)],
    "built_for": torch.version.cuda, "mps": torch.backends.mps.is_available(),
    "threads": torch.get_num_threads(), "bfloat16": bfloat16("cpu"),
}))
"""


def devices() -> Iterator[Finding]:
    """GPUs, and the processor with its threads."""
    try:
        done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        yield Finding("devices", "fault", f"torch did not start within {SECONDS} s", "reinstall torch")
        return
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
        yield Finding("devices", "fault", f"torch cannot be used: {why}", "reinstall torch")
        return
    yield from _described(json.loads(done.stdout.splitlines()[-1]))


def _described(found: dict[str, Any]) -> Iterator[Finding]:
    for number, (name, memory, bfloat16) in enumerate(found["cuda"]):
        said = f"{name}, {in_units(memory)}, {_bfloat16(bfloat16)}"
        yield Finding(f"device cuda:{number}", "ok", said)
    if found["mps"]:
        yield Finding("device mps", "ok", "Apple GPU")
    if not found["cuda"] and shutil.which("nvidia-smi"):
        built = f"built for CUDA {found['built_for']}" if found["built_for"] else "built without CUDA"
        advice = "compare the driver that nvidia-smi shows with the build of torch, see pytorch.org"
        yield Finding("device cuda", "warning", f"an NVIDIA driver is here, but torch, {built}, finds no GPU", advice)
    yield Finding("device cpu", "ok", f"{found['threads']} threads, {_bfloat16(found['bfloat16'])}")


def _bfloat16(usable: bool) -> str:
    return "bfloat16" if usable else "no bfloat16"

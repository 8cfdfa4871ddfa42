"""Measures memory with 1, 5 and 20 domains that are adapters of one base model, and the throughput of a mixed batch.

    OMP_NUM_THREADS=1 python benchmarks/many_domains.py

Every domain is a copy of the ready-made medical adapter, and each embeds a query. Resident memory is the total of a
fresh process. On torch, the adapters share the base model; for OpenVINO and ONNX Runtime, each is merged into a
separate model. A mixed batch has 64 queries over 5 domains and is compared with a batch of one domain. The last line is
one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models" / "medical"
DOMAINS = (1, 5, 20)
ROUNDS = 40


def main() -> None:
    """Measure in fresh processes, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", nargs=3, metavar=("RUNTIME", "NUMBER", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        runtime, number, folder = arguments.measure
        print(json.dumps(_memory(runtime, int(number), Path(folder))))
        return
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        _copies(Path(scratch))
        for runtime in ("torch", "openvino", "onnx"):
            results[runtime] = {number: _in_a_process(runtime, number, scratch) for number in DOMAINS}
        results["mixed"] = _mixed(Path(scratch))
    table = Table(title="resident megabytes, by number of domains")
    for column in ("runtime", *map(str, DOMAINS), f"{DOMAINS[-1]} compared with {DOMAINS[0]}"):
        table.add_column(column)
    for runtime in ("torch", "openvino", "onnx"):
        found = results[runtime]
        ratio = found[DOMAINS[-1]] / found[DOMAINS[0]]
        table.add_row(runtime, *(f"{found[number]:.0f}" for number in DOMAINS), f"{ratio:.2f}")
    Console(width=120).print(table)
    mixed = results["mixed"]
    print(f"a mixed batch has {mixed['ratio']:.2f} of the throughput of a single-domain batch, {mixed}")
    print(json.dumps(results))


def _copies(scratch: Path) -> None:
    """Copy the adapters, with one merged variant for each other runtime."""
    from registry.model_folders.exporting import export
    from registry.model_folders.variants import variant_folder
    from training.retrieval.encoding import load_model

    model = load_model(MODEL, "cpu")
    for number in range(DOMAINS[-1]):
        shutil.copytree(MODEL, scratch / str(number))
        for backend in ("openvino", "onnx"):
            folder = variant_folder(scratch / str(number), backend)
            if number:
                shutil.copytree(variant_folder(scratch / "0", backend), folder)
            else:
                folder.mkdir(parents=True)
                export(model, folder, backend)  # type: ignore[arg-type]


def _in_a_process(runtime: str, number: int, scratch: str) -> float:
    command = [sys.executable, __file__, "--measure", runtime, str(number), scratch]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _memory(runtime: str, number: int, scratch: Path) -> float:
    """Resident megabytes of this process once every domain has embedded a query."""
    encoders: list[Any] = []
    if runtime == "torch":
        from registry import resolve_base_model
        from router_plugin.encoders.shared_backbone import shared_backbone

        shared = shared_backbone(resolve_base_model(), "cpu", False)
        assert shared is not None
        encoders = [shared.member(scratch / str(each)) for each in range(number)]
    else:
        from registry.model_folders.compiled import CompiledModel
        from registry.model_folders.variants import variant_folder

        encoders = [CompiledModel(variant_folder(scratch / str(each), runtime), 1) for each in range(number)]
    for encoder in encoders:
        encoder.encode(["what are the side effects of this medicine"])
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise SystemExit("this system does not report a process's resident memory")


def _mixed(scratch: Path) -> dict[str, float]:
    """Milliseconds of a batch of one domain and of one over five, measured in turn, and the ratio of throughputs."""
    from registry import resolve_base_model
    from router_plugin.encoders.shared_backbone import shared_backbone

    shared = shared_backbone(resolve_base_model(), "cpu", False)
    assert shared is not None
    members = [shared.member(scratch / str(each)) for each in range(5)]
    lines = (ROOT / "examples" / "data" / "medical.jsonl").read_text(encoding="utf-8").splitlines()[:64]
    queries = [json.loads(line)["question"] for line in lines]
    batches = {
        "single": [(members[0], query) for query in queries],
        "mixed": [(members[row % 5], query) for row, query in enumerate(queries)],
    }
    spent: dict[str, list[float]] = {name: [] for name in batches}
    for _ in range(ROUNDS):
        for name, batch in batches.items():
            started = time.perf_counter()
            shared.encode(batch)
            spent[name].append(1000 * (time.perf_counter() - started))
    single, mixed = (statistics.median(spent[name][3:]) for name in ("single", "mixed"))
    return {"single_ms": round(single, 1), "mixed_ms": round(mixed, 1), "ratio": round(single / mixed, 3)}


if __name__ == "__main__":
    main()

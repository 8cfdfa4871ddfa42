"""Kills workers of Ray Train at random instants of a training: is the result the same, and how much work is lost?

    python benchmarks/ray_kills.py --kills 20

A tiny model, built from a config, is adapted by ``--workers`` workers of a Ray cluster on this machine, once
undisturbed and then ``--kills`` times with a SIGKILL of one of them, drawn by chance. The time of the undisturbed run,
from when it opens its working folder, is divided into as many equal parts, and one instant is drawn from each. Ray
Train restarts the workers, and the training goes on. Its report, but for times, and the digest of its weights are
compared with those of the undisturbed run. A checkpoint is written after every step, so no more than the step under way
may be trained again. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from kills import PAIRS, stage_of, timeless, tiny_model
from rich.console import Console
from rich.table import Table

from registry import resolve_base_model
from registry.shared.digests import sha256_of
from training import Contrastive, TrainingJob, prepare, read_pairs, read_prepared
from training.options import WorkerOptions
from training.worker_group import adapt_in_workers

RECIPE = Contrastive(min_steps=20, batch_size=8, learning_rate=0.01, interpolation_weight=1.0, mix_ratio=0)
STEPS = "steps.txt"
PAIRS_TAKEN = 60


def main() -> None:
    """Train undisturbed, kill, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ray", default="local", help="address of a cluster of this machine; by default a new one")
    parser.add_argument("--out", type=Path, help="working folder; by default a temporary one")
    parser.add_argument("--seed", type=int, default=0, help="seed of the instants and of the workers")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (arguments.out or Path(scratch)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)  # by which the workers are known
        result = measure(folder, arguments.ray, arguments.workers, arguments.kills, arguments.seed)
    _print(result)
    sys.exit(result["same"] < result["kills"])


def measure(folder: Path, address: str, workers: int, kills: int, seed: int) -> dict[str, Any]:
    """Kill workers of one run after the other; say how many ended the same, and what was trained twice."""
    import ray

    cores = {"num_cpus": workers + 1, "include_dashboard": False} if address == "local" else {}
    ray.init(address, log_to_driver=False, logging_level="error", **cores)
    tiny_model(folder / "base")
    lines = PAIRS.read_text(encoding="utf-8").splitlines()[:PAIRS_TAKEN]
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    prepare(read_pairs(folder / "pairs.jsonl"), folder / "data", overwrite=True)
    draw = np.random.default_rng(seed)
    wanted = run(folder, "undisturbed", workers, None, draw)
    instants = wanted["seconds"] * (np.arange(kills) + draw.random(kills)) / kills
    found = [run(folder, f"killed-{number}", workers, float(instant), draw) for number, instant in enumerate(instants)]
    same = [each["outcome"] == wanted["outcome"] for each in found]
    return {
        "kills": kills,
        "workers": workers,
        "same": sum(same),
        "killed": sum(each["stage"] != "not killed" for each in found),
        "steps": len(wanted["steps"]),
        "steps_again_at_most": max(len(each["steps"]) - len(set(each["steps"])) for each in found),
        "seconds_undisturbed": round(wanted["seconds"], 1),
        "seconds_lost_mean": round(float(np.mean([each["seconds"] for each in found])) - wanted["seconds"], 1),
        "runs": [
            {"stage": each["stage"], "rank": each["rank"], "same": equal, "seconds": round(each["seconds"], 1)}
            for each, equal in zip(found, same, strict=True)
        ],
    }


def run(folder: Path, name: str, workers: int, instant: float | None, draw: np.random.Generator) -> dict[str, Any]:
    """One training, of which a worker is killed ``instant`` seconds after it has begun."""
    place = folder / name
    place.mkdir()
    killed: dict[str, Any] = {"stage": "not killed", "rank": None}
    ended, begun = threading.Event(), threading.Event()
    clock: dict[str, float] = {}

    def disturb() -> None:
        while not (place / ".model.run" / "run.json").exists():
            if ended.wait(0.01):
                return
        clock["start"] = time.perf_counter()
        begun.set()
        if instant is not None and not ended.wait(instant) and (there := worker_processes(folder)):
            victim = int(draw.choice(there))
            killed.update(stage=stage_of(place), rank=there.index(victim))
            os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=disturb)
    killer.start()
    try:
        adapt_in_workers(partial(make_job, folder, place), place / "model", "auto", WorkerOptions(ray_workers=workers))
    finally:
        ended.set()
        killer.join()
    report = json.loads((place / "model" / "report.json").read_text(encoding="utf-8"))
    weights = sha256_of(place / "model" / "model.safetensors")
    left = sorted(path.name for path in place.iterdir())
    return {
        "outcome": {"report": timeless(report), "weights": weights, "left": left},
        "seconds": time.perf_counter() - clock["start"],
        "steps": (place / STEPS).read_text(encoding="utf-8").splitlines(),
        **killed,
    }


def make_job(folder: Path, place: Path) -> TrainingJob:
    """The job, in a worker: it writes a checkpoint after every step, and the first one notes its steps."""
    from training.recipes.trainer import MinedBatchTrainer
    from training.runs import checkpoints, processes

    checkpoints.INTERVAL = 0.0
    step = MinedBatchTrainer.training_step

    def noted(self: Any, *arguments: Any, **options: Any) -> Any:
        if processes.is_main_process():
            with (place / STEPS).open("a", encoding="utf-8") as file:
                file.write(f"{Path(str(self.args.output_dir)).name} {self.state.global_step}\n")
        return step(self, *arguments, **options)

    MinedBatchTrainer.training_step = noted
    base = resolve_base_model(str(folder / "base" / "model"))
    return TrainingJob(read_prepared(folder / "data"), "legal", base, RECIPE, device="cpu")


def worker_processes(folder: Path) -> list[int]:
    """The workers of Ray Train that work in a folder."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "cwd").readlink() == folder:
                title = (process / "cmdline").read_bytes()
                found += [int(process.name)] * title.startswith(b"ray::RayTrainWorker")
        except OSError:  # it has ended
            continue
    return sorted(found)


def _print(result: dict[str, Any]) -> None:
    table = Table("killed while", "worker", "ended the same", "seconds", title=f"{result['kills']} kills")
    for each in result["runs"]:
        table.add_row(each["stage"], str(each["rank"]), str(each["same"]), str(each["seconds"]))
    Console().print(table)
    print(json.dumps(result))


if __name__ == "__main__":
    main()

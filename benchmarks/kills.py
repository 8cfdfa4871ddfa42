"""Kills training at random instants and starts it again: is the result the same as without the kill?

    python benchmarks/kills.py --kills 50

A tiny model, built from a config, is trained and registered by ``domain-router train --register``, once undisturbed and
then ``--kills`` times with a SIGKILL. The time of the undisturbed run is divided into as many equal parts, and one
instant is drawn from each. After the kill the same command runs to its end. Its metrics, the digest of its weights and
the registered versions are compared with those of the undisturbed run. Every run is a separate process, forked from one
that has already imported torch, so that the kills hit training and not imports. A checkpoint is written after every
step of training, not once a minute. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from registry import Registry, resolve_base_model
from registry.shared.digests import sha256_of

PAIRS = Path(__file__).parent.parent / "examples" / "data" / "legal.jsonl"
OPTIONS = (
    "--min-steps",
    "20",
    "--batch-size",
    "8",
    "--learning-rate",
    "0.01",
    "--interpolation-weight",
    "1",
    "--force",
)
LOG = "log.txt"
TIMES = {"seconds", "created"}
STAGES = {
    "iteration-2.json": "evaluating, writing the model folder",
    "checkpoints/iteration-2/step-*": "iteration 2, after a checkpoint",
    "iteration-2-examples.json": "iteration 2, before a checkpoint",
    "iteration-1.json": "mining for iteration 2",
    "checkpoints/iteration-1/step-*": "iteration 1, after a checkpoint",
    "iteration-1-examples.json": "iteration 1, before a checkpoint",
    "base.json": "mining for iteration 1",
    "run.json": "measuring the base model",
}
"""The stage of a run, by the last file that it has written."""
CONTEXT = get_context("forkserver")


def main() -> None:
    """Train undisturbed, kill, start again, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--out", type=Path, help="working folder; by default a temporary one")
    parser.add_argument("--seed", type=int, default=0, help="seed of the instants")
    arguments = parser.parse_args()
    CONTEXT.set_forkserver_preload(["training.adaptation", "training.publishing", "router_plugin.cli"])
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.out or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        result = measure(folder.absolute(), arguments.kills, arguments.seed)
    _print(result)
    sys.exit(result["same"] < result["kills"])


def measure(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Kill runs and start them again; count the kills by stage, and how many ended the same."""
    with ProcessPoolExecutor(1, CONTEXT) as pool:  # nothing else needs torch in this process
        base = pool.submit(tiny_model, folder / "base").result()
    finish(folder, ["prepare", str(_first_pairs(folder)), "--out", str(folder / "data"), "--overwrite"])
    started = time.perf_counter()
    finish(folder, command(folder, base, "undisturbed"))
    seconds = time.perf_counter() - started
    wanted = outcome(folder / "undisturbed")
    instants = seconds * (np.arange(kills) + np.random.default_rng(seed).random(kills)) / kills
    stages, same, differ = Counter[str](), Counter[str](), []
    for number, instant in enumerate(instants):
        name = f"killed-{number}"
        stage = killed(folder, base, name, float(instant))
        exit_code = start(folder, command(folder, base, name)).exitcode
        equal = exit_code == 0 and outcome(folder / name) == wanted
        stages[stage] += 1
        same[stage] += equal
        if not equal:
            differ.append({"kill": number, "instant": round(float(instant), 3), "stage": stage, "exit": exit_code})
    return {
        "kills": kills,
        "same": sum(same.values()),
        "seconds_undisturbed": round(seconds, 2),
        "stages": {stage: {"kills": count, "same": same[stage]} for stage, count in stages.items()},
        "differ": differ,
        "weights_sha256": wanted["weights"],
    }


def killed(folder: Path, base: Path, name: str, instant: float) -> str:
    """Start a run and kill it ``instant`` seconds later; returns the stage that it had reached.

    The machine's speed varies: a run that ends before its kill is started again and killed earlier.
    """
    while (process := start(folder, command(folder, base, name), instant)).exitcode is not None:
        shutil.rmtree(folder / name)
        instant *= 0.9
    process.kill()
    process.join()
    return stage_of(folder / name)


def stage_of(place: Path) -> str:
    """The stage that a killed run had reached."""
    if (place / "model").exists():
        return "registering"
    left = place / ".model.run"
    return next((stage for files, stage in STAGES.items() if any(left.glob(files))), "starting")


def start(folder: Path, arguments: list[str], seconds: float | None = None) -> BaseProcess:
    """Run ``domain-router`` in a separate process; returns when it has ended, or after ``seconds``."""
    process = CONTEXT.Process(target=run, args=(folder, arguments))
    process.start()
    process.join(seconds)
    return process


def finish(folder: Path, arguments: list[str]) -> None:
    """Run ``domain-router`` to its end, and exit if it fails."""
    if start(folder, arguments).exitcode:
        sys.exit(f"{' '.join(arguments)} failed: {(folder / LOG).read_text(encoding='utf-8')[-2000:]}")


def command(folder: Path, base: Path, name: str) -> list[str]:
    """The arguments of ``domain-router``."""
    place = folder / name
    named = ("--domain", "legal", "--base-model", str(base), "--device", "cpu")
    written = ("--out", str(place / "model"), "--register", "--registry", str(place / "registry"))
    return ["train", str(folder / "data"), *named, *written, *OPTIONS]


def run(folder: Path, arguments: list[str]) -> None:
    """Run the command line with its output in a file."""
    import torch

    from router_plugin.cli import main as domain_router
    from training.runs import checkpoints

    log = os.open(folder / LOG, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    torch.set_num_threads(1)
    checkpoints.INTERVAL = 0.0
    sys.argv = ["domain-router", *arguments]
    domain_router()


def outcome(place: Path) -> dict[str, Any]:
    """What must be equal: the report except for times, the digest of the weights, and what is registered."""
    report = json.loads((place / "model" / "report.json").read_text(encoding="utf-8"))
    versions = Registry(str(place / "registry")).versions()
    return {
        "report": timeless(report),
        "weights": sha256_of(place / "model" / "model.safetensors"),
        "registered": [version.name for version in versions],
        "left": sorted(path.name for path in place.iterdir()),
    }


def timeless(value: Any) -> Any:
    """A report without what differs from run to run."""
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name not in TIMES}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def tiny_model(folder: Path) -> Path:
    """A BERT of one layer and 32 dimensions with random weights and MiniLM's tokenizer."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(str(resolve_base_model().path))
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **sizes)
    BertModel(config).save_pretrained(str(folder / "bert"))
    tokenizer.save_pretrained(str(folder / "bert"))
    transformer = Transformer(str(folder / "bert"), max_seq_length=64)
    model = SentenceTransformer(modules=[transformer, Pooling(32, "mean"), Normalize()], device="cpu")
    model.save_pretrained(str(folder / "model"))
    return folder / "model"


def _first_pairs(folder: Path) -> Path:
    lines = PAIRS.read_text(encoding="utf-8").splitlines()[:60]
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _print(result: dict[str, Any]) -> None:
    table = Table("killed while", "kills", "ended the same", title=f"{result['kills']} kills")
    for stage, found in result["stages"].items():
        table.add_row(stage, str(found["kills"]), str(found["same"]))
    Console().print(table)
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""Compares fine-tuning on the CPU with the trainer of sentence-transformers: same texts, same loss, same steps.

    python benchmarks/training_throughput.py --data ../shared/data --steps 12 --rounds 3

Our trainer runs as it is, which is in bfloat16 on processors that multiply it, and in float32. Each training runs in a
process of its own, in turn, so that peak memory can be compared, too. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from datasets import Dataset
from samples import spread
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from registry import resolve_base_model
from training import Contrastive, read_pairs
from training.mining.examples import Examples
from training.recipes import finetune as finetuning
from training.retrieval.encoding import load_model

OURS, FLOAT32, THEIRS = "domain-router", "domain-router-float32", "sentence-transformers"
TRAINERS = (OURS, FLOAT32, THEIRS)


def main() -> None:
    """Train in turn, print seconds and memory of each, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=TRAINERS, help="train once with this one, and print its figures")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments.data, arguments.steps, arguments.batch_size)))
        return
    found: dict[str, list[dict[str, float]]] = {name: [] for name in TRAINERS}
    for number in range(arguments.rounds):
        for name in TRAINERS if number % 2 == 0 else TRAINERS[::-1]:
            command = [sys.executable, *sys.argv, "--only", name]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[name].append(json.loads(output.splitlines()[-1]))
            print(name, found[name][-1], flush=True)
    ratios = {
        name: [round(theirs["seconds"] / ours["seconds"], 2) for ours, theirs in zip(each, found[THEIRS], strict=True)]
        for name, each in found.items()
        if name != THEIRS
    }
    throughput = {name: statistics.median(each) for name, each in ratios.items()}
    memory = {name: max(each["peak_mb"] for each in found[name]) for name in TRAINERS}
    print(json.dumps({"throughput": throughput, "ratios": ratios, "peak_mb": memory}))


def measure(trainer: str, data: Path, steps: int, batch_size: int) -> dict[str, float]:
    """Seconds of the fine-tuning alone, and the peak memory of this process in MB (10^6 bytes)."""
    columns = _texts(data, steps * batch_size)
    model = load_model(resolve_base_model().path, device="cpu")
    loaded = _peak_mb()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        if trainer != THEIRS:
            examples = Examples(columns, [batch_size] * steps)
            if trainer == FLOAT32:
                finetuning.cpu_multiplies_bfloat16 = lambda: False
            finetuning.finetune(model, examples, Contrastive(batch_size=batch_size), 42, Path(scratch), trainer)
        else:
            _theirs(model, columns, batch_size, scratch)
    return {"seconds": round(time.monotonic() - started, 1), "peak_mb": _peak_mb(), "loaded_mb": loaded}


def _theirs(model: SentenceTransformer, columns: dict[str, list[str]], batch_size: int, scratch: str) -> None:
    SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=scratch,
            num_train_epochs=1,
            per_device_train_batch_size=batch_size,
            learning_rate=5e-5,
            warmup_steps=0.1,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_dict(columns),
        loss=MultipleNegativesRankingLoss(model, scale=20.0),
    ).train()


def _texts(data: Path, count: int) -> dict[str, list[str]]:
    """Questions, their answers, and the answer to another question as negative; texts at full length."""
    pairs = spread(read_pairs(str(data / "medquad.jsonl.gz")), count).pairs
    answers = [pair.answer for pair in pairs]
    return {
        "anchor": [pair.question for pair in pairs],
        "positive": answers,
        "negative": [*answers[count // 2 :], *answers[: count // 2]],
    }


def _peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


if __name__ == "__main__":
    main()

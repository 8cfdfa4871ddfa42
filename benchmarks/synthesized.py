"""Compares training on pairs made from bare documents with training on labelled pairs.

    python benchmarks/synthesized.py --data ../shared/data --out work/synthesized

MedQuAD's pairs are prepared and split as `prepare` does. `labelled` is trained on the training part. `synthesized` uses
only the answers of that part, not its questions: `synthesize` without a language model makes pairs from them. Training
is the same, but synthetic dev queries choose the model. Both are measured on MedQuAD's test queries and on
MedicationQA, which are not used for training or choosing. --pairs takes a number of MedQuAD pairs, spread evenly over
the file. The other options are those of `train`.

A variant that is finished is not trained again, so a killed run can be continued. The last line is one JSON object:
MRR@5 of the base model and the variants on both sets, and the fraction of the labelled gain that is reached.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from rich.console import Console
from rich.table import Table
from samples import spread

from registry import resolve_base_model
from training import Contrastive, PreparedData, PrepareOptions, TrainingJob, adapt, prepare, read_pairs, read_prepared
from training.reporting.report import TrainingReport
from training.retrieval.metrics import HEADLINE
from training.sources.pairs import Pairs
from training.synthesis.documents import Document
from training.synthesis.extraction import extract_pairs
from training.synthesis.outlines import Section
from training.synthesis.output import counts_by_kind, write_pairs
from training.synthesis.passages import cut_passages

MEASURE = HEADLINE[0]
SETS = ("medquad", "medicationqa")
UNCUT = 1_000_000


def main() -> None:
    """Prepare, synthesize, train both, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, required=True, help="working folder")
    parser.add_argument("--pairs", type=int, default=None, help="number of MedQuAD pairs; by default all")
    parser.add_argument("--iterations", type=int, default=None, help="by default the recipe's")
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    labelled, others = _labelled(arguments)
    synthesized = _synthesized(labelled, arguments)
    found = {
        "synthesized": _measure(_train("synthesized", synthesized, {"medquad": labelled, **others}, arguments)),
        "labelled": _measure(_train("labelled", labelled, others, arguments)),
    }
    result = {"pairs": labelled.manifest["counts"]["pairs"], "synthetic": synthesized.manifest["counts"]["pairs"]}
    result |= {name: _compare(name, found) for name in SETS}
    _print(result)
    print(json.dumps(result))


def _labelled(arguments: argparse.Namespace) -> tuple[PreparedData, dict[str, PreparedData]]:
    folder = arguments.out / "data"
    if not (folder / "medquad").exists():
        prepare(spread(read_pairs(str(arguments.data / "medquad.jsonl.gz")), arguments.pairs), folder / "medquad")
    if not (folder / "medicationqa").exists():
        pairs: Pairs = read_pairs(str(arguments.data / "medicationqa.jsonl.gz"))
        prepare(pairs, folder / "medicationqa", PrepareOptions(split="test", chunk_characters=UNCUT))
    return read_prepared(folder / "medquad"), {"medicationqa": read_prepared(folder / "medicationqa")}


def _synthesized(labelled: PreparedData, arguments: argparse.Namespace) -> PreparedData:
    """Prepare pairs made from the chunks that answer a training question and no held-out one."""
    folder, file = arguments.out / "data" / "synthesized", arguments.out / "data" / "synthesized.jsonl"
    if not folder.exists():
        held_out = {name for part in ("dev", "test") for names in labelled.qrels[part].values() for name in names}
        known = dict.fromkeys(name for names in labelled.qrels["train"].values() for name in names)
        documents = [
            Document(name, "", (Section("", labelled.corpus[name]),)) for name in known if name not in held_out
        ]
        pairs = extract_pairs(cut_passages(documents), arguments.seed)
        print(f"{len(documents)} chunks, pairs: {counts_by_kind(pairs)}")
        write_pairs(pairs, file)
        prepare(read_pairs(str(file)), folder)
    return read_prepared(folder)


def _train(
    name: str, data: PreparedData, also: dict[str, PreparedData], arguments: argparse.Namespace
) -> TrainingReport:
    out = arguments.out / name
    if not out.exists():
        recipe = Contrastive(**({"iterations": arguments.iterations} if arguments.iterations else {}))
        adapt(
            TrainingJob(data, "medical", resolve_base_model(), recipe, seeds=(arguments.seed,), extra_test_sets=also),
            out,
        )
    return TrainingReport.load(out)


def _measure(report: TrainingReport) -> dict[str, dict[str, float]]:
    """Base and adapted metrics on both sets."""
    sets = {"medquad": report.evaluations["test"], **report.extra_test_sets}
    return {name: {"base": sets[name].base[MEASURE], "adapted": sets[name].adapted[MEASURE]} for name in SETS}


def _compare(name: str, found: dict[str, dict[str, dict[str, float]]]) -> dict[str, float | None]:
    base = found["labelled"][name]["base"]
    reached, possible = (found[variant][name]["adapted"] - base for variant in ("synthesized", "labelled"))
    scores = {"base": base, **{variant: found[variant][name]["adapted"] for variant in found}}
    share = reached / possible if possible > 0 else None
    return {key: None if value is None else round(value, 4) for key, value in {**scores, "share": share}.items()}


def _print(result: dict[str, Any]) -> None:
    table = Table(title=f"{MEASURE}; {result['pairs']} labelled pairs, {result['synthetic']} synthetic ones")
    for column in ("test set", *result[SETS[0]]):
        table.add_column(column)
    for name in SETS:
        table.add_row(name, *("" if value is None else f"{value:.4f}" for value in result[name].values()))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()

"""Trains base models of several kinds at their real lengths, end to end, and measures memory and time.

    python benchmarks/base_models.py --data ../shared/data

The models are made from configs and have random weights, since only memory, time and lengths matter here:

- `modernbert`: ModernBERT, 8,192 tokens, local attention in two of three layers, with --layers and --hidden dimensions
- `prompts`: BERT of the shape of all-MiniLM-L6-v2, 512 tokens, with prompts for queries and for passages
- `router`: two such BERTs, one for queries and one for documents

The tokenizer is that of all-MiniLM-L6-v2. Documents are answers of MedQuAD, joined until a model cannot read more. Each
kind runs in a process of its own: `prepare`, `train` with the defaults but few steps, `models add`, and a route.

--step measures a single step of fine-tuning on --documents documents instead, with `modernbert`: --kept-gib is the
memory that activations of a column may take, by default the product's, and --mini-batch that of `train`.

Peak memory is that of the process since it was started. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import torch
from rich.console import Console
from rich.table import Table
from samples import rows_of
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from transformers import AutoTokenizer, BertConfig, BertModel, ModernBertConfig, ModernBertModel, PreTrainedModel

from registry import Registry, resolve_base_model
from router_plugin import DomainRouter
from training import Contrastive, PrepareOptions, TrainingJob, adapt, prepare, publish, read_prepared
from training.mining.examples import Examples
from training.recipes import length_slices
from training.recipes.finetune import finetune
from training.sources.pairs import Pair, Pairs

LENGTHS = {"modernbert": 8192, "prompts": 512, "router": 512}
UNCUT = 1_000_000
PROMPTS = {"query": "query: ", "document": "passage: "}


def main() -> None:
    """Measure each in a fresh process, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--kind", choices=LENGTHS, action="append", help="by default all")
    parser.add_argument("--documents", type=int, default=16)
    parser.add_argument("--layers", type=int, default=3, help="of modernbert; ModernBERT-base has 22")
    parser.add_argument("--hidden", type=int, default=64, help="dimensions of modernbert; ModernBERT-base has 768")
    parser.add_argument("--step", action="store_true", help="measure a single step instead")
    parser.add_argument("--kept-gib", type=float, default=None)
    parser.add_argument("--mini-batch", type=int, default=None)
    arguments = parser.parse_args()
    results = {}
    measure = measure_step if arguments.step else measure_whole
    for kind in ["modernbert"] if arguments.step else arguments.kind or list(LENGTHS):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            results[kind] = process.submit(measure, kind, arguments).result()
    _print(results)


def measure_whole(kind: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The way from pairs to a routed query."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = _build(kind, folder, arguments)
        model.save_pretrained(str(folder / "base"))
        pairs, started = _long_pairs(model, kind, arguments), time.monotonic()
        prepare(Pairs("long", pairs), folder / "data", PrepareOptions(chunk_characters=UNCUT, test_size=0.2))
        before = _peak_mib()
        job = TrainingJob(
            read_prepared(folder / "data"),
            "long",
            resolve_base_model(str(folder / "base")),
            Contrastive(iterations=1, min_steps=1, max_epochs=1),
            device="cpu",
        )
        report = adapt(job, folder / "model")
        seconds = time.monotonic() - started
        store = Registry.open(str(folder / "registry"))
        publish(folder / "model", store, force=True)
        (folder / "routes.yaml").write_text("routes:\n- name: long\n  domain: long\n  utterances: [what helps]\n")
        decision = DomainRouter(folder / "routes.yaml", store).route(pairs[0].question)
        trained = report.iterations[1]
        return {
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "tokens_read": max(_tokens(model, [pair.answer])[0] for pair in pairs),
            "max_length": report.max_length,
            "dev_before": report.iterations[0].dev["ndcg@10"],
            "dev_after": trained.dev["ndcg@10"],
            "steps": trained.steps,
            "routed_to": decision.domain,
            "seconds": round(seconds),
            "mib_before": before,
            "peak_mib": _peak_mib(),
        }


def measure_step(kind: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One step on documents that fill the model."""
    if arguments.kept_gib is not None:
        length_slices.KEPT_BYTES = int(arguments.kept_gib * (1 << 30))
    with tempfile.TemporaryDirectory() as scratch:
        model = _build(kind, Path(scratch), arguments)
        pairs = _long_pairs(model, kind, arguments)
        columns = {"anchor": [pair.question for pair in pairs], "positive": [pair.answer for pair in pairs]}
        recipe = Contrastive(batch_size=len(pairs), mini_batch=arguments.mini_batch)
        tokens, before, started = _tokens(model, columns["positive"]), _peak_mib(), time.monotonic()
        done = finetune(model, Examples(columns), recipe, 1, Path(scratch), kind)
        return {
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "tokens_read": max(tokens),
            "documents": len(pairs),
            "kept_gib": length_slices.KEPT_BYTES / (1 << 30),
            "mini_batch": arguments.mini_batch,
            "steps": done["steps"],
            "seconds": round(time.monotonic() - started),
            "mib_before": before,
            "peak_mib": _peak_mib(),
        }


def _build(kind: str, folder: Path, arguments: argparse.Namespace) -> SentenceTransformer:
    torch.manual_seed(0)
    if kind == "modernbert":
        modules = [_modern_bert(folder, arguments), Pooling(arguments.hidden, "mean"), Normalize()]
        return SentenceTransformer(modules=modules, device="cpu")
    if kind == "prompts":
        modules = [_bert(folder / "both"), Pooling(384, "mean"), Normalize()]
        return SentenceTransformer(modules=modules, device="cpu", prompts=PROMPTS)
    branches = [[_bert(folder / name), Pooling(384, "mean")] for name in ("query", "document")]
    return SentenceTransformer(modules=[Router.for_query_document(*branches), Normalize()], device="cpu")


def _modern_bert(folder: Path, arguments: argparse.Namespace) -> Transformer:
    tokenizer = AutoTokenizer.from_pretrained(str(resolve_base_model().path))
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=arguments.layers,
        hidden_size=arguments.hidden,
        num_attention_heads=arguments.hidden // 64,
        intermediate_size=arguments.hidden * 3 // 2,
        max_position_embeddings=LENGTHS["modernbert"],
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id,
        cls_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        sep_token_id=tokenizer.sep_token_id,
    )
    return _transformer(ModernBertModel(config), folder, LENGTHS["modernbert"])


def _bert(folder: Path) -> Transformer:
    shape = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    return _transformer(BertModel(BertConfig(vocab_size=30522, **shape)), folder, LENGTHS["prompts"])


def _transformer(model: PreTrainedModel, folder: Path, length: int) -> Transformer:
    model.save_pretrained(str(folder / "transformer"))
    AutoTokenizer.from_pretrained(str(resolve_base_model().path)).save_pretrained(str(folder / "transformer"))
    return Transformer(str(folder / "transformer"), max_seq_length=length)


def _long_pairs(model: SentenceTransformer, kind: str, arguments: argparse.Namespace) -> list[Pair]:
    """Questions, each with its answer and those that follow it, as many as the model needs to be full."""
    tokenizer = AutoTokenizer.from_pretrained(str(resolve_base_model().path))
    pairs: list[Pair] = []
    question, answers, tokens = "", list[str](), 0
    for row in rows_of(arguments.data / "medquad.jsonl.gz"):
        question = question or row["question"]
        answers.append(" ".join(row["answer"].split()))
        tokens += len(tokenizer.tokenize(answers[-1]))
        if tokens >= LENGTHS[kind]:
            pairs.append(Pair(question, " ".join(answers)))
            question, answers, tokens = "", [], 0
        if len(pairs) == arguments.documents:
            break
    return pairs


def _tokens(model: SentenceTransformer, texts: list[str]) -> list[int]:
    """What the model reads of documents."""
    read = model.preprocess(texts, task="document", prompt=model.prompts.get("document"))
    return [int(count) for count in read["attention_mask"].sum(dim=1)]


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _print(results: dict[str, dict[str, Any]]) -> None:
    table = Table(title="base models")
    for column in ("", *next(iter(results.values()))):
        table.add_column(column.replace("_", " "), justify="right")
    for kind, found in results.items():
        table.add_row(kind, *(f"{value:.4f}" if isinstance(value, float) else str(value) for value in found.values()))
    Console(width=160).print(table)
    print(json.dumps(results))


if __name__ == "__main__":
    main()

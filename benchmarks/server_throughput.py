"""Measures the HTTP server's embeddings against the bare encoder and against another server.

    python benchmarks/server_throughput.py --data ../shared/data --other ~/infinity/bin/infinity_emb

1, 16 and 64 clients ask `/v1/embeddings` for one text each, again and again, over connections that stay open; every
text of CLINC150 and BANKING77 is asked once. `encoder` is the same model on the same runtime in a process of its own,
which encodes the same texts in batches of 64, and one by one for the time of a pass. Every server answers its batches
in one thread, so that the other processor is left for HTTP and for the clients. The other server, which is optional, is
infinity-emb (`pip install 'infinity-emb[torch,server]'` in an environment of its own) with its torch engine, on the
same files of all-MiniLM-L6-v2.

All take turns, --rounds times; ratios are medians over the rounds. `texts_per_s` counts answered texts, `p50_ms` is the
median of a request. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ["OMP_NUM_THREADS"] = "1"

from http_load import Client, own_command, started
from rich.console import Console
from rich.table import Table

from registry import Registry, resolve_base_model

CLIENTS = (1, 16, 64)
BATCH = 64
PORT, OTHER_PORT = 8790, 8791


class Load(NamedTuple):
    """What was measured of one alternative in one round."""

    texts_per_s: float
    p50_ms: float


class Alternative(NamedTuple):
    """A server that is asked."""

    port: int
    path: str
    model: str


def main() -> None:
    """Start, ask in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--backend", default="onnx-int8", help="runtime of the encoder and the server")
    parser.add_argument("--other", type=Path, help="the command infinity_emb; by default no other server is measured")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--texts", type=int, default=600, help="texts that an alternative is asked in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--encoder", nargs=2, metavar=("BACKEND", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.encoder:
        _serve_encoder(*arguments.encoder)
        return
    texts = texts_of(arguments.data)
    found: dict[int, dict[str, list[Load]]] = {clients: {} for clients in arguments.clients}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = {"domain-router": stack.enter_context(_own(folder, arguments.backend))}
        if arguments.other:
            servers["infinity"] = stack.enter_context(_other(arguments.other))
        encode = stack.enter_context(_encoder(arguments.backend, folder))
        for _ in range(arguments.rounds):
            for clients in arguments.clients:
                asked = list(itertools.islice(texts, arguments.texts))
                found[clients].setdefault("encoder", []).append(encode(asked, 1 if clients == 1 else BATCH))
                for name, server in servers.items():
                    found[clients].setdefault(name, []).append(asyncio.run(_ask(server, asked, clients)))
    _print(found, arguments.backend)


def texts_of(data: Path) -> Iterator[str]:
    """The texts of two data sets, each once."""
    for name in ("clinc150", "banking77"):
        with gzip.open(data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            yield from dict.fromkeys(json.loads(line)["text"] for line in lines)


@contextmanager
def _own(folder: Path, backend: str) -> Iterator[Alternative]:
    (folder / "routes.yaml").write_text("routes: [{name: any, utterances: [anything]}]", encoding="utf-8")
    Registry(str(folder / "registry")).create()
    served = ["--registry", str(folder / "registry"), "--routes", str(folder / "routes.yaml")]
    command = own_command(*served, "--port", str(PORT), "--backend", backend, "--threads", "1")
    with started(command, PORT, "/health/ready"):
        yield Alternative(PORT, "/v1/embeddings", "general")


@contextmanager
def _other(command: Path) -> Iterator[Alternative]:
    model = ["--model-id", str(resolve_base_model().path), "--served-model-name", "minilm", "--device", "cpu"]
    options = ["v2", *model, "--engine", "torch", "--port", str(OTHER_PORT), "--log-level", "warning"]
    with started([str(command), *options], OTHER_PORT, "/health"):
        yield Alternative(OTHER_PORT, "/embeddings", "minilm")


@contextmanager
def _encoder(backend: str, folder: Path) -> Iterator[object]:
    """A function that measures the encoder in its own process."""
    file = folder / "texts.json"
    command = [sys.executable, __file__, "--data", ".", "--encoder", backend, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()

        def encode(texts: Sequence[str], batch: int) -> Load:
            file.write_text(json.dumps([texts, batch]), encoding="utf-8")
            print(file=process.stdin, flush=True)
            return Load(*json.loads(process.stdout.readline()))

        yield encode
        process.terminate()


def _serve_encoder(backend: str, file: str) -> None:
    """Encode what stands in the file for every line of standard input, and print the figures."""
    from router_plugin import ServedDomains, Settings

    opened = ServedDomains(str(Path(file).with_name("registry")), settings=Settings(backend=backend))
    with opened as domains, domains.encoder("general") as encoder:
        encoder.encode(["warm"])
        print("ready", flush=True)
        for _ in sys.stdin:
            texts, batch = json.loads(Path(file).read_text(encoding="utf-8"))
            spent = []
            started = time.perf_counter()
            for begin in range(0, len(texts), batch):
                begun = time.perf_counter()
                encoder.encode(texts[begin : begin + batch])
                spent.append(time.perf_counter() - begun)
            total = time.perf_counter() - started
            print(json.dumps([len(texts) / total, 1000 * statistics.median(spent)]), flush=True)


async def _ask(server: Alternative, texts: Sequence[str], clients: int) -> Load:
    """Ask for all texts, by this number of clients at the same time."""
    left, spent = iter(texts), list[float]()

    async def ask() -> None:
        client = Client(server.port)
        for text in left:
            answer = await client.post(server.path, {"model": server.model, "input": text})
            if answer.status != 200:
                raise SystemExit(f"{server.path} answered {answer.status}: {answer.body[:200]!r}")
            spent.append(answer.seconds)
        client.close()

    begun = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(clients)))
    return Load(len(texts) / (time.perf_counter() - begun), 1000 * statistics.median(spent))


def _print(found: dict[int, dict[str, list[Load]]], backend: str) -> None:
    table = Table(title=f"/v1/embeddings, {backend}")
    for column in ("clients", "", "texts per s", "against the encoder", "against the other server", "p50 ms"):
        table.add_column(column)
    result: dict[str, dict[str, dict[str, float]]] = {}
    for clients, by_name in found.items():
        for name, loads in by_name.items():
            row = {"texts_per_s": statistics.median(load.texts_per_s for load in loads)}
            row["against_encoder"] = _ratio(loads, by_name["encoder"])
            row["against_other"] = _ratio(loads, by_name["infinity"]) if "infinity" in by_name else float("nan")
            row["p50_ms"] = statistics.median(load.p50_ms for load in loads)
            result.setdefault(str(clients), {})[name] = {key: round(value, 3) for key, value in row.items()}
            table.add_row(str(clients), name, *(f"{value:.2f}" for value in row.values()))
    Console(width=120).print(table)
    print(json.dumps({"backend": backend, **result}))


def _ratio(loads: Sequence[Load], others: Sequence[Load]) -> float:
    """The median over the rounds of how many times as many texts were answered."""
    return statistics.median(one.texts_per_s / other.texts_per_s for one, other in zip(loads, others, strict=True))


if __name__ == "__main__":
    main()

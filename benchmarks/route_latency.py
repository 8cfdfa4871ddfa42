"""Compares the latency of a route with a bare encode of the same model, and with semantic-router.

    OMP_NUM_THREADS=1 python benchmarks/route_latency.py --data ../shared/data

Up to ten domains are those of CLINC150; twenty are their halves. BANKING77's utterances are divided among them. Each
domain is served by a copy of the ready-made medical adapter, merged for the other runtimes, and its classifier profile
is made from its own queries. Three alternatives are timed in turn on every test query: the route, by --strategy; one
`encode` of the same model on the same runtime; and semantic-router's IndexedRouter with the same routes and a
LocalEncoder of the base model, which takes as long as a merged adapter. The cache of query embeddings is off, and no
side finds a query in the tokenizer's cache. With OMP_NUM_THREADS=1, all use one thread.

``cpu`` is the same in processor time, which depends less on what else the machine does.

``match_ms`` is the router's own figure for comparing with the candidates; match_latency.py measures it for very many.

A restart is a new router over the same routes. `ready_s` is its time once the models are loaded, `embedded` the number
of candidates that it embedded. `add_s` and `add_embedded` are the same for one route added to it. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table
from samples import rows_of
from semantic_router import Route as HostRoute
from semantic_router.encoders import LocalEncoder
from semantic_router.routers import IndexedRouter

from registry import Profile, Registry, resolve_base_model
from registry.model_folders.compiled import CompiledModel
from registry.model_folders.exporting import export
from registry.model_folders.tokenizer import Tokens
from registry.model_folders.variants import variant_folder
from registry.shared import home
from router_plugin import Decision, DomainRouter, Route, ServedDomains, Settings
from router_plugin.serving import domain_routes as served_routes
from training import publish
from training.retrieval.encoding import load_model

MODEL = Path(__file__).parents[1] / "models" / "medical"
TORCH = "torch"
WHOLE = 10
"""Up to this number, domains are not divided into halves."""
UTTERANCES = 10
"""Maximum per route."""

KEYS = (
    *("median_ms", "p99_ms", "median_against_encode", "p99_against_encode", "against_semantic_router"),
    *(
        "cpu_ms",
        "cpu_against_encode",
        "cpu_p99_against_encode",
        "match_ms",
        "ready_s",
        "embedded",
        "add_s",
        "add_embedded",
    ),
)

Side = Callable[[str], Any]


def main() -> None:
    """Publish models, time the alternatives in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--domains", type=int, nargs="+", default=[1, 3, 20])
    parser.add_argument("--candidates", type=int, nargs="+", default=[10, 1000, 20_000])
    parser.add_argument("--backend", nargs="+", default=[TORCH, "openvino", "onnx-int8"])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--strategy", choices=("two_stage", "adaptive"), default="two_stage")
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ[home.VARIABLE] = str(Path(scratch) / "home")
        models = _models(Path(scratch), arguments.backend, _texts(arguments.data, 1)[0])
        for number in arguments.domains:
            texts, queries = _texts(arguments.data, number)
            asked = random.Random(0).sample([text for each in queries.values() for text in each], arguments.queries)
            stores = {name: _registry(Path(scratch) / f"{name}-{number}", models[name], texts) for name in models}
            for count in arguments.candidates:
                routes = _routes(texts, count)
                found = _turns(stores, models, routes, asked, arguments.strategy)
                results[f"{number} domains, {count} candidates"] = found
                _print(f"{number} domains, {count} candidates", found)
    print(json.dumps(results))


def _texts(data: Path, number: int) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Training utterances and test queries of ``number`` domains."""
    texts: dict[str, list[str]] = defaultdict(list)
    queries: dict[str, list[str]] = defaultdict(list)
    rows = [row for row in rows_of(data / "clinc150.jsonl.gz") if row["intent"]]
    intents = sorted({row["intent"] for row in rows})
    for row in rows:
        half = f"-{intents.index(row['intent']) % 2}" if number > WHOLE else ""
        name = row["domain"].replace("_", "-") + half
        if row["part"] != "val":
            (texts if row["part"] == "train" else queries)[name].append(row["text"])
    names = sorted(texts)[:number]
    for position, row in enumerate(row for row in rows_of(data / "banking77.jsonl.gz") if row["part"] == "train"):
        texts[names[position % len(names)]].append(row["text"])
    return {name: list(dict.fromkeys(texts[name])) for name in names}, {name: queries[name] for name in names}


def _models(scratch: Path, backends: Sequence[str], texts: dict[str, list[str]]) -> dict[str, Path]:
    """Make a model folder for every backend: the adapter, with its variant."""
    model, found = load_model(MODEL, "cpu"), {}
    for backend in backends:
        found[backend] = scratch / backend
        shutil.copytree(MODEL, found[backend])
        if backend != TORCH:
            variant_folder(found[backend], backend).mkdir(parents=True)
            some = [text for each in texts.values() for text in each[:50]]
            export(model, variant_folder(found[backend], backend), backend, some)  # type: ignore[arg-type]
    return found


def _registry(folder: Path, model: Path, texts: dict[str, list[str]]) -> str:
    """Make a registry of domains with the weights of one model, each with a profile of its own queries."""
    base = resolve_base_model()
    encoder = load_model(base.path, "cpu")
    store = Registry.open(str(folder))
    for name in texts:
        with tempfile.TemporaryDirectory() as copy:
            domain = Path(copy) / name
            shutil.copytree(model, domain)
            report = json.loads((domain / "report.json").read_text(encoding="utf-8"))
            (domain / "report.json").write_text(json.dumps({**report, "domain": name}), encoding="utf-8")

            def encode(queries: Sequence[str]) -> Any:
                return encoder.encode(list(queries), normalize_embeddings=True, show_progress_bar=False)

            Profile.from_queries(texts[name][:1000], encode, base.digest).save(domain)
            publish(domain, store, force=True)
    store.close()
    return str(folder)


def _routes(texts: dict[str, list[str]], count: int) -> list[Route]:
    """Routes of the domains with ``count`` candidates in total, divided evenly."""
    routes = []
    for position, name in enumerate(texts):
        share = count // len(texts) + (position < count % len(texts))
        own = (texts[name] * (1 + share // len(texts[name])))[:share]
        own = [f"{text} {row // len(texts[name]) or ''}".strip() for row, text in enumerate(own)]
        routes += [
            Route(name=f"{name}-{start}", domain=name, utterances=tuple(own[start : start + UTTERANCES]))
            for start in range(0, len(own), UTTERANCES)
        ]
    return routes


def _turns(
    stores: dict[str, str], models: dict[str, Path], routes: list[Route], asked: Sequence[str], strategy: str
) -> dict[str, Any]:
    sides: dict[str, Side] = {}
    restarts = {}
    for name, store in stores.items():
        settings = Settings(strategy=strategy, backend=name, query_cache=0, target_precision=0, threshold=-1)
        domains = ServedDomains(store, settings=settings)
        for domain in domains.names:
            domains.load(domain)
        DomainRouter.over(domains, routes).preload(domains.names)
        restarts[name] = _restart(routes, domains)
        router = DomainRouter.over(domains, routes)
        router.preload(domains.names)
        sides[f"{name} route"] = router.route
        if name == TORCH:
            model = load_model(models[name], "cpu")
            sides[f"{name} encode"] = lambda query, model=model: model.encode(query, normalize_embeddings=True)
        else:
            compiled = CompiledModel(variant_folder(models[name], name))
            sides[f"{name} encode"] = lambda query, compiled=compiled: compiled.encode([query])
    sides["semantic-router"] = _host(routes)
    tokens = [each for each in gc.get_objects() if isinstance(each, Tokens)]
    matched: dict[str, list[float]] = {name: [] for name in stores}
    spent: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    for query in [*asked[:20], *asked]:
        for name, side in sides.items():
            for each in tokens:
                each.read.cache_clear()
            started, used = time.perf_counter(), time.process_time()
            answer = side(query)
            cpu[name].append(1000 * (time.process_time() - used))
            spent[name].append(1000 * (time.perf_counter() - started))
            if isinstance(answer, Decision):
                matched[name.partition(" ")[0]].append(answer.timings_ms["match"])
    times = {name: np.array(found[20:]) for name, found in spent.items()}
    found = {
        name: {"median_ms": round(float(np.median(each)), 3), "p99_ms": round(float(np.percentile(each, 99)), 3)}
        for name, each in times.items()
    }
    for name, each in found.items():
        each |= {"cpu_ms": _percentile(cpu[name], 50), "cpu_p99_ms": _percentile(cpu[name], 99)}
    for name in stores:
        own = found[f"{name} route"]
        own["cpu_against_encode"] = _ratio(own, found[f"{name} encode"], "cpu_ms")
        own["cpu_p99_against_encode"] = _ratio(own, found[f"{name} encode"], "cpu_p99_ms")
        own |= {
            f"{part}_against_encode": _ratio(own, found[f"{name} encode"], f"{part}_ms") for part in ("median", "p99")
        }
        own |= {"against_semantic_router": _ratio(own, found["semantic-router"], "median_ms"), **restarts[name]}
        own["match_ms"] = round(float(np.median(matched[name][20:])), 3)
    return found


def _percentile(times: Sequence[float], percent: float) -> float:
    return round(float(np.percentile(times[20:], percent)), 3)


def _ratio(own: dict[str, float], other: dict[str, float], part: str) -> float:
    return round(own[part] / other[part], 3)


def _host(routes: Sequence[Route]) -> Side:
    router = IndexedRouter(
        LocalEncoder(name=str(resolve_base_model().path), device="cpu"),
        [HostRoute(name=each.name, utterances=list(each.utterances)) for each in routes],
    )
    return router


def _restart(routes: Sequence[Route], domains: ServedDomains) -> dict[str, float]:
    """Seconds and embedded texts of a new router over the same routes, and of one route added to it."""
    found: dict[str, float] = {}
    with _counted() as embedded:
        started = time.perf_counter()
        router = DomainRouter.over(domains, routes)
        router.preload(domains.names)
        found |= {"ready_s": round(time.perf_counter() - started, 3), "embedded": embedded.total()}
        embedded.clear()
        started = time.perf_counter()
        router.add_routes(
            [Route(name="new", domain=routes[0].domain, utterances=(f"none of the {len(routes)} routes",))]
        )
        router.preload(domains.names)
        found |= {"add_s": round(time.perf_counter() - started, 3), "add_embedded": embedded.total()}
    return found


@contextmanager
def _counted() -> Iterator[Counter[str]]:
    """Count the texts that are embedded as candidates in the block."""
    embedded: Counter[str] = Counter()
    kept = served_routes.embed_cached

    def counting(texts: Sequence[str], encoder: Any, version: str) -> Any:
        return kept(texts, _Counting(encoder, embedded), version)

    with mock.patch.object(served_routes, "embed_cached", counting):
        yield embedded


class _Counting:
    """An encoder that counts the texts it embeds."""

    def __init__(self, encoder: Any, embedded: Counter[str]) -> None:
        self.runtime, self.nbytes = encoder.runtime, encoder.nbytes
        self.truncates, self.key = encoder.truncates, encoder.key
        self._encoder, self._embedded = encoder, embedded

    def encode(self, texts: Sequence[str]) -> Any:
        self._embedded.update(texts)
        return self._encoder.encode(texts)


def _print(title: str, found: dict[str, Any]) -> None:
    table = Table(title=title)
    table.add_column("side")
    for key in KEYS:
        table.add_column(key.replace("_", " "))
    for name, each in found.items():
        table.add_row(name, *(str(each.get(key, "")) for key in KEYS))
    Console(width=190).print(table)


if __name__ == "__main__":
    main()

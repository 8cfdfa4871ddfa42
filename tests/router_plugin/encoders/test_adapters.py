"""Adapters served: trained, registered, routed with, and ready-made domains added by name."""

import json
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hatchling.builders.wheel import WheelBuilder
from safetensors.numpy import load_file, save_file

from registry import BaseModelError, Profile, Registry, RegistryError
from registry.storage.file_lists import digest_of
from router_plugin import DomainRouter, Route, Settings
from router_plugin.encoders.torch_encoder import TorchEncoder
from tests.conftest import EXAMPLES, ROOT
from training import TrainingError, prepare, publish, read_pairs


def question(domain, number=0):
    """One that the domain was trained on, so that the classifier is sure of it."""
    lines = (EXAMPLES / "data" / f"{domain}.jsonl").read_text(encoding="utf-8").splitlines()
    return str(json.loads(lines[number])["question"])


ROUTES = [Route(name="symptoms", domain="medical", utterances=(question("medical"),))]
ANY_CONFIDENCE = Settings(min_confidence=0, target_precision=0, device="cpu")
FEW = ("--iterations", 1, "--min-steps", 3, "--learning-rate", 0.01, "--mix-ratio", 0, "--device", "cpu")


@pytest.fixture
def ready(tiny_adapter, monkeypatch):
    """The tiny adapter as the one ready-made domain."""
    monkeypatch.setattr("training.ready_made.HOMES", (tiny_adapter.parent,))
    return tiny_adapter


def router_of(folder, path, base_model=None):
    store = Registry.open(str(path))
    publish(folder, store, force=True)
    return DomainRouter(ROUTES, store, base_model=base_model, settings=ANY_CONFIDENCE)


@pytest.mark.slow
def test_an_adapter_is_trained_registered_and_routed_with(cli, tiny_base, tiny_adapter, tmp_path):
    prepare(read_pairs(str(EXAMPLES / "data" / "finance.jsonl")), tmp_path / "data")
    registry = ("--registry", tmp_path / "registry")
    status, _, err = cli(
        *("train", tmp_path / "data", "--domain", "finance", "--out", tmp_path / "model", "--lora", 4, *FEW),
        *("--base-model", tiny_base.path, "--register", "--force", *registry),
    )
    assert status == 0, err
    assert cli("models", "add", tiny_adapter, "--force", *registry)[0] == 0
    assert cli("models", "verify", *registry)[0] == 0
    routes = EXAMPLES / "routes.yaml"
    for domain in ("finance", "medical"):
        query, version = question(domain), f"{domain}@1"
        status, out, err = cli("route", query, "--routes", routes, *registry, "--min-confidence", 0, "--json")
        decision = json.loads(out)
        assert (status, decision["model_version"]) == (0, version), err
        assert decision["score"] is not None


def test_an_adapter_is_served_with_its_own_vectors(tiny_adapter, tiny_base, tmp_path):
    model = shutil.copytree(tiny_adapter, tmp_path / "model")
    weights, draw = model / "adapter_model.safetensors", np.random.default_rng(0)
    random = {name: draw.normal(size=old.shape).astype(np.float16) for name, old in load_file(weights).items()}
    save_file(random, weights)
    router = router_of(model, tmp_path / "registry")
    query, (near,) = "please help me with " + question("medical"), ROUTES[0].utterances
    vectors = {folder: TorchEncoder(folder, "cpu").encode([query, near]) for folder in (model, tiny_base.path)}
    own, other = (float(one @ two) for one, two in vectors.values())
    assert abs(own - other) > 1e-3
    assert router.scores([query])[0]["symptoms"] == pytest.approx(own, abs=1e-5)


def test_a_base_model_that_was_moved_is_given_by_name_for_adapters_too(tiny_adapter, tiny_base, tmp_path):
    model = shutil.copytree(tiny_adapter, tmp_path / "model")
    for name in ("base_model.json", "report.json"):
        text = (model / name).read_text(encoding="utf-8").replace(str(tiny_base.path), str(tmp_path / "gone"))
        (model / name).write_text(text, encoding="utf-8")
    router = router_of(model, tmp_path / "registry", str(tiny_base.path))
    assert router.scores([question("medical")])[0]["symptoms"] == pytest.approx(1, abs=1e-5)


def test_a_query_that_needs_an_adapter_without_its_base_model_says_so(tiny_adapter, tiny_base, real_base, tmp_path):
    model = shutil.copytree(tiny_adapter, tmp_path / "model")
    for name in ("base_model.json", "report.json"):
        text = (model / name).read_text(encoding="utf-8").replace(str(tiny_base.path), str(real_base.path))
        (model / name).write_text(text, encoding="utf-8")
    router = router_of(model, tmp_path / "registry")
    with pytest.raises(BaseModelError, match=f"{tiny_base.digest}.*{real_base.digest}"):
        router.route(question("medical"))


def test_a_ready_made_domain_is_added_by_name_once(cli, ready, tmp_path):
    registry = ("--registry", tmp_path / "registry")
    status, out, _ = cli("models", "add", "medical", "--force", *registry)
    assert (status, out) == (0, "registered as medical@1\n")
    status, out, _ = cli("models", "add", "medical", *registry)
    assert status == 0 and out.startswith("medical@1 has exactly these files already: nothing added")
    status, out, _ = cli("models", "add", "medical", *registry, "--json")
    assert (status, json.loads(out)["name"], json.loads(out)["added"]) == (0, "medical@1", False)
    assert len(json.loads(cli("models", "list", *registry, "--json")[1])) == 1


def test_an_unknown_ready_made_domain_lists_those_there_are(cli, ready, tmp_path):
    status, out, err = cli("models", "add", "astrology", "--registry", tmp_path / "registry")
    assert (status, out) == (2, "")
    assert err.startswith("error: astrology is neither") and err.rstrip().endswith("those are medical")


def test_a_folder_of_the_name_of_a_ready_made_domain_is_given_as_a_path(cli, ready, tiny_models, tmp_path, monkeypatch):
    shutil.copytree(tiny_models["medical"], tmp_path / "medical")
    monkeypatch.chdir(tmp_path)
    for name, lora in (("medical", 2), ("./medical", None)):
        version = json.loads(cli("models", "add", name, "--force", "--registry", tmp_path / "registry", "--json")[1])
        store = Registry.open(str(tmp_path / "registry"))
        assert store.get(version["name"]).options["lora"] == lora


def test_a_folder_whose_parts_do_not_belong_together_is_not_registered(tiny_adapter, tmp_path):
    store = Registry.open(str(tmp_path / "registry"))
    model = shutil.copytree(tiny_adapter, tmp_path / "model")
    text = (model / "base_model.json").read_text(encoding="utf-8")
    (model / "base_model.json").write_text(
        text.replace('"weights_sha256": "', '"weights_sha256": "0'), encoding="utf-8"
    )
    with pytest.raises(TrainingError, match="another base model"):
        publish(model, store, force=True)
    (model / "base_model.json").write_text(text, encoding="utf-8")
    (model / "classifier_profile.safetensors").write_bytes(b"damaged")
    with pytest.raises(RegistryError, match="classifier_profile"):
        publish(model, store, force=True)
    assert store.versions() == []


@pytest.mark.slow
def test_the_quickstart_takes_the_ready_made_domain_and_trains_the_other(cli, ready, tiny_models, tmp_path):
    shutil.copytree(tiny_models["finance"].with_name("finance-data"), tmp_path / "finance")
    shutil.copytree(tiny_models["finance"], tmp_path / "finance-model")
    quickstart = ("quickstart", "--folder", tmp_path, "--examples", EXAMPLES)
    for _ in range(2):
        status, out, err = cli(*quickstart, "--json")
        assert status == 0, err
        report = json.loads((ready / "report.json").read_text(encoding="utf-8"))
        summary = json.loads(out)
        assert summary["metrics"].keys() == {"medical", "finance"}
        assert summary["metrics"]["medical"]["adapted"] == report["adapted_metrics"]["test"]
        assert len(summary["decisions"]) == len((EXAMPLES / "queries.txt").read_text(encoding="utf-8").splitlines())
    store = Registry.open(str(tmp_path / "registry"))
    assert [version.name for version in store.versions()] == ["finance@1", "medical@1"]
    assert not (tmp_path / "medical-model").exists()
    status, out, _ = cli(*quickstart)
    assert status == 0 and "ready-made domain medical" in out and "medical: " in out


INSTALLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from training.mining.bundled_questions import bundled_questions
from training.ready_made import ready_made_domains
for name, folder in ready_made_domains().items():
    print(name, folder)
print(*bundled_questions(Path("no base model"), 1))
"""


def test_an_installed_wheel_has_the_ready_made_domains_and_the_bundled_questions(tiny_adapter, tmp_path):
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in ("training", "registry", "router_plugin"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(tiny_adapter, source / "models" / "medical")
    shutil.copytree(ROOT / "examples" / "data", source / "examples" / "data")
    (wheel,) = WheelBuilder(str(source)).build(directory=str(tmp_path / "dist"), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    command = [sys.executable, "-c", INSTALLED, str(site)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    found = site / "training" / "models" / "medical"
    assert done.stdout == f"medical {found}\nbundled-finance bundled-legal bundled-medical\n", done.stderr
    assert digest_of(found) == digest_of(tiny_adapter)
    for suffix in ("html", "md", "pyi", "txt"):
        for path in source.glob(f"*/**/*.{suffix}"):
            if path.parent.parent.name != "models":
                assert (site / path.relative_to(source)).is_file(), f"{path} is not in the wheel"


def test_every_ready_made_domain_of_the_repository_can_be_registered_and_is_on_its_page():
    from registry.model_folders.adapter_files import base_of
    from registry.model_folders.base_models import DEFAULT_SHA256
    from training.ready_made import ready_made_domains
    from training.reporting.report import TrainingReport

    assert "medical" in ready_made_domains()
    for name, folder in ready_made_domains().items():
        record = TrainingReport.load(folder)
        assert record.improved and record.domain == name
        assert base_of(folder) == record.base_model
        assert record.base_model.weights_sha256 == DEFAULT_SHA256
        assert Profile.load(folder).base == DEFAULT_SHA256
        assert f"| `{name}` |" in (ROOT / "docs" / "ready-made.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("domain", ["medical", "finance", "legal"])
def test_the_ready_made_models_of_three_fields_take_at_most_2_mb_each(domain):
    files = [path for path in (ROOT / "models" / domain).rglob("*") if path.is_file()]
    assert len(files) > 5
    assert sum(path.stat().st_size for path in files) <= 2_000_000

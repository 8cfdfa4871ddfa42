"""Variants for other runtimes: the same vectors, measured on dev, refused if they rank worse, kept by digest."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from registry.errors import VariantError
from registry.model_folders.compiled import CompiledModel
from registry.model_folders.exporting import export
from registry.model_folders.variants import GRAPHS, RECORD, read_variant, stored_variants, variant_folder
from tests.training.sources import samples as kinds
from training import TrainingJob, adapt, publish, read_prepared
from training.errors import TrainingError
from training.recipes.recipes import Contrastive
from training.retrieval.encoding import load_model
from training.variants import add_variants

pytestmark = pytest.mark.slow

TEXTS = [
    "May my landlord keep it?",
    "",
    "I was dismissed while I was ill, and nobody told me why. " * 30,
    "ÜBER straße 你好",
]


@pytest.fixture(params=["whole", "adapter"])
def model(request, tiny_models, tiny_adapter, tmp_path):
    """A copy of a trained model folder."""
    folder = tiny_models["medical"] if request.param == "whole" else tiny_adapter
    return shutil.copytree(folder, tmp_path / "model")


@pytest.fixture
def data(tiny_models):
    return read_prepared(tiny_models["medical"].with_name("medical-data"))


@pytest.mark.parametrize("backend", ["openvino", "onnx"])
def test_a_variant_in_full_precision_has_the_models_vectors(model, data, tiny_base, backend):
    (record,) = add_variants(model, data, [backend], base=tiny_base)
    assert stored_variants(model) == [backend]
    assert record.dev["mrr@5"] == pytest.approx(record.dev_model["mrr@5"], abs=0.005)
    loaded, variant = load_model(model, "cpu", base=tiny_base), CompiledModel(variant_folder(model, backend))
    for kind, encode in (("query", loaded.encode_query), ("document", loaded.encode_document)):
        wanted = encode(TEXTS, normalize_embeddings=True)
        np.testing.assert_allclose(variant.encode(TEXTS, kind, 3), wanted, atol=2e-3)
    assert [variant.truncates(text) for text in TEXTS] == [False, False, True, False]


@pytest.mark.parametrize("backend", ["openvino-int8", "onnx-int8"])
def test_a_variant_in_int8_is_measured(tiny_models, data, tmp_path, backend):
    model = shutil.copytree(tiny_models["medical"], tmp_path / "model")
    (record,) = add_variants(model, data, [backend])
    short = record.dev_model["mrr@5"] - record.dev["mrr@5"] > 0.005
    assert stored_variants(model) == ([] if short else [backend])
    assert not list(tmp_path.glob(".model-*"))


def test_a_variant_that_ranks_worse_is_refused(tiny_models, data, tmp_path, monkeypatch):
    model = shutil.copytree(tiny_models["medical"], tmp_path / "model")
    report = (model / "report.json").read_text()
    good = read_record_dev(model)
    (model / "report.json").write_text(report.replace(f'"mrr@5": {good}', f'"mrr@5": {good + 0.01}'))
    (record,) = add_variants(model, data, ["openvino"])
    assert record.dev_model["mrr@5"] - record.dev["mrr@5"] > 0.005
    assert stored_variants(model) == []


def read_record_dev(model):
    from training.reporting.report import TrainingReport

    return TrainingReport.load(model).adapted_metrics["dev"]["mrr@5"]


def test_only_a_measured_variant_is_published(tiny_models, data, tmp_path, registry):
    model = shutil.copytree(tiny_models["medical"], tmp_path / "model")
    add_variants(model, data, ["openvino"])
    version = publish(model, registry, force=True)
    assert {f"variants/openvino/{name}" for name in ("variant.json", "tokenizer.json", "model.xml", "model.bin")} <= {
        file.path for file in version.files
    }
    assert stored_variants(registry.fetch(version)) == ["openvino"]
    folder = variant_folder(model, "openvino")
    unmeasured = read_variant(folder).model_copy(update={"dev": {}})
    (folder / RECORD).write_text(unmeasured.model_dump_json())
    report = (model / "report.json").read_text()
    (model / "report.json").write_text(report.replace('"improved": false', '"improved": true'))
    with pytest.raises(TrainingError, match="variant for openvino was not measured"):
        publish(model, registry)


def test_variants_are_measured_on_the_models_own_data(tiny_models):
    other = read_prepared(tiny_models["legal"].with_name("legal-data"))
    with pytest.raises(TrainingError, match="trained on other data"):
        add_variants(tiny_models["medical"], other, ["openvino"])


@pytest.mark.parametrize(
    ("kind", "backend"),
    [
        *((kind, "openvino") for kind in ("cls", "long", "prompts", "half")),
        pytest.param("long", "onnx", marks=pytest.mark.slow),
    ],
)
def test_models_of_many_kinds_can_be_exported(kind, backend, tmp_path):
    torch.manual_seed(0)
    model = getattr(kinds, kind)(tmp_path / "parts").float()
    model.prompts["document"] = model.prompts.get("passage", "")
    (tmp_path / "variant").mkdir()
    export(model, tmp_path / "variant", backend)
    variant = CompiledModel(tmp_path / "variant")
    np.testing.assert_allclose(variant.encode(TEXTS), model.encode_query(TEXTS, normalize_embeddings=True), atol=5e-3)


def test_a_model_that_cannot_be_exported_is_an_error(tmp_path):
    with pytest.raises(VariantError, match="cannot be exported"):
        export(kinds.static_queries(tmp_path / "parts"), tmp_path, "openvino")


@pytest.fixture(scope="module", params=["openvino", "onnx"])
def exported(request, tiny_base, tmp_path_factory):
    """A backend and a variant for it. Tests change copies."""
    folder = tmp_path_factory.mktemp("exported")
    export(load_model(tiny_base.path, "cpu"), folder, request.param)
    return request.param, folder


@pytest.mark.parametrize("file", ["graph", RECORD, "tokenizer.json"])
def test_a_damaged_variant_is_an_error(exported, tmp_path, file):
    backend, folder = exported
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    path = damaged / (GRAPHS[backend] if file == "graph" else file)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(VariantError, match=f"{damaged}.*(cannot be run|is not what)"):
        CompiledModel(damaged)


def test_training_can_encode_with_another_runtime(tiny_base, data, tmp_path):
    recipe = Contrastive(iterations=1, min_steps=3, mix_ratio=0)
    reports = [
        adapt(
            TrainingJob(data, "medical", tiny_base, recipe, encode_with=backend, device="cpu"), tmp_path / str(backend)
        )
        for backend in (None, "openvino")
    ]
    assert [report.encoded_with for report in reports] == ["torch", "openvino"]
    for split in ("dev", "test"):
        torch_metrics, other = (report.base_metrics[split] for report in reports)
        assert other == pytest.approx(torch_metrics, abs=0.03)

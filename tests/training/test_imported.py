"""A model of others is registered with what it and the base model measured on the same queries."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry import BaseModelFiles, Profile, Registry, resolve_base_model
from registry.model_folders.loading import load_sentence_transformer
from training import TrainingError, import_model, read_prepared


@pytest.fixture
def store(tmp_path: Path) -> Registry:
    return Registry.open(tmp_path / "registry")


@pytest.mark.slow
def test_any_sentence_transformer_is_measured_and_registered(
    tiny_models: dict[str, Path], tiny_base: BaseModelFiles, store: Registry
) -> None:
    data = read_prepared(tiny_models["medical"].with_name("medical-data"))
    model = resolve_base_model(str(tiny_models["medical"]))
    version = import_model(model, "medical", data, tiny_base, store, device="cpu", force=True)
    trained = resolve_base_model(str(tiny_models["medical"])).record()
    assert (version.name, version.recipe) == ("medical@1", "imported")
    assert version.options["weights_sha256"] == trained.weights_sha256
    assert version.base_model == tiny_base.record() and version.dataset.fingerprint == data.fingerprint
    from training.reporting.report import TrainingReport

    report = TrainingReport.load(tiny_models["medical"])
    if report.improved:  # else the kept state was the base model itself
        assert version.adapted_metrics["test"] == pytest.approx(report.adapted_metrics["test"])
    assert version.base_metrics["test"] == pytest.approx(report.base_metrics["test"])
    assert set(version.comparison) == set(report.comparison)
    folder = store.fetch(version)
    assert load_sentence_transformer(folder, None, "cpu").get_embedding_dimension() == 32
    Profile.load(folder)


@pytest.mark.slow
def test_a_model_that_is_no_better_is_registered_only_by_force(
    tiny_models: dict[str, Path], tiny_base: BaseModelFiles, store: Registry
) -> None:
    data = read_prepared(tiny_models["medical"].with_name("medical-data"))
    with pytest.raises(TrainingError, match="force"):
        import_model(tiny_base, "medical", data, tiny_base, store, device="cpu")
    assert store.versions() == []

"""One call from a file of pairs to a registered model; what is there already is not made again."""

import pytest

from registry import Registry
from training import Contrastive, add_ready_made, train_domain

QUICK = Contrastive(iterations=1, min_steps=2, max_epochs=1, mix_ratio=0)


@pytest.mark.slow
def test_a_domain_is_prepared_trained_and_registered_once(tmp_path, tiny_base, pairs_file):
    store = Registry.open(str(tmp_path / "registry"))
    report = train_domain(str(pairs_file), "legal", tmp_path, store, recipe=QUICK, base=tiny_base)
    assert (report.domain, [each.name for each in store.versions()]) == ("legal", ["legal@1"])
    pairs_file.unlink()
    changed = (tmp_path / "legal-model" / "model.safetensors").stat().st_mtime_ns
    assert train_domain(str(pairs_file), "legal", tmp_path, store, base=tiny_base) == report
    assert [each.name for each in store.versions()] == ["legal@1"]
    assert (tmp_path / "legal-model" / "model.safetensors").stat().st_mtime_ns == changed


def test_a_ready_made_domain_is_registered_once_as_champion(tmp_path, tiny_adapter, monkeypatch):
    monkeypatch.setattr("training.ready_made.HOMES", (tiny_adapter.parent,))
    store = Registry.open(str(tmp_path / "registry"))
    assert add_ready_made("medical", store) == add_ready_made("medical", store) == store.get("medical@champion")

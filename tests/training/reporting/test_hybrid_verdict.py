"""Whether a hybrid wins on dev: what is proof, what the report and the card say, and what may be registered."""

from __future__ import annotations

import json
import shutil

import pytest

from registry import Registry
from registry.records import ComparisonRecord
from tests.registry.samples import make_record
from training import TrainingError, publish
from training.publishing import find_registered
from training.reporting.card import CARD
from training.reporting.report import REPORT, TrainingReport
from training.reporting.verdicts import hybrid_line, hybrid_wins
from training.retrieval.metrics import HEADLINE

WINS = {"difference": 0.2, "low": 0.1, "high": 0.3, "p_value": 0.001}
CHANCE = {"difference": 0.02, "low": -0.1, "high": 0.14, "p_value": 0.6}


@pytest.mark.parametrize(
    ("measured", "wins"),
    [
        (WINS, True),
        (CHANCE, False),
        ({**WINS, "difference": -0.2, "low": -0.3, "high": -0.1}, False),
        ({"difference": 1.0, "low": 1.0, "high": 1.0, "p_value": 0.5}, False),  # of two queries
    ],
)
def test_a_hybrid_wins_if_interval_and_test_say_so(measured, wins):
    record = make_record(hybrid={"mrr@5": ComparisonRecord(**measured)})
    assert hybrid_wins(record) is wins
    assert hybrid_line(record).startswith(f"hybrid on dev: mrr@5: {measured['difference']:+.4f}, 95 % interval ")
    assert hybrid_line(record).endswith("; wins beyond chance" if wins else "; does not win beyond chance")


def test_what_was_not_measured_proves_nothing_and_says_nothing():
    assert not hybrid_wins(make_record(hybrid={})) and hybrid_line(make_record(hybrid={})) == ""


def test_training_measures_the_hybrid_of_the_kept_model_once_on_dev(trained):
    found = trained.report.hybrid
    assert set(found) == set(HEADLINE)
    assert trained.report.ranking == "model"
    # two key words, which only the right text has: BM25 finds it at once
    assert found["mrr@5"].difference <= 1 - trained.report.adapted_metrics["dev"]["mrr@5"] + 1e-9
    assert hybrid_line(trained.report) in (trained.out / CARD).read_text(encoding="utf-8")
    assert json.loads((trained.out / REPORT).read_text(encoding="utf-8"))["hybrid"]["mrr@5"]["p_value"] > 0


@pytest.fixture
def folder(trained, tmp_path):
    """A function that makes the trained model's folder with another measurement of the hybrid."""

    def make(hybrid):
        folder = shutil.copytree(trained.out, tmp_path / "model", dirs_exist_ok=True)
        report = {**json.loads((folder / REPORT).read_text(encoding="utf-8")), "improved": True, "hybrid": hybrid}
        (folder / REPORT).write_text(json.dumps(report), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def store(tmp_path):
    registry = Registry.open(str(tmp_path / "registry"))
    registry.create()
    yield registry
    registry.close()


def test_a_proven_hybrid_is_registered_as_such_and_the_model_alone_by_default(folder, store):
    model = folder({"mrr@5": WINS})
    assert publish(model, store).ranking == "model"
    version = publish(model, store, hybrid=True)
    assert (store.get("words@2"), version.ranking) == (version, "hybrid")
    assert version.hybrid["mrr@5"] == ComparisonRecord(**WINS)
    assert TrainingReport.load(model).ranking == "model"


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({"mrr@5": CHANCE}, r"hybrid on dev: mrr@5: \+0\.0200.*does not win beyond chance, so it is not registered as"),
        ({}, "its report does not compare the hybrid with the model on dev, so it is not registered as hybrid"),
    ],
)
def test_without_proof_a_hybrid_is_registered_only_by_force(folder, store, measured, said):
    model = folder(measured)
    with pytest.raises(TrainingError, match=said):
        publish(model, store, hybrid=True)
    assert store.versions() == []
    assert publish(model, store, force=True, hybrid=True).ranking == "hybrid"


def test_a_report_from_before_hybrids_were_measured_still_loads(folder, store):
    model = folder({})
    report = json.loads((model / REPORT).read_text(encoding="utf-8"))
    del report["hybrid"], report["ranking"]
    (model / REPORT).write_text(json.dumps(report), encoding="utf-8")
    assert publish(model, store).ranking == "model"


def test_files_that_are_registered_otherwise_are_registered_as_hybrid_too(folder, store):
    model = folder({"mrr@5": WINS})
    assert find_registered(model, store, hybrid=True) is None
    alone = publish(model, store)
    assert find_registered(model, store, hybrid=True) is None
    assert find_registered(model, store, hybrid=False) == alone
    hybrid = publish(model, store, hybrid=True)
    assert find_registered(model, store, hybrid=True) == find_registered(model, store, hybrid=False) == hybrid

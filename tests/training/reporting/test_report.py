"""The report: what is saved is loaded again, and what cannot be loaded says why and what to do."""

from __future__ import annotations

import json

import pytest

from registry import ModelRecord
from tests.registry.samples import make_record, make_report
from training import TrainingError
from training.reporting.report import REPORT, Iteration, TrainingReport


def test_a_saved_report_is_loaded_as_it_was(tmp_path):
    report = make_report(make_record(options={"dims": (32, 8), "name": "Grüße", "nothing": None}))
    report.save(tmp_path)
    loaded = TrainingReport.load(tmp_path)
    assert loaded == report and loaded.options["dims"] == [32, 8]
    assert loaded.identity == report.identity
    assert [path.name for path in tmp_path.iterdir()] == [REPORT]


def test_the_registry_keeps_what_a_record_has():
    record = make_record()
    report = make_report(record)
    assert type(report.record()) is ModelRecord and report.record() == record


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda report: report.update(also=report.pop("extra_test_sets")), "also: Extra inputs are not permitted"),
        (lambda report: report.pop("chosen"), "chosen: Field required"),
        (lambda report: report.update(dimension="many"), "dimension: Input should be a valid integer"),
        (lambda report: report.update(domain="../up"), "domain: .*not allowed"),
        (lambda report: report.update(iterations=[]), "iterations: List should have at least 1 item"),
        (lambda report: report["iterations"][0].update(interpolation=1), r"iterations\.0\.interpolation: Extra inputs"),
    ],
)
def test_the_report_of_another_build_is_refused_with_the_field_and_advice(tmp_path, damage, said):
    report = make_report(make_record()).model_dump(mode="json")
    damage(report)
    (tmp_path / REPORT).write_text(json.dumps(report), encoding="utf-8")
    with pytest.raises(TrainingError, match=f"{tmp_path / REPORT}: not a report of this build .*{said}.*train the mo"):
        TrainingReport.load(tmp_path)


def test_a_folder_without_a_report_and_one_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(TrainingError, match=f"{tmp_path}: no report.json: expected a folder that .* wrote"):
        TrainingReport.load(tmp_path)
    (tmp_path / REPORT).mkdir()
    with pytest.raises(TrainingError, match="report.json: cannot be read: Is a directory"):
        TrainingReport.load(tmp_path)


def test_a_loss_that_is_no_number_does_not_spoil_the_report(tmp_path):
    state = Iteration(name="iteration-1", dev={"mrr@5": 0.5}, loss=float("nan"))
    report = make_report(make_record()).model_copy(update={"iterations": [state]})
    report.save(tmp_path)
    assert TrainingReport.load(tmp_path).iterations[0].loss is None

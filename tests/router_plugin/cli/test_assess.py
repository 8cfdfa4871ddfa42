"""``domain-router assess``: tables, JSON, and mistakes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.training.assessment.samples import data
from training import Assessment, prepare, read_pairs
from training.prepared.format import write_prepared


@pytest.fixture
def prepared(tmp_path, pairs_file):
    prepare(read_pairs(str(pairs_file)), tmp_path / "prepared")
    return tmp_path / "prepared"


def test_rankers_ceiling_and_verdict_are_printed(cli, prepared, tiny_base):
    status, out, err = cli("assess", prepared, "--base-model", tiny_base.path, "--device", "cpu")
    assert (status, err) == (0, "")
    for part in ("base model", "BM25", "hybrid of both", "ceiling of MRR@5", "hybrid - base model, mrr@5: "):
        assert part in out
    assert "verdict: collect-more-pairs: " in out
    assert "more pairs: about " in out


def test_findings_are_printed_with_an_example(cli, tmp_path, tiny_base):
    known = data(["Yes, you may.", "no", "yes you may"], dev=[("may I", [0])], train=[("who", [1])])
    (tmp_path / "data").mkdir()
    write_prepared(tmp_path / "data", known.corpus, known.queries, known.qrels, counts={})
    _, out, _ = cli("assess", tmp_path / "data", "--base-model", tiny_base.path, "--device", "cpu")
    assert "same-answer-twice" in out
    assert "Yes, you may." in out
    assert "truncated-documents" not in out


def test_json_is_the_whole_assessment(cli, prepared, tiny_base):
    status, out, _ = cli("assess", prepared, "--base-model", tiny_base.path, "--device", "cpu", "--json")
    found = Assessment.model_validate(json.loads(out))
    assert status == 0
    assert found.base_model.name == str(tiny_base.path)
    assert len(found.findings) == 7


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "no manifest.json found"),
        (("--base-model", "/nowhere"), "/nowhere"),
        (("--encode-batch", 0), "--encode-batch"),
    ],
)
def test_a_mistake_ends_with_status_2(cli, tmp_path, prepared, options, said):
    status, out, err = cli("assess", prepared if options else tmp_path, *options)
    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_data_that_are_for_tests_only_are_a_mistake(cli, tmp_path, pairs_file, tiny_base):
    cli("prepare", pairs_file, "--split", "test", "--out", tmp_path / "data")
    status, _, err = cli("assess", tmp_path / "data", "--base-model", tiny_base.path)
    assert status == 2
    assert "no dev queries" in err


@pytest.mark.slow
def test_help_imports_no_torch():
    code = (
        "import sys\nfrom router_plugin.cli import main\nsys.argv = ['domain-router', 'assess', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert not {'torch', 'transformers', 'sklearn', 'scipy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Example: domain-router assess" in done.stdout

"""The start of a domain: its files are what the commands read that it names."""

import io
import json
import zipfile

import numpy as np

from router_plugin import load_domains
from router_plugin.improving.new_domains import NewDomain
from router_plugin.inspection.starting import archive, labels_of


def groups(sizes):
    """Queries in groups that are far apart, and their vectors."""
    texts = [f"{word} {number}?" for word, size in sizes.items() for number in range(size)]
    axes = np.repeat(np.arange(len(sizes)), list(sizes.values()))
    vectors = np.eye(16, dtype=np.float32)[axes] + 0.01 * np.random.default_rng(0).normal(size=(len(texts), 16))
    return texts, (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_an_archive_is_read_by_the_commands_that_it_names(tmp_path):
    from training import ReadOptions, prepare, prepare_labels, read_labels, read_pairs

    texts, vectors = groups({"baking": 30, "boiling": 30, "frying": 3})
    packed = archive(NewDomain("kitchen", ["baking", "boiling"], texts), vectors)
    assert packed == archive(NewDomain("kitchen", ["baking", "boiling"], texts), vectors)
    zipfile.ZipFile(io.BytesIO(packed)).extractall(tmp_path)
    folder = tmp_path / "kitchen"
    (domain,) = load_domains(folder / "domain.yaml")
    assert (domain.name, set(domain.queries)) == ("kitchen", set(texts))
    manifest = prepare_labels(read_labels(str(folder / "labels.jsonl")), tmp_path / "labels")
    assert manifest["counts"]["labels"] == 2
    rows = [json.loads(line) for line in (folder / "questions.jsonl").read_text().splitlines()]
    answered = [{**row, "answer": f"answer {number}"} for number, row in enumerate(rows[:30])]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*answered, *rows[30:]]))
    assert prepare(read_pairs(folder / "questions.jsonl", ReadOptions(skip_bad=True)), tmp_path / "pairs")["counts"]
    readme = (folder / "README.txt").read_text()
    assert "prepare kitchen/labels.jsonl --kind labels" in readme and "--skip-bad" in readme


def test_a_single_group_has_no_labels(tmp_path):
    texts, vectors = groups({"baking": 30})
    assert labels_of(texts, vectors) == {}
    names = zipfile.ZipFile(io.BytesIO(archive(NewDomain("kitchen", [], texts), vectors))).namelist()
    assert "kitchen/labels.jsonl" not in names

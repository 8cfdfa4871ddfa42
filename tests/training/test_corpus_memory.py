"""The texts of a corpus stay on the disk while a model is trained: memory does not grow with them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.training.samples import run_python
from training import PreparedData
from training.prepared.format import write_prepared

COUNT, SIZE = 12_000, 4096
TOTAL = COUNT * SIZE
ALLOWED = TOTAL // 3
"""Bytes for ids, places of rows, a block of the texts and what Python does not give back; the texts are 47 MiB."""

RESIDENT = """
import sys
from pathlib import Path

def resident(field):
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) * 1024
"""

PREPARED = f"""{RESIDENT}
from training.prepared.judged import prepare_judged
from training.sources.beir import read_beir

small, large, out = map(Path, sys.argv[1:])
prepare_judged(read_beir(small), out)
before = resident("VmRSS")
prepare_judged(read_beir(large), out, overwrite=True)
print(resident("VmHWM") - before)
"""

MEASURED = f"""{RESIDENT}
import numpy as np
from registry.classifier_profiles.sentences import sample_sentences
from training.mining.miners import NegativeMiner
from training.retrieval.encoding import encode
from training.retrieval.hybrid import ranked_by_bm25
from training.retrieval.ranking import Ranked
from training.retrieval.texts import Texts
from training import read_prepared

class Lengths:
    dimension = 2
    def encode(self, texts, kind, batch_size):
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)

def use(folder, scratch):
    data = read_prepared(folder)
    texts = Texts(data)
    assert len(texts.own["dev"][0]) == 1
    vectors = encode(Lengths(), texts.documents, "document", 8, "documents", scratch)
    assert vectors[0].tolist() == [len(texts.documents[0]), 1]
    assert (ranked_by_bm25(texts, "dev")[:, 0] >= 0).all()
    data.ranking_digest("dev")
    sample_sentences(data.documents.texts, 0)
    count = len(texts.queries["train"])
    texts.__dict__["_groups"] = np.arange(len(texts.documents)), np.full(count, -1)  # they are found in memory
    miner = NegativeMiner(texts, 200, 64, negatives=7, random_negative_ratio=1.0, max_negative_ratio=1.0)
    ranked = np.tile(np.arange(100), (count, 1))
    miner.mine(Ranked(ranked, np.zeros(ranked.shape, np.float32), np.ones(count, np.float32)), 0)
    examples = miner.examples(0)
    assert len(examples.row(0)["negative_7"]) > 4000
    return data, len(examples)

small, large, scratch = map(Path, sys.argv[1:])
use(small, scratch)
before = resident("VmRSS")
data, count = use(large, scratch)
used = resident("VmHWM") - before
kept = list(data.documents.texts)
print(count, used, resident("VmRSS") - before)
"""


def write(folder: Path, count: int) -> None:
    """Prepared data with long documents and short queries; a dev query is a document itself."""
    folder.mkdir()
    texts = {f"d{number}": " ".join([f"document {number}", *[f"{number:0100x}"] * 41]) for number in range(count)}
    queries = {f"q{number}": f"which document is {number}" for number in range(128)}
    own = {"q0": ["d1"]}
    relevant = {name: [f"d{number}"] for number, name in enumerate(queries)}
    qrels = {"train": dict(list(relevant.items())[64:]), "dev": dict(list(relevant.items())[:64]), "test": {}}
    write_prepared(folder, texts, queries, qrels, own=own, counts={}, kind="pairs")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the system does not say how much memory a process had at most")
def test_memory_does_not_grow_with_the_texts(tmp_path: Path) -> None:
    write(tmp_path / "small", 200)
    write(tmp_path / "large", COUNT)
    assert (tmp_path / "large" / "corpus.jsonl").stat().st_size > TOTAL
    done = run_python(MEASURED, tmp_path / "small", tmp_path / "large", tmp_path / "vectors.npy")
    assert not done.returncode, done.stderr
    examples, used, with_texts = map(int, done.stdout.split())
    assert used < ALLOWED < TOTAL < 8 * SIZE * examples
    assert with_texts > TOTAL  # such a measurement sees texts that are kept


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the system does not say how much memory a process had at most")
def test_a_corpus_is_prepared_without_having_it_in_memory(tmp_path: Path) -> None:
    write(tmp_path / "small", 200)
    write(tmp_path / "large", COUNT)
    done = run_python(PREPARED, tmp_path / "small", tmp_path / "large", tmp_path / "data")
    assert not done.returncode, done.stderr
    assert int(done.stdout) < ALLOWED


def test_a_joined_set_has_no_texts_of_its_own(tmp_path: Path) -> None:
    from training import read_prepared
    from training.prepared.joined import join

    write(tmp_path / "data", 150)
    data: PreparedData = read_prepared(tmp_path / "data")
    both = join({"one": data, "two": data})
    assert both.documents.texts == [*data.corpus.values()] * 2
    assert both.corpus["two/d7"] == data.corpus["d7"]

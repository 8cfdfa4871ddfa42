"""The parts of a corpus are ranked apart, with the ranking of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.corpora.samples import model_of, write_source
from training.cluster.engines import OneProcess
from training.corpora import ranking
from training.corpora.encoding import encode_corpus
from training.corpora.options import EncodeOptions
from training.corpora.ranking import PART, rank_corpus, top_k_by_parts
from training.corpora.shard_folder import ShardFolder
from training.corpora.training_corpus import ClusterCorpus
from training.corpora.vector_files import read_vectors
from training.errors import CorpusError
from training.retrieval.ranking import top_k
from training.retrieval.vectors import StoredVectors

HERE = OneProcess("cpu")


@pytest.fixture
def few(monkeypatch):
    """Blocks of documents are small."""
    monkeypatch.setattr("training.retrieval.ranking.DOCUMENT_BLOCK", 10)
    monkeypatch.setattr(ranking, "PART", 20)


def units(count, seed):
    vectors = np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("count", [15, 20, 73])
def test_parts_give_the_ranking_of_the_whole_ties_and_left_out_documents_included(few, tmp_path, count):
    documents = units(count, 0)
    documents[5::7] = documents[5]  # of equal scores the first document comes first
    np.save(tmp_path / "documents.npy", documents)
    stored, queries = StoredVectors(tmp_path / "documents.npy"), units(9, 1)
    left_out = [{row, row + 3} for row in range(9)]
    expected = next(iter(top_k(queries, stored, 25, "cpu", left_out)))
    found = next(iter(top_k_by_parts(HERE, queries, stored, 25, left_out)))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


class Counting(OneProcess):
    """An engine that counts what it is given."""

    given = 0

    def map(self, make, items, what):
        self.given += len(items)
        return super().map(make, items, what)


@pytest.mark.parametrize(("count", "given"), [(PART, 0), (PART + 1, 2)])
def test_a_training_run_ranks_a_single_part_itself(tiny_base, count, given):
    engine, documents, queries = Counting("cpu"), units(count, 0), units(3, 1)
    found = next(iter(ClusterCorpus(engine, tiny_base, False).top_k(queries, documents, 5)))
    for one, other in zip(found, next(iter(top_k(queries, documents, 5))), strict=True):
        np.testing.assert_array_equal(one, other)
    assert engine.given == given


def test_rows_of_rows_are_rows_of_the_file(tmp_path):
    np.save(tmp_path / "vectors.npy", units(30, 0))
    stored = StoredVectors(tmp_path / "vectors.npy")
    inner = stored.span(slice(10, 25)).span(slice(5, 40))
    np.testing.assert_array_equal(inner[:], stored[15:25])
    assert len(inner) == 10


def test_the_shards_of_a_folder_are_ranked_with_one_position_for_each_text(tmp_path, tiny_base):
    folder = ShardFolder(tmp_path / "out")
    source = write_source(tmp_path / "corpus.jsonl")
    manifest = encode_corpus(source, folder, model_of(tiny_base), EncodeOptions(shard_size=20), HERE).manifest
    whole = np.concatenate([read_vectors(folder, shard.file, shard.sha256) for shard in manifest.shards])
    scores, positions = rank_corpus(HERE, whole[:7], folder, manifest, 30)
    expected = next(iter(top_k(whole[:7], whole, 30)))
    np.testing.assert_array_equal(positions, expected[1])
    np.testing.assert_allclose(scores, expected[0], rtol=1e-6)
    (tmp_path / "out" / "vectors" / "000001.npy").write_bytes(b"")
    with pytest.raises(CorpusError, match="000001.npy: does not have the digest"):
        rank_corpus(HERE, whole[:7], folder, manifest, 30)


def test_no_queries_have_no_ranking(tmp_path):
    assert [len(each) for each in next(iter(top_k_by_parts(HERE, units(0, 0), units(5, 1), 3)))] == [0, 0]

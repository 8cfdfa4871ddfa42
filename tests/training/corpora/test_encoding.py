"""Corpora are encoded shard by shard: in a stream, with the same bits, from where a killed run was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from registry import BaseModelFiles
from tests.training.corpora.samples import model_of, write_source
from training.cluster.engines import OneProcess
from training.corpora.encoding import Encoded, ShardEncoder, encode_corpus
from training.corpora.options import EncodeOptions
from training.corpora.records import read_manifest
from training.corpora.shard_folder import ShardFolder
from training.corpora.vector_files import read_vectors
from training.errors import CorpusError, SourceError

HERE = OneProcess("cpu")


@pytest.fixture
def source(tmp_path: Path) -> str:
    return write_source(tmp_path / "corpus.jsonl")


def encoded(source: str, out: object, base: BaseModelFiles, **options: object) -> Encoded:
    wanted = EncodeOptions(**{"shard_size": 20, **options})
    return encode_corpus(source, ShardFolder(str(out)), model_of(base), wanted, HERE)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def vectors_of(out: object) -> np.ndarray:
    folder = ShardFolder(str(out))
    shards = read_manifest(str(out)).shards
    return np.concatenate([read_vectors(folder, shard.file, shard.sha256) for shard in shards])


def test_shards_hold_the_vectors_of_their_texts_in_order(source, tmp_path, tiny_base):
    from sentence_transformers import SentenceTransformer

    manifest = encoded(source, tmp_path / "out", tiny_base).manifest
    texts = [json.loads(line)["text"] for line in Path(source).read_text(encoding="utf-8").splitlines()]
    expected = SentenceTransformer(str(tiny_base.path), device="cpu").encode_document(texts, normalize_embeddings=True)
    assert [shard.count for shard in manifest.shards] == [20, 20, 10]
    assert (manifest.count, manifest.dimension) == (50, 32)
    np.testing.assert_allclose(vectors_of(tmp_path / "out"), expected, atol=1e-6)


def test_parquet_holds_the_same_vectors_beside_the_ids(source, tmp_path, tiny_base):
    import pyarrow.parquet

    encoded(source, tmp_path / "npy", tiny_base)
    encoded(source, tmp_path / "parquet", tiny_base, format="parquet")
    np.testing.assert_array_equal(vectors_of(tmp_path / "npy"), vectors_of(tmp_path / "parquet"))
    table = pyarrow.parquet.read_table(tmp_path / "parquet" / "vectors" / "000001.parquet")
    assert table["id"].to_pylist() == [f"d{row}" for row in range(20, 40)]


def test_a_source_and_a_folder_may_be_anywhere_that_fsspec_reaches(source, tmp_path, tiny_base):
    import fsspec

    name = tmp_path.name
    with fsspec.open(f"memory://{name}/corpus.jsonl", "wb") as file:
        file.write(Path(source).read_bytes())
    encoded(source, tmp_path / "out", tiny_base)
    encoded(f"memory://{name}/corpus.jsonl", f"memory://{name}/out", tiny_base)
    np.testing.assert_array_equal(vectors_of(tmp_path / "out"), vectors_of(f"memory://{name}/out"))


def test_only_shards_that_are_missing_or_damaged_are_made_again(source, tmp_path, tiny_base):
    out = tmp_path / "out"
    assert encoded(source, out, tiny_base).made == 3
    whole = files(out)
    (out / "vectors" / "000000.npy").unlink()
    (out / "vectors" / "000001.npy").write_bytes(b"damaged")
    (out / "vectors" / "000002.json").write_bytes(whole["vectors/000002.json"][:50])
    (out / "manifest.json").unlink()
    assert encoded(source, out, tiny_base).made == 3
    assert files(out) == whole
    assert encoded(source, out, tiny_base).made == 0


def test_a_run_that_is_killed_goes_on_with_the_shards_that_are_missing(source, tmp_path, tiny_base, monkeypatch):
    encode = ShardEncoder._encode

    def killed(self, shard):
        if shard.number == 2:
            raise KeyboardInterrupt
        return encode(self, shard)

    monkeypatch.setattr(ShardEncoder, "_encode", killed)
    with pytest.raises(KeyboardInterrupt):
        encoded(source, tmp_path / "out", tiny_base)
    with pytest.raises(CorpusError, match=r"no manifest\.json found"):
        read_manifest(str(tmp_path / "out"))
    monkeypatch.undo()
    assert encoded(source, tmp_path / "out", tiny_base).made == 1


@pytest.mark.parametrize("changed", [{"shard_size": 10}, {"kind": "query"}, {"format": "parquet"}])
def test_a_folder_of_other_shards_is_refused(source, tmp_path, tiny_base, changed):
    encoded(source, tmp_path / "out", tiny_base)
    with pytest.raises(CorpusError, match=f"another `{next(iter(changed))}`: choose another folder, or set"):
        encoded(source, tmp_path / "out", tiny_base, **changed)
    assert encoded(source, tmp_path / "out", tiny_base, overwrite=True, **changed).made


def test_a_source_that_has_changed_is_refused(source, tmp_path, tiny_base):
    encoded(source, tmp_path / "out", tiny_base)
    write_source(Path(source), 51)
    with pytest.raises(CorpusError, match="has changed since"):
        encoded(source, tmp_path / "out", tiny_base)


def test_a_folder_of_something_else_is_left_alone(source, tmp_path, tiny_base):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").touch()
    for overwrite in (False, True):
        with pytest.raises(CorpusError, match=r"holds no encoding\.json"):
            encoded(source, tmp_path / "out", tiny_base, overwrite=overwrite)
    assert files(tmp_path / "out") == {"thesis.txt": b""}


def test_texts_that_were_changed_are_not_encoded(source, tmp_path, tiny_base):
    out = tmp_path / "out"
    encoded(source, out, tiny_base)
    (out / "vectors" / "000000.npy").unlink()
    (out / "texts" / "000000.parquet").write_bytes((out / "texts" / "000001.parquet").read_bytes())
    with pytest.raises(CorpusError, match="000000.parquet: does not hold the texts that were cut"):
        encoded(source, out, tiny_base)


def test_bad_rows_stop_or_are_skipped(source, tmp_path, tiny_base):
    with Path(source).open("a", encoding="utf-8") as file:
        file.write('{"text": " "}\n')
    with pytest.raises(SourceError, match="line 51: text is empty"):
        encoded(source, tmp_path / "out", tiny_base)
    found = encoded(source, tmp_path / "out", tiny_base, skip_bad=True).manifest
    assert (found.count, found.skipped) == (50, 1)


def test_what_cannot_be_reached_is_said_in_one_line(source, tmp_path, tiny_base):
    with pytest.raises(SourceError, match="no-such://a/b: cannot be read: .*no-such"):
        encoded("no-such://a/b", tmp_path / "out", tiny_base)
    with pytest.raises(CorpusError, match="no-such://a/b: cannot be opened"):
        encoded(source, "no-such://a/b", tiny_base)

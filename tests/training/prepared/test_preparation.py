"""Preparing: a folder that any BEIR reader understands, whole or not at all, and read back only if unchanged."""

import csv
import json
import os
import signal
import stat
from collections import Counter
from pathlib import Path

import pytest

from registry import OutputError
from tests.conftest import shared_data
from tests.training.samples import prepared, run_python, word_pairs
from training import PreparedDataError, PrepareOptions, SourceError, prepare, read_pairs, read_prepared
from training.sources.pairs import Pair, Pairs
from training.tables.column_filter import ColumnFilter

FILES = ["corpus.jsonl", "queries.jsonl", "qrels/train.tsv", "qrels/dev.tsv", "qrels/test.tsv", "manifest.json"]

PAIRS = [
    Pair("Was heißt »Naïveté«?", "Einfalt \u201eganz\u201c ohne 'Arg', 无知 🙂. Und \\ mehr."),
    *(Pair(f"question {n} of thing {n * 7}", f"answer {n}. It is about {n * 3}. And {n * 5} too.") for n in range(30)),
]


def source(pairs=PAIRS, skipped=()):
    return Pairs("pairs.jsonl", list(pairs), list(skipped))


def read_beir(folder):
    """Corpus, queries and qrels as the BEIR loader reads them."""

    def lines(name):
        with (folder / name).open(encoding="utf8") as file:
            return {row["_id"]: row for row in map(json.loads, file)}

    qrels = {}
    for split in ("train", "dev", "test"):
        with (folder / "qrels" / f"{split}.tsv").open(encoding="utf8") as file:
            reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_MINIMAL)
            next(reader)
            qrels[split] = [(query, document, int(score)) for query, document, score in reader]
    return lines("corpus.jsonl"), lines("queries.jsonl"), qrels


@pytest.mark.parametrize("split", ["grouped", "random"])
def test_another_reader_finds_all_pairs_in_the_folder(tmp_path, split):
    prepare(source(), tmp_path / "out", PrepareOptions(split=split, chunk_characters=20))
    corpus, queries, qrels = read_beir(tmp_path / "out")
    assert all(row["title"] == "" for row in corpus.values())
    found = {}
    for part in qrels.values():
        assert part
        for query, document, score in part:
            assert score == 1
            found.setdefault(queries[query]["text"], []).append(corpus[document]["text"])
    assert {Pair(question, " ".join(chunks)) for question, chunks in found.items()} == set(PAIRS)
    assert {document for part in qrels.values() for _, document, _ in part} == set(corpus)
    assert sorted(query for part in qrels.values() for query in {row[0] for row in part}) == sorted(queries)


def test_our_own_reader_finds_the_same(tmp_path):
    manifest = prepare(source(), tmp_path / "out")
    data = read_prepared(tmp_path / "out")
    corpus, queries, qrels = read_beir(tmp_path / "out")
    assert data.manifest == manifest
    assert data.corpus == {name: row["text"] for name, row in corpus.items()}
    assert data.queries == {name: row["text"] for name, row in queries.items()}
    for split, rows in qrels.items():
        assert [(query, document, 1) for query, names in data.qrels[split].items() for document in names] == rows


def test_the_manifest_counts_what_is_there(tmp_path):
    options = PrepareOptions(test_size=0.3, seed=7, chunk_characters=30)
    manifest = prepare(source(skipped=["line 3: bad", "line 9: bad"]), tmp_path / "out", options)
    corpus, queries, qrels = read_beir(tmp_path / "out")
    assert manifest == json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["source"] == "pairs.jsonl"
    assert manifest["options"] == {
        "split": "grouped",
        "test_size": 0.3,
        "seed": 7,
        "chunk_characters": 30,
        "hold_out": [],
        "hold_out_dev": [],
    }
    assert manifest["counts"] == {
        "pairs": 31,
        "skipped": 2,
        "chunks": len(corpus),
        "queries": len(queries),
        "left_out": 0,
        **{f"{split}_queries": len({query for query, _, _ in rows}) for split, rows in qrels.items()},
    }
    assert manifest["counts"]["chunks"] > 31


def test_the_fingerprint_is_that_of_the_content(tmp_path):
    def fingerprint(name, pairs=PAIRS, skipped=(), **options):
        return prepare(source(pairs, skipped), tmp_path / name, PrepareOptions(**options))["fingerprint"]

    first = fingerprint("first")
    assert fingerprint("again") == first
    assert fingerprint("skipped", skipped=["line 7: bad"]) == first
    assert fingerprint("chunks of another size that nothing needs", chunk_characters=999) == first
    changed = [
        fingerprint("other order", PAIRS[::-1]),
        fingerprint("one letter", [Pair("Was heißt »naïveté«?", PAIRS[0].answer), *PAIRS[1:]]),
        fingerprint("other split", seed=43),
        fingerprint("other chunks", chunk_characters=20),
    ]
    assert len({first, *changed}) == 5


EQUAL = [
    Pair("question one", "Equal answer. Of two."),
    Pair("question one", "another answer"),
    Pair("question two", "b"),
]


def test_equal_texts_are_one_in_a_grouped_split(tmp_path):
    pairs = [*PAIRS, *EQUAL, Pair("question three", "Equal answer. Of two."), EQUAL[0]]
    data = prepared(pairs, tmp_path / "out", chunk_characters=15)
    assert max(Counter(data.queries.values()).values()) == 1
    ids = {text: name for name, text in data.corpus.items()}
    qrels = {data.queries[query]: names for part in data.qrels.values() for query, names in part.items()}
    assert qrels["question one"] == [ids["Equal answer."], ids["Of two."], ids["another answer"]]
    assert qrels["question three"] == [ids["Equal answer."], ids["Of two."]]


def test_chunks_that_different_answers_have_in_common_are_one_in_a_grouped_split(tmp_path):
    notice = "This is no advice."
    pairs = [Pair(pair.question, f"{pair.answer} {notice}") for pair in PAIRS]
    data = prepared(pairs, tmp_path / "out", chunk_characters=20)
    assert max(Counter(data.corpus.values()).values()) == 1
    name = next(name for name, text in data.corpus.items() if text == notice)
    assert all(name in names for part in data.qrels.values() for names in part.values())


def test_equal_texts_stay_apart_in_a_random_split(tmp_path):
    data = prepared([*PAIRS, *EQUAL, EQUAL[0]], tmp_path / "out", split="random")
    assert len(data.queries) == len(data.corpus) == len(PAIRS) + 4
    assert all(len(names) == 1 for part in data.qrels.values() for names in part.values())


@pytest.mark.data
def test_the_reference_protocol_gives_the_published_counts(tmp_path):
    pairs = read_pairs(str(shared_data("medquad.jsonl.gz")))
    counts = prepare(pairs, tmp_path / "out", PrepareOptions(split="random"))["counts"]
    assert counts["pairs"] == counts["queries"] == 16_407
    assert counts["chunks"] == 29_848
    assert counts["train_queries"] + counts["dev_queries"] == 13_125
    assert counts["dev_queries"] == 1000
    assert counts["test_queries"] == 3_282


def test_every_pair_may_be_for_testing_with_equal_texts_counted_once(tmp_path):
    pairs = [*PAIRS, *EQUAL, EQUAL[0], Pair("question two", "Equal answer. Of two.")]
    data = prepared(pairs, tmp_path / "out", split="test", test_size=0.9, seed=3)
    assert (data.qrels["train"], data.qrels["dev"]) == ({}, {})
    found = [(data.queries[query], data.corpus[name]) for query, names in data.qrels["test"].items() for name in names]
    assert sorted(found) == sorted({(pair.question, pair.answer) for pair in pairs})
    assert list(data.queries) == list(data.qrels["test"])
    assert max(Counter([*data.queries.values(), *data.corpus.values()]).values()) == 1
    assert data.manifest["counts"]["test_queries"] == len(PAIRS) + 2


def test_one_pair_is_enough_to_measure_on(tmp_path):
    assert prepare(source(PAIRS[:1]), tmp_path / "out", PrepareOptions(split="test"))["counts"]["test_queries"] == 1


def test_holding_out_where_all_is_held_out_is_refused():
    with pytest.raises(SourceError, match="`hold_out` cannot be used with `split` test"):
        PrepareOptions(split="test", hold_out=(ColumnFilter("source", ("a",)),))


@pytest.mark.data
def test_the_protocol_of_real_questions_gives_the_published_queries(tmp_path):
    pairs = read_pairs(str(shared_data("medicationqa.jsonl.gz")))
    counts = prepare(pairs, tmp_path / "out", PrepareOptions(split="test", chunk_characters=10_000))["counts"]
    assert counts["pairs"] == 690
    assert counts["queries"] == counts["test_queries"] == 651
    assert counts["chunks"] == 653 - 3  # of the published answers two are copies but for white space, and one for case


def test_a_source_whose_name_is_not_utf8_can_be_prepared(tmp_path):
    pairs = Pairs(os.fsdecode(b"caf\xe9.jsonl"), PAIRS)
    prepare(pairs, tmp_path / "out")
    assert len(read_prepared(tmp_path / "out").queries) == len(PAIRS)


def fail(*_, **__):
    raise OSError("no space left on device")


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError, match="no space"):
        prepare(source(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_pairs_that_cannot_be_split_leave_nothing_behind(tmp_path):
    with pytest.raises(Exception, match="cannot be split"):
        prepare(source(PAIRS[:2]), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_killed_process_leaves_no_folder(tmp_path):
    code = """
import os, signal, sys
from pathlib import Path
from training import prepare
from registry.shared import outputs
from training.sources.pairs import Pair, Pairs

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

outputs.move_into_place = die
prepare(Pairs("x", [Pair(f"question {n} {n * 7}", f"answer {n * 3} {n * 5}") for n in range(30)]), Path(sys.argv[1]))
"""
    out = tmp_path / "out"
    assert run_python(code, out).returncode == -signal.SIGKILL
    assert not out.exists()
    assert prepare(source(), out) == read_prepared(out).manifest


def test_an_existing_folder_is_refused_and_left_alone(tmp_path):
    prepare(source(), tmp_path / "out")
    before = (tmp_path / "out" / "manifest.json").read_bytes()
    with pytest.raises(OutputError, match=r"out: exists already: choose another folder, or set `overwrite`"):
        prepare(source(PAIRS[:20]), tmp_path / "out")
    assert (tmp_path / "out" / "manifest.json").read_bytes() == before


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    prepare(source(), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_overwrite_replaces_an_earlier_output(tmp_path):
    prepare(source(), tmp_path / "out")
    prepare(source(PAIRS[:20]), tmp_path / "out", overwrite=True)
    assert read_prepared(tmp_path / "out").manifest["counts"]["pairs"] == 20
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_overwrite_refuses_what_is_no_earlier_output(tmp_path, kind):
    precious = tmp_path / "out" / "precious.txt" if kind == "folder" else tmp_path / "out"
    precious.parent.mkdir(exist_ok=True)
    precious.write_text("mine", encoding="utf-8")
    fault = (
        r"is a file: expected a folder"
        if kind == "file"
        else r"holds no manifest\.json, so it is not an earlier output"
    )
    with pytest.raises(OutputError, match=f"out: {fault}"):
        prepare(source(), tmp_path / "out", overwrite=True)
    assert precious.read_text(encoding="utf-8") == "mine"


def test_an_earlier_output_stands_where_overwriting_it_fails(tmp_path, monkeypatch):
    out = tmp_path / "out"
    manifest = prepare(source(), out)
    rename = Path.rename
    renamed = []

    def fail_once(path, target):
        if Path(target) == out and not renamed:
            renamed.append(target)
            fail()
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(OutputError, match="no space"):
        prepare(source(PAIRS[:20]), out, overwrite=True)
    assert read_prepared(out).manifest == manifest
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_cannot_be_created_is_reported(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="file"):
        prepare(source(), tmp_path / "file" / "out")


def test_the_folder_may_be_read_by_whoever_may_read_its_neighbours(tmp_path):
    (tmp_path / "neighbour").mkdir()
    prepare(source(), tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == stat.S_IMODE((tmp_path / "neighbour").stat().st_mode)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_reported(tmp_path, name):
    prepare(source(), tmp_path / "out")
    (tmp_path / "out" / name).unlink()
    with pytest.raises(PreparedDataError, match=f"out.*{Path(name).name}"):
        read_prepared(tmp_path / "out")


@pytest.mark.parametrize("name", FILES[:-1])
def test_an_edit_is_detected(tmp_path, name):
    prepare(source(), tmp_path / "out")
    path = tmp_path / "out" / name
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    with pytest.raises(PreparedDataError, match="were changed after they were prepared"):
        read_prepared(tmp_path / "out")


@pytest.mark.parametrize(
    "manifest", ["", "{", "[]", "{}", '"text"', "null", b"\xff", "nan", '{"fingerprint": null, "counts": {}}']
)
def test_a_damaged_manifest_is_reported(tmp_path, manifest):
    prepare(source(), tmp_path / "out")
    content = manifest if isinstance(manifest, bytes) else manifest.encode()
    (tmp_path / "out" / "manifest.json").write_bytes(content)
    with pytest.raises(PreparedDataError, match="out: "):
        read_prepared(tmp_path / "out")


def test_a_manifest_without_counts_is_reported(tmp_path):
    manifest = prepare(source(), tmp_path / "out")
    del manifest["counts"]
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(PreparedDataError, match="counts"):
        read_prepared(tmp_path / "out")


def test_a_folder_that_is_no_prepared_data_is_reported(tmp_path):
    with pytest.raises(PreparedDataError, match=r"no manifest\.json found: expected a folder that 'domain-router prep"):
        read_prepared(tmp_path)
    with pytest.raises(PreparedDataError, match="nowhere"):
        read_prepared(tmp_path / "nowhere")


def test_sample_pairs_are_all_different(tmp_path):
    counts = prepared(word_pairs(), tmp_path / "out", test_size=0.3).manifest["counts"]
    assert counts["queries"] == counts["chunks"] == counts["pairs"] == 55

"""BEIR folders of others: all judgements are kept, parts are honoured, and what is wrong is reported with its place."""

import gzip
import json
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from router_plugin.cli import app
from tests.conftest import EXAMPLES
from tests.training.samples import QUICK
from training import PrepareOptions, SourceError, TrainingJob, adapt, prepare_judged, read_beir, read_prepared
from training.prepared.chunking import chunk
from training.tables.options import ReadOptions

BEIR = EXAMPLES / "beir"
HEADER = "query-id\tcorpus-id\tscore"


def write(folder, documents, queries, **qrels):
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, rows in (("corpus", documents), ("queries", queries)):
        lines = [json.dumps(row if isinstance(row, dict) else {"_id": row[0], "text": row[1]}) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for part, lines in qrels.items():
        (folder / "qrels" / f"{part}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


DOCUMENTS = [(f"d{n}", f"document {n} says {n * 7}") for n in range(40)]
QUERIES = [(f"q{n}", f"question {n} about {n * 11}") for n in range(30)]


def judgements(numbers):
    return [HEADER, *(f"q{n}\td{n}\t1" for n in numbers)]


def prepared(folder, out, **options):
    prepare_judged(read_beir(str(folder)), out, PrepareOptions(**options))
    return read_prepared(out)


def asked(data):
    return {part: {data.queries[query] for query in qrels} for part, qrels in data.qrels.items()}


def texts(numbers):
    return {dict(QUERIES)[f"q{n}"] for n in numbers}


@pytest.mark.parametrize("split", ["grouped", "random"])
def test_the_parts_of_a_folder_are_kept(tmp_path, split):
    parts = {"train": range(20), "dev": range(20, 24), "test": range(24, 30)}
    write(tmp_path / "in", DOCUMENTS, QUERIES, **{part: judgements(rows) for part, rows in parts.items()})
    data = prepared(tmp_path / "in", tmp_path / "out", split=split)
    assert asked(data) == {part: texts(rows) for part, rows in parts.items()}
    assert set(data.corpus.values()) == {text for _, text in DOCUMENTS}


def test_a_missing_dev_part_is_drawn_from_training(tmp_path):
    write(tmp_path / "in", DOCUMENTS, QUERIES, train=judgements(range(20)), test=judgements(range(20, 30)))
    found = asked(prepared(tmp_path / "in", tmp_path / "out"))
    assert found["test"] == texts(range(20, 30))
    assert found["train"] | found["dev"] == texts(range(20))
    assert len(found["dev"]) == 2


def test_a_folder_with_training_alone_is_split(tmp_path):
    write(tmp_path / "in", DOCUMENTS, QUERIES, train=judgements(range(30)))
    assert {part: len(found) for part, found in asked(prepared(tmp_path / "in", tmp_path / "out")).items()} == {
        "train": 22,
        "dev": 2,
        "test": 6,
    }


@pytest.mark.parametrize("parts", [{"test": range(5)}, {"validation": range(5), "test": range(5, 9)}])
def test_without_training_queries_nothing_is_split(tmp_path, parts):
    write(tmp_path / "in", DOCUMENTS, QUERIES, **{part: judgements(rows) for part, rows in parts.items()})
    found = asked(prepared(tmp_path / "in", tmp_path / "out"))
    assert found == {"train": set(), "dev": texts(parts.get("validation", ())), "test": texts(parts["test"])}


def test_split_test_makes_every_query_a_test_query(tmp_path):
    write(tmp_path / "in", DOCUMENTS, QUERIES, train=judgements(range(9)), test=judgements(range(9, 12)))
    found = asked(prepared(tmp_path / "in", tmp_path / "out", split="test"))
    assert found == {"train": set(), "dev": set(), "test": texts(range(12))}


def test_near_duplicates_of_held_out_queries_are_left_out_but_shared_documents_keep_nothing_together(tmp_path):
    queries = [*QUERIES, ("copy", QUERIES[25][1].upper() + "?")]
    train = [HEADER, *(f"q{n}\td0\t1" for n in range(20)), "copy\td0\t1"]
    write(tmp_path / "in", DOCUMENTS, queries, train=train, test=[HEADER, *(f"q{n}\td0\t1" for n in range(20, 30))])
    data = prepared(tmp_path / "in", tmp_path / "out")
    assert data.manifest["counts"]["left_out"] == 1
    assert asked(data)["train"] | asked(data)["dev"] == texts(range(20))


many = settings(max_examples=30)
scores = st.dictionaries(st.tuples(st.integers(0, 7), st.integers(0, 5)), st.integers(-1, 3), min_size=1)


@many
@given(scores, st.sampled_from([12, 1000]))
def test_every_judgement_is_in_the_folder(tmp_path, scores, chunk_characters):
    documents = [{"_id": f"d{n}", "title": f"Title {n}.", "text": f"It is {n}. And {n * 3} too."} for n in range(6)]
    lines = [f"q{query} 0 d{document} {score}" for (query, document), score in scores.items()]
    write(tmp_path / "in", documents, QUERIES, test=lines)
    relevant, others = defaultdict(set), defaultdict(set)
    for (query, document), score in scores.items():
        whole = f"{documents[document]['title']} {documents[document]['text']}"
        (relevant if score >= 1 else others)[QUERIES[query][1]] |= set(chunk(whole, chunk_characters))
    if not relevant:
        with pytest.raises(SourceError, match="no query has a relevant document"):
            read_beir(str(tmp_path / "in"))
        return
    options = PrepareOptions(chunk_characters=chunk_characters)
    manifest = prepare_judged(read_beir(str(tmp_path / "in")), tmp_path / "out", options, overwrite=True)
    assert manifest["counts"]["without_relevant"] == len(others.keys() - relevant.keys())
    data = read_prepared(tmp_path / "out")

    def by_text(qrels):
        return {data.queries[query]: {data.corpus[name] for name in names} for query, names in qrels.items()}

    assert by_text(data.qrels["test"]) == relevant
    assert by_text(data.negatives.get("test", {})) == {
        query: names - relevant[query]
        for query, names in others.items()
        if query in relevant and names - relevant[query]
    }


def test_files_may_be_compressed_and_ids_numbers(tmp_path):
    write(tmp_path, [{"_id": 1, "title": "T", "text": "x"}], [{"_id": 2, "text": "ask"}], test=["2\t1\t2"])
    for name in ("corpus", "queries"):
        path = tmp_path / f"{name}.jsonl"
        (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    (found,) = read_beir(str(tmp_path)).queries
    assert (found.text, found.relevant) == ("ask", ("T x",))


@pytest.mark.parametrize("title", [{}, {"title": None}, {"title": ""}, {"title": " "}])
def test_a_document_may_have_no_title(tmp_path, title):
    write(tmp_path, [{"_id": "d0", **title, "text": "x"}], QUERIES[:1], test=["q0\td0\t1"])
    (found,) = read_beir(str(tmp_path)).queries
    assert found.relevant == ("x",)


GOOD = {"documents": DOCUMENTS[:3], "queries": QUERIES[:3], "test": ["q0\td0\t1"]}
BAD = {
    "unknown query": (
        {"test": ["q0\td0\t1", "q9\td0\t1"]},
        "qrels/test.tsv, line 2: judges query 'q9', which",
    ),
    "unknown document": ({"test": [HEADER, "q0\td0\t1", "q0\td9\t1"]}, "qrels/test.tsv, line 3: judges 'd9', which"),
    "score": (
        {"test": ["q0\td0\t1", "q0\td0\thigh"]},
        "qrels/test.tsv, line 2: the score is 'high': expected",
    ),
    "no number": ({"test": ["q0\td0\t1", "q0\td0\tNaN"]}, "qrels/test.tsv, line 2: the score is 'NaN': expected"),
    "fields": ({"test": ["q0\td0\t1", "q0\td0"]}, "qrels/test.tsv, line 2: has 2 fields: expected query, document"),
    "id twice": (
        {"documents": [*DOCUMENTS[:2], DOCUMENTS[0]]},
        "corpus.jsonl, line 3: duplicate _id 'd0', first used",
    ),
    "no id": ({"queries": [QUERIES[0], {"text": "a"}]}, "queries.jsonl, line 2: has no _id"),
    "no text": ({"documents": [DOCUMENTS[0], {"_id": "x", "title": "t"}]}, "corpus.jsonl, line 2: text is NoneType"),
    "empty": (
        {"documents": [DOCUMENTS[0], {"_id": "x", "title": "", "text": " "}]},
        "corpus.jsonl, line 2: text is",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_reported_with_its_file_and_line_or_counted(tmp_path, case):
    change, said = BAD[case]
    content = {**GOOD, **change}
    write(tmp_path, content.pop("documents"), content.pop("queries"), **content)
    with pytest.raises(SourceError) as caught:
        read_beir(str(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path}/{said}")
    assert "`skip_bad`" in str(caught.value)
    assert len(read_beir(str(tmp_path), ReadOptions(skip_bad=True)).skipped) == 1


def test_missing_files_are_reported(tmp_path):
    with pytest.raises(SourceError, match="not a folder: expected one with corpus.jsonl, queries.jsonl and qrels"):
        read_beir(str(tmp_path / "none"))
    with pytest.raises(SourceError, match=r"qrels: no \.tsv file found: expected train\.tsv"):
        read_beir(str(tmp_path))
    write(tmp_path, DOCUMENTS, QUERIES, final=judgements(range(3)))
    with pytest.raises(SourceError, match=r"final\.tsv: unknown part: expected the name train, dev"):
        read_beir(str(tmp_path))
    (tmp_path / "qrels" / "final.tsv").rename(tmp_path / "qrels" / "test.tsv")
    (tmp_path / "corpus.jsonl").unlink()
    with pytest.raises(SourceError, match=r"no corpus\.jsonl"):
        read_beir(str(tmp_path))


@pytest.mark.slow
def test_the_command_prepares_a_folder_that_a_model_is_trained_on(tmp_path, tiny_base):
    done = CliRunner().invoke(app, ["prepare", str(BEIR), "--kind", "beir", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert (
        "14 queries over 29 documents (0 skipped, 0 without a relevant document, 0 judged both ways, 15 judged"
        in done.output
    )
    data = read_prepared(tmp_path / "out")
    assert len(data.qrels["test"]) == 3
    report = adapt(TrainingJob(data, "nature", tiny_base, QUICK, device="cpu"), tmp_path / "model")
    assert report.iterations[1].steps >= 1


def test_what_was_prepared_can_be_prepared_again(tmp_path):
    first = prepared(BEIR, tmp_path / "first")
    again = prepared(tmp_path / "first", tmp_path / "again", split="random")
    assert asked(again) == asked(first)
    assert set(again.corpus.values()) == set(first.corpus.values())


def test_what_has_queries_without_known_documents_can_be_prepared_again_without_them(tmp_path):
    asked_only = tmp_path / "asked.jsonl"
    asked_only.write_text('{"text": "what grows where no sun is"}\n', encoding="utf-8")
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"question": text, "answer": answer} for (_, text), (_, answer) in zip(QUERIES, DOCUMENTS, strict=False)]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    arguments = ["prepare", str(pairs), "--unlabelled", str(asked_only), "--out", str(tmp_path / "first")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    first, again = read_prepared(tmp_path / "first"), prepared(tmp_path / "first", tmp_path / "again", split="random")
    assert asked(again)["train"] == asked(first)["train"] - {"what grows where no sun is"}
    assert again.manifest["counts"]["without_relevant"] == 1


@pytest.mark.parametrize("split", ["grouped", "random"])
def test_an_answer_in_one_part_does_not_count_in_another(tmp_path, split):
    train, test = judgements(range(20)), [*judgements(range(20, 30)), "q0\td39\t1"]
    write(tmp_path / "in", DOCUMENTS, QUERIES, train=train, test=test)
    data = prepared(tmp_path / "in", tmp_path / "out", split=split)
    right = {data.queries[query]: names for query, names in data.qrels["test"].items()}
    assert [data.corpus[name] for name in right[QUERIES[0][1]]] == [DOCUMENTS[39][1]]
    assert QUERIES[0][1] not in asked(data)["train"] | asked(data)["dev"]
    assert data.manifest["counts"]["left_out"] == 1


WAYS = {
    "quotes": (["12", "a b", "007"], ['"12"', '"a b"', "'007'"]),
    "numbers that pandas made decimal": ([12, "34.0", 5.0], ["12.0", "34", "5"]),
    "leading zeros that pandas dropped": (["0012", "034", "5"], ["12", "34", "5"]),
    "ids that are alike stay apart": (["1", "1.0", "01"], ["1", "1.0", "01"]),
    "quotes that belong to the id": (['"one"', 'say "two"', '"three'], ['"one"', 'say "two"', '"three']),
}


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("form", ["{}\t{}\t1", "{}\t0\t{}\t1", '"{}"\t"{}"\t"1"', "{} Q0 {} 1"])
def test_judgements_name_ids_as_programs_write_them(tmp_path, kind, form):
    ids, written = WAYS[kind]
    if " Q0 " in form and any(" " in name for name in written):
        pytest.skip("blanks separate the fields")
    if form.startswith('"') and any('"' in name for name in written):
        pytest.skip("quotes are doubled then")
    documents = [{"_id": name, "text": f"document {n}"} for n, name in enumerate(ids)]
    queries = [{"_id": name, "text": f"query {n}"} for n, name in enumerate(ids)]
    write(tmp_path, documents, queries, train=[form.format(name, name) for name in written])
    found = read_beir(str(tmp_path)).queries
    assert [(each.text, each.relevant) for each in found] == [(f"query {n}", (f"document {n}",)) for n in range(3)]


def test_an_id_that_could_be_two_is_a_bad_row(tmp_path):
    write(tmp_path, [("07", "a"), ("007", "b")], QUERIES, train=[HEADER, "q1\t7\t1"])
    with pytest.raises(SourceError, match="line 2: judges '7', which is not in"):
        read_beir(str(tmp_path))


def test_no_judgement_is_lost_behind_a_quote(tmp_path):
    """The csv module would read on to the next quote."""
    lines = [HEADER, '"q0\td0\t1', *(f"q{n}\td{n}\t1" for n in range(1, 30))]
    write(tmp_path, DOCUMENTS, [('"q0', "quoted"), *QUERIES[1:]], train=lines)
    assert len(read_beir(str(tmp_path)).queries) == 30


@pytest.mark.parametrize("name", ["train.tsv.gz", "TRAIN.TSV", "train.csv"])
def test_judgements_may_be_named_and_compressed_otherwise(tmp_path, name):
    write(tmp_path, DOCUMENTS, QUERIES, train=judgements(range(5)))
    content = (tmp_path / "qrels" / "train.tsv").read_bytes()
    (tmp_path / "qrels" / "train.tsv").unlink()
    content = content.replace(b"\t", b",") if name.endswith("csv") else content
    (tmp_path / "qrels" / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert len(read_beir(str(tmp_path)).queries) == 5


def test_documents_and_queries_may_be_tables_of_another_format(tmp_path):
    import pyarrow
    import pyarrow.parquet

    write(tmp_path, DOCUMENTS, QUERIES, train=judgements(range(5)))
    ids, bodies = zip(*DOCUMENTS, strict=True)
    pyarrow.parquet.write_table(
        pyarrow.table({"_id": ids, "title": [None] * 40, "text": bodies}), tmp_path / "corpus.parquet"
    )
    (tmp_path / "corpus.jsonl").unlink()
    (tmp_path / "queries.jsonl").unlink()
    (tmp_path / "Queries.CSV").write_text("_id,text\n" + "".join(f"{name},{text}\n" for name, text in QUERIES))
    found = read_beir(str(tmp_path))
    assert (len(found.queries), len(found.documents)) == (5, 40)

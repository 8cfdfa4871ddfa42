"""Triplets: read with their place, all that was judged is kept, and mining takes what was judged wrong first."""

import csv
import json
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from router_plugin.cli import app
from tests.conftest import EXAMPLES
from tests.training.prepared.test_preparation import read_beir
from tests.training.samples import FILLERS, QUICK
from training import (
    PrepareOptions,
    ReferenceTriplet,
    SourceError,
    TrainingJob,
    adapt,
    prepare_judged,
    read_prepared,
    read_triplets,
)
from training.mining.hard_negatives import bucket_by_rank
from training.mining.miners import NegativeMiner, TripletMiner
from training.retrieval.ranking import Ranked
from training.retrieval.texts import Texts
from training.sources.judged import JudgedQuery, Judgements, merged
from training.sources.triplets import ANCHOR_COLUMNS, POSITIVE_COLUMNS
from training.splitting.near_duplicates import near_duplicates
from training.tables.options import ReadOptions

TRIPLETS = EXAMPLES / "triplets.jsonl"


def read(folder, rows, *reading, **options):
    path = folder / "triplets.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_triplets(str(path), *reading, **options)


def judged(found):
    return [(each.text, each.relevant, each.non_relevant) for each in found.queries]


@pytest.mark.parametrize("anchor", [" Anchor ", *ANCHOR_COLUMNS])
@pytest.mark.parametrize("positive", ["POS", *POSITIVE_COLUMNS])
def test_usual_columns_are_found_in_any_case(tmp_path, anchor, positive):
    found = read(tmp_path, [{"id": 7, anchor: " a  b ", positive: "c", "Negative": "d"}])
    assert judged(found) == [("a b", ("c",), ("d",))]


@pytest.mark.parametrize(
    "negatives",
    [
        {"negative": ["d", "e"]},
        {"neg": ["d", "", None, "e"]},
        {"negative_1": "d", "negative_2": "e", "negative_3": ""},
        {"hard_negatives": ["d"], "negative 9": "e", "negotiated": "f", "neg_scores": [1, 2]},
    ],
)
def test_negatives_are_columns_or_lists_and_may_be_missing(tmp_path, negatives):
    assert judged(read(tmp_path, [{"query": "a", "pos": ["b", "c"], "prompt": "p", **negatives}])) == [
        ("a", ("b", "c"), ("d", "e"))
    ]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('["n1", "n2"]', ("n1", "n2")),
        ("['n1', 'it is \\'n2\\'']", ("n1", "it is 'n2'")),
        ('["comma, within", "a \\"quote\\""]', ("comma, within", 'a "quote"')),
        ("[]", ()),
        ("[None, 'n1']", ("n1",)),
        ("[1] a footnote", ("[1] a footnote",)),
        ("[2020]", ("[2020]",)),
        ("[sic]", ("[sic]",)),
        ("[__import__('os')]", ("[__import__('os')]",)),
    ],
)
def test_a_cell_of_a_table_may_hold_a_list(tmp_path, cell, expected):
    with (tmp_path / "triplets.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("anchor", "positive", "negative"), ("q", '["a", "b"]', cell)])
    (query,) = read_triplets(str(tmp_path / "triplets.csv")).queries
    assert (query.relevant, query.non_relevant) == (("a", "b"), expected)


def test_named_columns_win_over_the_usual_ones(tmp_path):
    rows = [{"anchor": "a", "positive": "b", "negative": "c", "A": "x", "B": "y", "C": "z", "D": ["u"]}]
    found = read(tmp_path, rows, question="a", answer="b", negative=["c", "D"])
    assert judged(found) == [("x", ("y",), ("z", "u"))]


def test_duplicate_queries_are_merged_and_a_positive_of_one_is_no_negative(tmp_path):
    rows = [{"anchor": "a", "positive": p, "negative": n} for p, n in (("b", ["c", "d"]), ("c", ["e"]), ("b", ["d"]))]
    found = read(tmp_path, rows)
    assert judged(found) == [("a", ("b", "c"), ("d", "e"))]
    assert (found.counts["rows"], found.counts["judged_both_ways"]) == (3, 1)


GOOD = {"anchor": "a", "positive": "b", "negative": "c"}
BAD_ROWS = {
    "no anchor": ({"positive": "b"}, "no question column: expected one of anchor, question"),
    "no positive": ({"anchor": "a"}, "no answer column: expected one of positive, positives"),
    "empty positives": ({"anchor": "a", "positive": []}, "positive is empty: expected a text, or a list of texts"),
    "a number among the negatives": ({**GOOD, "negative": ["x", 7]}, "negative is int: expected text"),
    "unknown part": ({**GOOD, "part": "knee"}, "part is 'knee': expected train, dev"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_reported_with_its_file_and_line_or_counted(tmp_path, case):
    row, said = BAD_ROWS[case]
    with pytest.raises(SourceError) as caught:
        read(tmp_path, [GOOD, row])
    assert str(caught.value).startswith(f"{tmp_path / 'triplets.jsonl'}, line 2: ")
    assert said in str(caught.value)
    assert len(read(tmp_path, [GOOD, row], ReadOptions(skip_bad=True)).skipped) == 1


def test_a_row_without_a_part_beside_others_is_bad(tmp_path):
    with pytest.raises(SourceError, match=r"line 2: has no part, but .*line 1 has one"):
        read(tmp_path, [{**GOOD, "part": "val"}, GOOD])


texts = st.integers(0, 12).map(lambda number: f"{FILLERS[number % 11]} {number * 7} of {number * 13}. It is {number}.")
rows = st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3), st.lists(texts, max_size=4)), min_size=3)
many = settings(max_examples=40)


@many
@given(rows, st.sampled_from(["grouped", "random", "test"]), st.sampled_from([15, 1000]), st.integers(0, 9))
def test_every_judgement_is_in_the_folder_and_no_positive_is_a_negative(tmp_path, rows, split, chunk_characters, seed):
    queries, _ = merged([JudgedQuery("", f"ask {q}", tuple(r), tuple(w)) for q, r, w in rows])
    options = PrepareOptions(split=split, chunk_characters=chunk_characters, seed=seed)
    try:
        prepare_judged(Judgements("samples", "triplets", queries), tmp_path / "out", options, overwrite=True)
    except SourceError:  # too few groups for three parts
        return
    data = read_prepared(tmp_path / "out")
    part_of = {data.queries[query]: part for part, qrels in data.qrels.items() for query in qrels}
    ids = {text: name for name, text in data.queries.items()}
    for query in queries:
        part, name = part_of[query.text], ids[query.text]
        right, wrong = set(data.qrels[part][name]), set(data.negatives.get(part, {}).get(name, ()))
        assert right.isdisjoint(wrong)
        right_text = {data.corpus[document] for document in right}
        assert right_text == {piece for text in query.relevant for piece in pieces(text, chunk_characters)}
        assert {data.corpus[document] for document in wrong} == {
            piece for text in query.non_relevant for piece in pieces(text, chunk_characters)
        } - right_text
    assert len(set(data.corpus.values())) == len(data.corpus)
    if split == "grouped":
        straddles([(query.text, part_of[query.text]) for query in queries])
        straddles([(text, part_of[query.text]) for query in queries for text in query.relevant])


def pieces(text, size):
    return [text] if len(text) <= size else text.replace(". ", ".\n").split("\n")


def straddles(texts_and_parts):
    parts = defaultdict(set)
    for group, (_, part) in zip(near_duplicates([text for text, _ in texts_and_parts]), texts_and_parts, strict=True):
        parts[group].add(part)
    assert all(len(each) == 1 for each in parts.values())


def test_another_reader_finds_the_negatives_with_score_0(tmp_path):
    prepare_judged(read_triplets(str(TRIPLETS)), tmp_path / "out")
    corpus, queries, qrels = read_beir(tmp_path / "out")
    found = defaultdict(set)
    for query, document, score in (row for part in qrels.values() for row in part):
        found[queries[query]["text"]].add((corpus[document]["text"], score))
    source = [json.loads(line) for line in TRIPLETS.read_text(encoding="utf-8").splitlines()]
    assert found == {row["anchor"]: {(row["positive"], 1), *((text, 0) for text in row["negative"])} for row in source}


def test_the_fingerprint_covers_the_negatives(tmp_path):
    queries = [JudgedQuery("", f"question {n} {n * 7}", (f"answer {n * 3}",), ("wrong",)) for n in range(9)]
    fewer = [*queries[:-1], JudgedQuery("", queries[-1].text, queries[-1].relevant)]
    prints = {
        prepare_judged(Judgements("s", "triplets", rows), tmp_path / name)["fingerprint"]
        for name, rows in {"one": queries, "other": fewer}.items()
    }
    assert len(prints) == 2


@pytest.mark.parametrize("split", ["grouped", "random"])
def test_a_column_part_is_the_split(tmp_path, split):
    parts = ["train"] * 6 + ["val"] * 2 + ["test"] * 3
    rows = [
        {"anchor": f"question {n} of {n * 7}", "positive": f"answer {n * 3}", "part": part}
        for n, part in enumerate(parts)
    ]
    prepare_judged(read(tmp_path, rows), tmp_path / "out", PrepareOptions(split=split))
    data = read_prepared(tmp_path / "out")
    assert {part: len(qrels) for part, qrels in data.qrels.items()} == {"train": 6, "dev": 2, "test": 3}


def test_hard_negatives_are_the_judged_ones_first_and_none_of_them_is_easy():
    found = bucket_by_rank(np.arange(1, 101), {3}, [30, 200, 2, 3])
    assert found.hard_negatives == [2, 30, 200, 1, *range(4, 16)]
    assert found.easy_negatives == [each for each in range(16, 101) if each != 30]


def example_texts(folder):
    prepare_judged(read_triplets(str(TRIPLETS)), folder / "data")
    data = read_prepared(folder / "data")
    wrong = {
        data.queries[query]: {data.corpus[name] for name in names} for query, names in data.negatives["train"].items()
    }
    return data, wrong


def test_a_query_learns_from_what_was_judged_wrong_before_anything_else(tmp_path):
    data, wrong = example_texts(tmp_path)
    texts = Texts(data)
    count, queries = len(texts.documents), len(texts.queries["train"])
    order = np.array([np.random.default_rng(row).permutation(count) for row in range(queries)])
    ranked = Ranked(order, np.full(order.shape, 0.9, np.float32), np.full(queries, 0.5, np.float32))
    miner = NegativeMiner(texts, 3, 4, 1, 0.0, 0.9)
    assert miner.mine(ranked, 1) == 0  # what no one judged is too likely to be right
    columns = miner.examples(1).columns
    rows = list(zip(columns["anchor"], columns["negative_1"], strict=True))
    assert len(rows) == 3 * queries
    assert all(negative in wrong[anchor] for anchor, negative in rows if anchor in wrong)
    assert {anchor for anchor, _ in rows} >= set(wrong) != set()
    triplets = TripletMiner(texts, 0)
    triplets.mine(ranked, 1)
    found = triplets.examples(1).columns
    assert found["anchor"]
    assert all(
        negative in wrong[anchor]
        for anchor, negative in zip(found["anchor"], found["negative"], strict=True)
        if anchor in wrong
    )


def test_a_near_duplicate_of_a_positive_is_no_negative_even_if_judged_one(tmp_path):
    queries = [
        JudgedQuery("", f"question {n} of {n * 7}", (f"Answer {n * 3}",), (f"answer {n * 3}!", f"wrong {n}"))
        for n in range(9)
    ]
    prepare_judged(Judgements("s", "triplets", queries), tmp_path / "out")
    texts = Texts(read_prepared(tmp_path / "out"))
    miner = NegativeMiner(texts, 5, 4, 1, 0.0, 1.0, [[] for _ in texts.queries["train"]])
    assert all(text.startswith("wrong") for text in miner.examples(1).columns["negative_1"])


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [QUICK, ReferenceTriplet(iterations=1)], ids=["contrastive", "triplet"])
def test_a_model_is_trained_on_triplets(tmp_path, tiny_base, recipe):
    data, _ = example_texts(tmp_path)
    report = adapt(TrainingJob(data, "nature", tiny_base, recipe, device="cpu"), tmp_path / "model")
    assert report.dataset.counts["judged_negatives"] == 15
    assert len(report.iterations) == 2


def test_the_command_reports_what_it_read_and_refuses_options_of_other_kinds(tmp_path):
    command = ["prepare", str(TRIPLETS), "--kind", "triplets", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*command, "--question", "anchor", "--negative", "negative"])
    assert done.exit_code == 0, done.output
    assert "14 rows (0 skipped, 0 judged both ways, 15 judged negatives)" in done.output
    done = CliRunner().invoke(app, [*command, "--overwrite", "--where", "a=b"])
    assert str(done.exception) == "--where cannot be used with --kind triplets"

"""Labelled texts: read with their place, divided into documents and queries, trained on without false negatives."""

import json
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from registry import OutputError, Profile
from router_plugin.cli import app
from tests.conftest import EXAMPLES, shared_data
from tests.training.prepared.test_preparation import read_beir
from tests.training.samples import FILLERS, QUICK
from training import SourceError, SplitOptions, TrainingJob, adapt, prepare_labels, read_labels, read_prepared
from training.mining.miners import NegativeMiner, TripletMiner
from training.retrieval.ranking import Ranked
from training.retrieval.texts import Texts
from training.sources.labels import LABEL_COLUMNS, TEXT_COLUMNS, Labelled, Labels
from training.splitting.near_duplicates import near_duplicates
from training.tables.column_filter import ColumnFilter
from training.tables.options import ReadOptions

ROUTES = EXAMPLES / "labelled_routes.jsonl"


def write(folder, rows):
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(folder, rows, *reading, **options):
    return read_labels(str(write(folder, rows)), *reading, **options)


@pytest.mark.parametrize("text", ["Text", *TEXT_COLUMNS])
@pytest.mark.parametrize("label", [" INTENT ", *LABEL_COLUMNS])
def test_usual_columns_are_found_in_any_case(tmp_path, text, label):
    (found,) = read(tmp_path, [{"id": 7, text: " how  do I pay ", label: "billing"}]).texts
    assert (found.text, found.label) == ("how do I pay", "billing")


def test_named_columns_win_over_the_usual_ones(tmp_path):
    rows = [{"text": "a", "label": "b", "Title": "c", "group": 4}]
    (found,) = read(tmp_path, rows, text="title", label="Group").texts
    assert (found.text, found.label) == ("c", "4")


def test_a_label_of_several_domains_is_a_different_one_in_each(tmp_path):
    said = [
        ("stop my card", "cancel", "banking"),
        ("no flight for me", "cancel", "travel"),
        ("a seat", "book", "travel"),
    ]
    rows = [dict(zip(("text", "label", "domain"), row, strict=True)) for row in said]
    assert [each.label for each in read(tmp_path, rows).texts] == ["banking: cancel", "travel: cancel", "book"]
    other = [*rows, {"text": "stop my card", "label": "cancel", "domain": "travel"}]
    with pytest.raises(SourceError, match="line 4: 'stop my card' has the label 'travel: cancel'"):
        read(tmp_path, other)


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_rows_without_a_label_are_counted_and_left_out(tmp_path, nothing):
    found = read(tmp_path, [{"text": "a", "label": "x"}, {"text": "b", "label": nothing}])
    assert ([each.text for each in found.texts], found.out_of_scope) == (["a"], 1)


def test_a_duplicate_text_counts_once_whatever_its_case(tmp_path):
    found = read(tmp_path, [{"text": text, "label": "x"} for text in ("Pay now", "pay  NOW", "later")])
    assert ([each.text for each in found.texts], found.repeated) == (["Pay now", "later"], 1)


GOOD = {"text": "a", "label": "x"}
BAD_ROWS = {
    "no text column": ([GOOD, {"body": "b", "label": "x"}], 2, "no text column: expected one of text, query"),
    "no label column": ([GOOD, {"text": "b"}], 2, "no label column: expected one of label, intent"),
    "empty text": ([GOOD, {"text": " ", "label": "x"}], 2, "text is empty: expected text"),
    "list as label": ([GOOD, {"text": "b", "label": ["x"]}], 2, "label is list: expected text"),
    "unknown part": (
        [{**GOOD, "part": "val"}, {**GOOD, "part": "knee"}],
        2,
        "part is 'knee': expected train, dev, val, validation, test",
    ),
    "no part beside others": ([{**GOOD, "part": "dev"}, {"text": "b", "label": "x"}], 2, "line 1 has one"),
    "two labels": ([GOOD, {"text": "b", "label": "x"}, {"text": "A", "label": "y"}], 3, "line 1 it has 'x'"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_reported_with_its_file_and_line_and_what_was_expected(tmp_path, case):
    rows, line, expected = BAD_ROWS[case]
    with pytest.raises(SourceError) as caught:
        read(tmp_path, rows)
    assert str(caught.value).startswith(f"{tmp_path / 'texts.jsonl'}, line {line}: ")
    assert expected in str(caught.value)
    assert "`skip_bad`" in str(caught.value)


@pytest.mark.parametrize("case", BAD_ROWS)
def test_skip_bad_counts_the_bad_row_and_keeps_the_good_ones(tmp_path, case):
    rows, line, _ = BAD_ROWS[case]
    found = read(tmp_path, rows, ReadOptions(skip_bad=True))
    assert [each.text for each in found.texts] == ["a", "b"][: len(rows) - 1]
    assert len(found.skipped) == 1 and found.skipped[0].startswith(f"{found.source}, line {line}: ")


DOMAINS = [
    {"text": "is it open", "label": "hours", "Domain": "bank"},
    {"text": "is it open", "label": "status", "Domain": "shop"},
    {"text": "a loan", "label": "loans", "Domain": "bank"},
    {"text": "hello", "label": None, "Domain": None},
]


def test_rows_that_do_not_match_are_not_checked(tmp_path):
    found = read(tmp_path, DOMAINS, where=ColumnFilter("domain", ("bank",)))
    assert [(each.text, each.label) for each in found.texts] == [("is it open", "hours"), ("a loan", "loans")]
    assert found.out_of_scope == 0


def test_a_value_that_no_row_has_is_reported(tmp_path):
    with pytest.raises(SourceError, match="`where` domain=law: no row has that value: found bank, shop"):
        read(tmp_path, DOMAINS, where=ColumnFilter("domain", ("law",)))


def test_a_source_without_any_label_is_reported(tmp_path):
    with pytest.raises(SourceError, match=r"texts\.jsonl: no row has a label"):
        read(tmp_path, DOMAINS[3:])


def labels(sizes, columns=lambda number: {}):
    """So many texts of each label, none like another."""
    texts = [
        Labelled(f"line {number}", f"{FILLERS[number % 11]} {number * 7} or {number} of {label * 13}", f"l{label}", {})
        for label, size in enumerate(sizes)
        for number in range(100 * label, 100 * label + size)
    ]
    return Labels("samples", [Labelled(t.place, t.text, t.label, columns(n)) for n, t in enumerate(texts)])


def prepared(source, folder, **options):
    prepare_labels(source, folder, SplitOptions(**options), overwrite=True)
    return read_prepared(folder)


many = settings(max_examples=20)
sizes = st.lists(st.integers(4, 15), min_size=3, max_size=6)


@many
@given(sizes, st.sampled_from(["grouped", "random"]), st.integers(0, 100))
def test_every_text_is_a_document_or_a_query_and_relevant_is_what_has_its_label(tmp_path, sizes, split, seed):
    source = labels(sizes)
    try:
        data = prepared(source, tmp_path / "out", split=split, seed=seed)
    except SourceError:  # too few for three parts
        assume(False)
    label = {each.text: each.label for each in source.texts}
    assert set(data.corpus.values()).isdisjoint(data.queries.values())
    assert data.manifest["counts"]["left_out"] == len(label) - len(data.corpus) - len(data.queries)
    by_label = defaultdict(set)
    for name, text in data.corpus.items():
        by_label[label[text]].add(name)
    for part in data.qrels.values():
        for query, documents in part.items():
            assert set(documents) == by_label[label[data.queries[query]]] != set()
    training = [label[data.queries[query]] for query in data.qrels["train"]]
    for name, documents in by_label.items():
        assert len(documents) - training.count(name) in (0, 1)


def test_another_reader_finds_the_same_in_the_folder(tmp_path):
    data = prepared(labels([8, 9, 10]), tmp_path / "out")
    corpus, queries, qrels = read_beir(tmp_path / "out")
    assert ({name: row["text"] for name, row in corpus.items()}, len(queries)) == (data.corpus, len(data.queries))
    for split, rows in qrels.items():
        assert [(query, name, 1) for query, names in data.qrels[split].items() for name in names] == rows


def test_no_near_duplicate_straddles_a_grouped_split(tmp_path):
    texts = labels([20, 20, 20]).texts
    copies = [Labelled(each.place, f"{each.text}!!", each.label) for each in texts[::3]]
    data = prepared(Labels("samples", [*texts, *copies]), tmp_path / "out")
    groups = dict(zip((each.text for each in texts), near_duplicates([each.text for each in texts]), strict=True))
    group = {f"{text}!!": number for text, number in groups.items()} | groups
    parts = [{group[data.queries[query]] for query in part} for part in data.qrels.values()]
    training = parts[0] | {group[text] for text in data.corpus.values()}
    assert training.isdisjoint(parts[1] | parts[2]) and parts[1].isdisjoint(parts[2])


def part_of(number):
    return ("train", "train", "train", "dev", "test")[number % 5]


@pytest.mark.parametrize("split", ["grouped", "random"])
@pytest.mark.parametrize("given_parts", [{"dev", "test"}, {"test"}, {"dev"}])
def test_the_column_part_gives_the_splits_and_missing_parts_are_drawn(tmp_path, split, given_parts):
    def columns(number):
        return {"part": part_of(number) if part_of(number) in given_parts else "train"}

    source = labels([25, 25, 25], columns)
    data = prepared(source, tmp_path / "out", split=split)
    named = {each.text: each.columns["part"] for each in source.texts}
    for part, asked in data.qrels.items():
        found = {named[data.queries[query]] for query in asked}
        assert found == {part if part in given_parts else "train"}
        assert part not in given_parts or len(asked) == 15
    assert {named[text] for text in data.corpus.values()} == {"train"}


def test_the_usual_names_of_parts_are_known(tmp_path):
    rows = [{"text": str(n), "label": "x", "Part": part} for n, part in enumerate(("Train", "VAL", "validation"))]
    assert [each.columns["part"] for each in read(tmp_path, rows).texts] == ["train", "dev", "dev"]


@pytest.mark.parametrize(("split", "left_out"), [("grouped", 1), ("random", 0)])
def test_near_duplicates_of_test_texts_are_left_out_of_training_and_counted(tmp_path, split, left_out):
    source = labels([25, 25], lambda number: {"part": part_of(number)})
    source.texts.append(Labelled("line 99", f"{source.texts[4].text}!", "l0", {"part": "train"}))
    data = prepared(source, tmp_path / "out", split=split)
    assert data.manifest["counts"]["left_out"] == left_out
    assert (source.texts[-1].text in {*data.corpus.values(), *data.queries.values()}) == (not left_out)


def test_texts_with_a_label_unknown_to_training_are_left_out_and_counted(tmp_path):
    source = labels([25, 25], lambda number: {"part": part_of(number)})
    source.texts.append(Labelled("line 99", "never seen in training", "new", {"part": "test"}))
    counts = prepared(source, tmp_path / "out").manifest["counts"]
    assert (counts["left_out"], counts["test_queries"], counts["labels"]) == (1, 10, 3)


def test_the_manifest_says_what_is_there(tmp_path):
    source = read_labels(str(ROUTES), where=ColumnFilter("route", ("tests", "medicines")))
    manifest = prepare_labels(source, tmp_path / "out", SplitOptions(seed=3, test_size=0.3))
    assert manifest == read_prepared(tmp_path / "out").manifest
    assert (manifest["kind"], manifest["source"]) == ("labels", str(ROUTES))
    assert manifest["options"] == {
        "split": "grouped",
        "test_size": 0.3,
        "seed": 3,
        "hold_out": [],
        "hold_out_dev": [],
        "where": {"column": "route", "values": ["tests", "medicines"]},
    }
    counts = manifest["counts"]
    assert (counts["texts"], counts["labels"], counts["skipped"], counts["repeated"]) == (12, 2, 0, 0)
    assert counts["chunks"] + counts["queries"] == 12
    assert counts["queries"] == counts["train_queries"] + counts["dev_queries"] + counts["test_queries"]


def test_the_seed_decides_which_texts_are_documents(tmp_path):
    prints = [prepared(labels([9, 9, 9]), tmp_path / str(n), seed=seed).fingerprint for n, seed in enumerate((1, 1, 2))]
    assert prints[0] == prints[1] != prints[2]


REFUSED = {
    "nothing but tests": (labels([9, 9]), {"split": "test"}, "`split` test cannot be used with labelled texts"),
    "held out twice": (
        labels([9, 9], lambda number: {"part": part_of(number)}),
        {"hold_out": (ColumnFilter("a", ("b",)),)},
        "`hold_out` cannot be used with a column 'part'",
    ),
    "one label": (labels([30]), {}, "samples: all training texts have the label 'l0': expected at least two labels"),
    "one text of each label": (labels([1] * 30), {}, "samples: no train text shares its label with a training text"),
    "too few": (labels([2]), {}, "2 rows cannot be split three ways"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_labels_without_anything_to_learn_are_refused_and_leave_nothing_behind(tmp_path, case):
    source, options, said = REFUSED[case]
    with pytest.raises(SourceError) as caught:
        prepared(source, tmp_path / "out", **options)
    assert str(caught.value).startswith(said)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_refused(tmp_path):
    prepare_labels(labels([9, 9]), tmp_path / "out")
    with pytest.raises(OutputError, match="out: exists already"):
        prepare_labels(labels([9, 9]), tmp_path / "out")


@many
@given(sizes, st.integers(1, 12), st.integers(0, 2), st.integers(0, 1000))
def test_no_example_has_a_negative_of_its_own_label_mined_or_in_its_batch(tmp_path, sizes, batch, negatives, seed):
    source = labels(sizes)
    try:
        texts = Texts(prepared(source, tmp_path / "out", seed=seed))
    except SourceError:
        assume(False)
    label = {each.text: each.label for each in source.texts}
    scores = np.random.default_rng(seed).random((len(texts.queries["train"]), len(texts.documents)), dtype=np.float32)
    order = np.argsort(-scores, axis=1)
    best = np.array([row[sorted(right)].max() for row, right in zip(scores, texts.relevant["train"], strict=True)])
    ranked = Ranked(order, np.take_along_axis(scores, order, axis=1), best)
    miner = NegativeMiner(texts, 3, batch, negatives, 0.5, 0.95)
    miner.mine(ranked, seed)
    examples = miner.examples(seed)
    assert examples.batches and sum(examples.batches) == len(examples)
    rows = list(zip(*([label[text] for text in column] for column in examples.columns.values()), strict=True))
    for start, size in zip(np.cumsum([0, *examples.batches]), examples.batches, strict=False):
        for row, (asked, positive, *wrong) in enumerate(rows[start : start + size]):
            others = [
                name for other, each in enumerate(rows[start : start + size]) if other != row for name in each[1:]
            ]
            assert positive == asked and asked not in (*wrong, *others)
    triplets = TripletMiner(texts, 2)
    triplets.mine(ranked, seed)
    columns = triplets.examples(seed).columns
    for anchor, positive, negative in zip(columns["anchor"], columns["positive"], columns["negative"], strict=True):
        assert label[anchor] == label[positive] != label[negative]


@pytest.mark.slow
def test_a_model_is_trained_whose_profile_has_documents_as_queries_too(tmp_path, tiny_base):
    prepare_labels(read_labels(str(ROUTES)), tmp_path / "data")
    data = read_prepared(tmp_path / "data")
    report = adapt(TrainingJob(data, "routes", tiny_base, QUICK, device="cpu"), tmp_path / "model")
    counts = report.dataset.counts
    assert report.iterations[1].steps >= 1
    profile = Profile.load(tmp_path / "model")
    assert profile.lexical.shape[0] == len(profile.embeddings) == counts["train_queries"] + counts["chunks"]


def command(*arguments):
    return CliRunner().invoke(app, ["prepare", *map(str, arguments)])


def test_the_command_writes_the_same_and_says_what_was_left_out(tmp_path):
    done = command(ROUTES, "--kind", "labels", "--out", tmp_path / "out", "--text", "TEXT", "--label", "route")
    assert done.exit_code == 0
    assert "46 texts of 8 labels (0 skipped, 24 without a label, 0 repeated)" in done.output
    prepare_labels(read_labels(str(ROUTES)), tmp_path / "other")
    assert read_prepared(tmp_path / "out").manifest == read_prepared(tmp_path / "other").manifest


def test_the_command_reports_the_bad_rows_that_it_skipped(tmp_path):
    lines = ROUTES.read_text(encoding="utf-8") + '{"text": 7}\n'
    source = tmp_path / "texts.jsonl"
    source.write_text(lines, encoding="utf-8")
    done = command(source, "--kind", "labels", "--out", tmp_path / "out", "--skip-bad", "--json")
    assert "line 71: text is int" in json.loads(done.stdout)["skipped_rows"][0]


@pytest.mark.parametrize(
    ("given_options", "said"),
    [
        (("--kind", "labels", "--question", "a"), "--question cannot be used with --kind labels"),
        (("--kind", "labels", "--chunk-characters", "9"), "--chunk-characters cannot be used with --kind labels"),
        (("--where", "a=b"), "--where cannot be used with --kind pairs"),
    ],
)
def test_an_option_of_another_kind_is_a_mistake(tmp_path, given_options, said):
    done = command(ROUTES, "--out", tmp_path / "out", *given_options)
    assert (str(done.exception), list(tmp_path.iterdir())) == (said, [])


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "where", "counts"),
    [
        ("clinc150", None, {"texts": 22_495, "labels": 150, "out_of_scope": 1200, "dev_queries": 3000, "skipped": 4}),
        (
            "clinc150",
            ColumnFilter("domain", ("credit_cards",)),
            {"texts": 2250, "labels": 15, "train_queries": 750, "test_queries": 450},
        ),
        ("banking77", None, {"texts": 13_071, "labels": 77, "repeated": 12, "test_queries": 3072}),
    ],
)
def test_published_splits_are_honoured(tmp_path, name, where, counts):
    path = shared_data(f"{name}.jsonl.gz")
    source = read_labels(str(path), ReadOptions(skip_bad=True), where=where)
    found = prepare_labels(source, tmp_path / "out", SplitOptions(split="random"))["counts"]
    assert {key: found[key] for key in counts} == counts

"""A document that is the query itself is recorded where its text does not show it, and is no negative."""

import json

import pytest

from tests.training.samples import QUICK, prepared, word_pairs
from training import (
    PrepareOptions,
    ReferenceTriplet,
    TrainingJob,
    adapt,
    prepare,
    prepare_judged,
    prepare_labels,
    read_beir,
    read_labels,
    read_prepared,
    read_triplets,
)
from training.prepared.joined import join
from training.retrieval.encoding import load_model
from training.retrieval.metrics import retrieval_metrics
from training.retrieval.ranking import ranking
from training.retrieval.texts import Texts
from training.sources.own_documents import OWN
from training.sources.pairs import Pair, Pairs

WORDINGS = [
    (f"How do I {verb} my {noun}?", f"what is the way to {verb} a {noun}")
    for verb, noun in (("reset", "password"), ("close", "account"), ("renew", "passport"), ("find", "lawyer"))
]


def write_beir(folder, documents, queries, judged, part="test"):
    (folder / "qrels").mkdir(parents=True)
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    lines = "".join(f"{query}\t{document}\t{score}\n" for query, document, score in judged)
    (folder / "qrels" / f"{part}.tsv").write_text(lines, encoding="utf-8")
    return folder


def prepared_beir(source, out, **options):
    prepare_judged(read_beir(str(source)), out, PrepareOptions(**options))
    return read_prepared(out)


def own_texts(data, split="test"):
    """By the text of a query the texts of its own documents."""
    texts = Texts(data)
    return {
        query: {texts.documents[position] for position in own}
        for query, own in zip(texts.queries[split], texts.own[split], strict=True)
        if own
    }


def test_questions_that_are_documents_too_are_their_own(tmp_path):
    both = {f"{side}{n}": wording for n, pair in enumerate(WORDINGS) for side, wording in zip("ab", pair, strict=True)}
    rows = [{"_id": name, "text": text} for name, text in both.items()]
    judged = [(f"a{n}", f"b{n}", 1) for n in range(4)] + [(f"b{n}", f"a{n}", 1) for n in range(4)]
    data = prepared_beir(write_beir(tmp_path / "in", rows, rows, judged), tmp_path / "out")
    assert own_texts(data) == {text: {text} for text in both.values()}
    assert data.manifest["counts"]["own_text"] == 8
    assert not data.own and not (tmp_path / "out" / OWN).exists()


def test_an_id_that_queries_and_documents_share_by_chance_means_nothing(tmp_path):
    documents = [{"_id": str(n), "text": f"an answer about {n}"} for n in range(4)]
    queries = [{"_id": str(n), "text": f"a question about {n}"} for n in range(4)]
    data = prepared_beir(write_beir(tmp_path / "in", documents, queries, [("0", "1", 1)]), tmp_path / "out")
    assert own_texts(data) == {}
    assert "own_text" not in data.manifest["counts"]


LONG = "Plants are good for you. They are good for the planet, too. Nobody has to suffer for them. Eat more of them."


@pytest.mark.parametrize("title", ["", "Vegetarian food"])
@pytest.mark.parametrize("size", [40, 1000])
def test_every_chunk_of_a_document_with_the_querys_id_and_words_is_its_own(tmp_path, title, size):
    documents = [
        {"_id": "pro", "title": title, "text": LONG},
        {"_id": "con", "title": "Meat", "text": "Meat has iron. Plants have less of it."},
    ]
    queries = [{"_id": "pro", "text": LONG.replace(",", "").upper()}]
    source = write_beir(tmp_path / "in", documents, queries, [("pro", "con", 1)])
    data = prepared_beir(source, tmp_path / "out", chunk_characters=size)
    (own,) = own_texts(data).values()
    assert own == {text for text in data.corpus.values() if "Meat" not in text and "less of" not in text}
    assert "own_text" in data.manifest["counts"]
    again = prepared_beir(tmp_path / "out", tmp_path / "again", chunk_characters=size)
    assert own_texts(again) == own_texts(data)
    joined = Texts(join({"one": data, "two": again}))
    assert [len(each) for each in joined.own["test"]] == [len(own)] * 2
    assert all(joined.documents[position] in own for each in joined.own["test"] for position in each)


def test_an_edit_of_the_own_documents_is_detected(tmp_path):
    documents = [{"_id": "a", "title": "Title", "text": "the text"}, {"_id": "b", "text": "other"}]
    source = write_beir(tmp_path / "in", documents, [{"_id": "a", "text": "The text!"}], [("a", "b", 1)])
    data = prepared_beir(source, tmp_path / "out")
    assert list(data.own.values()) == [["c-0"]]
    (tmp_path / "out" / OWN).unlink()
    with pytest.raises(Exception, match="were changed after they were prepared"):
        read_prepared(tmp_path / "out")


def test_what_the_data_call_relevant_stays_relevant(tmp_path):
    pairs = [Pair(text, text.upper()) for pair in WORDINGS for text in pair]
    prepare(Pairs("same", pairs), tmp_path / "out", PrepareOptions(split="test"))
    data = read_prepared(tmp_path / "out")
    assert own_texts(data) == {}
    assert all(len(names) == 1 for names in data.qrels["test"].values())


@pytest.mark.parametrize("split", ["test", "random", "grouped"])
def test_a_question_that_another_pair_has_as_its_answer_is_its_own(tmp_path, split):
    pairs = [Pair(*pair) for pair in WORDINGS] + [Pair(answer.upper(), question) for question, answer in WORDINGS]
    prepare(Pairs("both", pairs), tmp_path / "out", PrepareOptions(split=split))
    data = read_prepared(tmp_path / "out")
    found = {query: own for part in data.qrels for query, own in own_texts(data, part).items()}
    assert {query.casefold() for query in found} == {text.casefold() for pair in WORDINGS for text in pair}
    assert all({text.casefold() for text in own} == {query.casefold()} for query, own in found.items())
    assert data.manifest["counts"]["own_text"] == len(data.queries)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [QUICK, ReferenceTriplet(iterations=1, epochs=1)], ids=lambda recipe: recipe.name)
def test_a_model_is_trained_on_questions_that_are_documents(tmp_path, tiny_base, recipe):
    pairs = word_pairs()
    both = [*pairs, *(Pair(pair.answer, pair.question) for pair in pairs)]
    data = prepared(both, tmp_path / "data", test_size=0.3)
    report = adapt(TrainingJob(data, "words", tiny_base, recipe, device="cpu"), tmp_path / "out")
    texts, model = Texts(data), load_model(tmp_path / "out", "cpu")
    queries, documents = model.encode_query(texts.queries["test"]), model.encode_document(list(texts.documents))
    found = ranking(queries, documents, 100, left_out=texts.own["test"])
    assert all(texts.own["test"])
    measured = retrieval_metrics(found, texts.relevant["test"])
    assert measured["mrr@5"] == pytest.approx(report.adapted_metrics["test"]["mrr@5"], abs=1e-3)


@pytest.mark.slow
def test_a_corpus_of_which_one_document_is_left_can_be_measured_on(tmp_path, tiny_base):
    documents = [{"_id": "a", "text": "one question"}, {"_id": "b", "text": "one answer"}]
    source = write_beir(tmp_path / "in", documents, [{"_id": "a", "text": "One question"}], [("a", "b", 1)])
    alone = prepared_beir(source, tmp_path / "alone")
    data = prepared(word_pairs(), tmp_path / "data", test_size=0.3)
    job = TrainingJob(data, "words", tiny_base, QUICK, extra_test_sets={"alone": alone}, device="cpu")
    assert adapt(job, tmp_path / "out").extra_test_sets["alone"].base["mrr@1"] == 1


def test_an_anchor_is_no_negative_of_itself(tmp_path):
    rows = [
        {"anchor": question, "positive": answer, "negative": [f"{question.upper()} ", f"wrong {question}"]}
        for question, answer in WORDINGS
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    prepare_judged(read_triplets(str(tmp_path / "in.jsonl")), tmp_path / "out", PrepareOptions(split="test"))
    data = read_prepared(tmp_path / "out")
    wrong = {
        data.queries[query]: [data.corpus[name] for name in names] for query, names in data.negatives["test"].items()
    }
    assert wrong == {question: [f"wrong {question}"] for question, _ in WORDINGS}
    assert data.manifest["counts"]["own_text"] == 4


def test_a_labelled_text_in_two_forms_is_one(tmp_path):
    rows = [(f"caf\u00e9 {number}", "drink") for number in range(9)] + [
        (f"bread {number}", "food") for number in range(9)
    ]
    rows += [(text.replace("\u00e9", "e\u0301").upper(), label) for text, label in rows]
    (tmp_path / "in.jsonl").write_text(
        "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows), encoding="utf-8"
    )
    manifest = prepare_labels(read_labels(str(tmp_path / "in.jsonl")), tmp_path / "out")
    assert manifest["counts"]["texts"] == manifest["counts"]["repeated"] == 18
    data = read_prepared(tmp_path / "out")
    assert not {text.casefold() for text in data.corpus.values()} & {text.casefold() for text in data.queries.values()}

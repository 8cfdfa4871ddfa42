"""Every kind of source reads the normal forms of a text as one text."""

import json
import unicodedata

import pytest

from router_plugin import read_labelled_queries
from router_plugin.plugins.routes_source import read_routes
from training import (
    PrepareOptions,
    SourceError,
    prepare,
    read_beir,
    read_labels,
    read_logs,
    read_pairs,
    read_prepared,
    read_triplets,
)
from training.tables.column_filter import ColumnFilter
from training.tables.options import ReadOptions

FORMS = ("NFC", "NFD")
TEXTS = [
    "où est ma carte",
    "ça marche où",
    "Crème brûlée",
    "한국어 질문",
    "tiếng Việt ở đâu",
    "à bientôt",
    "naïveté",
    "Ångström",
]


def form(text, name):
    return unicodedata.normalize(name, text)


def write(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("split", ["grouped", "test"])
def test_pairs(tmp_path, split):
    rows = [{"question": form(text, name), "answer": form(f"é {text} ?", name)} for name in FORMS for text in TEXTS]
    prepare(read_pairs(write(tmp_path / "in.jsonl", rows)), tmp_path / "out", PrepareOptions(split=split))
    data = read_prepared(tmp_path / "out")
    assert len(data.corpus) == len(data.queries) == len(TEXTS)
    assert {*data.queries.values()} == set(TEXTS)
    assert sum(map(len, data.qrels.values())) == len(TEXTS)


def test_unlabelled_questions(tmp_path):
    known = write(tmp_path / "in.jsonl", [{"question": text, "answer": f"answer to {text}"} for text in TEXTS])
    asked = write(tmp_path / "asked.jsonl", [{"text": form(text.upper(), "NFD")} for text in [*TEXTS, "élan", "ÉLAN"]])
    prepare(read_pairs(known, unlabelled=asked), tmp_path / "out")
    data = read_prepared(tmp_path / "out")
    assert [text for name, text in data.queries.items() if name.startswith("u")] == ["ÉLAN"]


def test_labels_and_the_names_of_columns_and_values(tmp_path):
    rows = [
        {
            form("tëxt", name): form(text, name),
            form("catégorie", other): form("réponse", name),
            "ville": form("Orléans", name),
        }
        for name, other in zip(FORMS, reversed(FORMS), strict=True)
        for text in TEXTS
    ]
    source = write(tmp_path / "in.jsonl", [*rows, {"tëxt": "x", "catégorie": "y", "ville": "Paris"}])
    where = ColumnFilter("ville", (form("Orléans", "NFD"),))
    found = read_labels(source, text=form("tëxt", "NFD"), label="catégorie", where=where)
    assert [each.text for each in found.texts] == TEXTS
    assert {each.label for each in found.texts} == {"réponse"}
    assert found.repeated == len(TEXTS)
    assert ColumnFilter.parse(form("ville=Orléans", "NFD")) == ColumnFilter("ville", ("Orléans",))


def test_a_text_with_two_labels_in_two_forms_is_a_bad_row(tmp_path):
    rows = [{"text": form("ça va", name), "label": name} for name in FORMS]
    with pytest.raises(SourceError, match="line 2: 'ça va' has the label 'NFD'"):
        read_labels(write(tmp_path / "in.jsonl", rows))


def test_logs(tmp_path):
    rows = [
        {"query": form("ça va", name), "route": form("réponse", name), "accepted": accepted}
        for name, accepted in (("NFC", True), ("NFD", True), ("NFD", False))
    ]
    found = read_logs(write(tmp_path / "in.jsonl", rows))
    assert [(each.text, each.label) for each in found.texts] == [("ça va", "réponse")]
    assert (found.repeated, found.set_aside["rejected"]) == (1, 1)


def test_triplets(tmp_path):
    rows = [
        {"anchor": form("où", name), "positive": form("là", name), "negative": [form("là", other), form("ça", other)]}
        for name, other in zip(FORMS, reversed(FORMS), strict=True)
    ]
    (query,) = read_triplets(write(tmp_path / "in.jsonl", rows)).queries
    assert (query.text, query.relevant, query.non_relevant) == ("où", ("là",), ("ça",))


def test_beir(tmp_path):
    (tmp_path / "qrels").mkdir()
    write(
        tmp_path / "corpus.jsonl", [{"_id": form("né", "NFD"), "text": form("là", "NFD")}, {"_id": "n", "text": "LÀ"}]
    )
    write(tmp_path / "queries.jsonl", [{"_id": f"q{name}", "text": form("où ?", name)} for name in FORMS])
    rows = f"qNFC\t{form('né', 'NFC')}\t1\nqNFD\tn\t1\n"
    (tmp_path / "qrels" / "test.tsv").write_text(rows, encoding="utf-8")
    (query,) = read_beir(str(tmp_path)).queries
    assert (query.text, query.relevant) == ("où ?", ("là",))


def test_routes_and_labelled_queries(tmp_path):
    name = form("réclamation", "NFD")
    text = f"routes:\n- name: {name}\n  utterances: [{form('ça va', 'NFD')}, ÇA VA, là]\n"
    (tmp_path / "routes.yaml").write_text(text, encoding="utf-8")
    found = read_routes(str(tmp_path / "routes.yaml"), ReadOptions())
    assert [(each.text, each.label) for each in found.texts] == [("ça va", "réclamation"), ("là", "réclamation")]
    queries = write(tmp_path / "queries.jsonl", [{"text": form("où", "NFD"), "route": form(name, "NFC")}])
    assert read_labelled_queries(tmp_path / "queries.jsonl", known=[name]) == (["où"], [name]), queries


def test_a_text_of_which_nothing_can_be_seen_is_a_bad_row(tmp_path):
    rows = [{"question": "q", "answer": "a"}, {"question": "\u200b\ufeff", "answer": "b"}]
    with pytest.raises(SourceError, match="line 2: question is empty"):
        read_pairs(write(tmp_path / "in.jsonl", rows))


@pytest.mark.parametrize("text", ["TYPO  in a Naïve\ttext", "ﬁne", "ｆｕｌｌ", "İ"])
def test_what_is_written_keeps_its_letters(tmp_path, text):
    found = read_pairs(write(tmp_path / "in.jsonl", [{"question": text, "answer": text}])).pairs[0]
    assert found.question == found.answer == " ".join(text.split())

"""What looks wrong in the data is found, counted and shown."""

from __future__ import annotations

import pytest
from sentence_transformers import SentenceTransformer

from registry import BaseModelFiles
from registry.model_folders.loading import load_sentence_transformer
from tests.training.assessment.samples import texts
from training.assessment.findings import findings
from training.assessment.obstacles import Agreement
from training.assessment.records import Finding
from training.retrieval.texts import Texts

NONE = Agreement(0.0, {})
THAI = "เจ้าของบ้านต้องซ่อมหม้อต้มน้ำ"


@pytest.fixture(scope="module")
def model(tiny_base: BaseModelFiles) -> SentenceTransformer:
    return load_sentence_transformer(tiny_base.path, device="cpu")


def found(model: SentenceTransformer, known: Texts, agreed: Agreement = NONE) -> dict[str, Finding]:
    """The findings that the data show."""
    return {finding.name: finding for finding in findings(known, agreed, model) if finding.count}


def test_clean_data_show_nothing(model: SentenceTransformer) -> None:
    known = texts(["a blue boat", "a red car"], dev=[("who sails", [0])], train=[("who drives", [1])])
    assert found(model, known) == {}


def test_near_duplicates_of_training_queries_in_dev_and_test(model: SentenceTransformer) -> None:
    known = texts(
        ["yes", "no"],
        dev=[("May I keep a dog?", [0]), ("is it far", [1])],
        train=[("may I keep a dog", [0])],
        test=[("May I keep a dog!", [0])],
    )
    finding = found(model, known)["near-duplicates-across-splits"]
    assert (finding.count, finding.looked_at) == (2, 3)
    assert finding.examples == ["May I keep a dog?", "May I keep a dog!"]


def test_the_same_question_with_different_answers(model: SentenceTransformer) -> None:
    known = texts(["yes", "no"], dev=[("why", [0])], train=[("may I", [0]), ("May I?", [1])])
    finding = found(model, known)["contradictory-questions"]
    assert (finding.count, finding.looked_at, finding.examples) == (2, 3, ["may I", "May I?"])


def test_the_same_answer_under_different_ids(model: SentenceTransformer) -> None:
    known = texts(["Yes, you may.", "no", "yes you may"], dev=[("may I", [0])])
    finding = found(model, known)["same-answer-twice"]
    assert (finding.count, finding.looked_at, finding.examples) == (2, 3, ["Yes, you may.", "yes you may"])


@pytest.mark.parametrize(("precision", "count"), [(0.5, 1), (0.4, 0)])
def test_unjudged_answers_where_rankers_that_agree_are_mostly_right(
    model: SentenceTransformer, precision: float, count: int
) -> None:
    known = texts(["yes", "no"], dev=[("may I", [0]), ("why", [0])])
    finding = found(model, known, Agreement(precision, {1: 1})).get("unjudged-answers")
    assert (finding.count if finding else 0) == count
    assert not finding or finding.examples == ["why -> no"]


def test_texts_in_a_language_that_the_model_cannot_read(model: SentenceTransformer) -> None:
    known = texts(["a blue boat", THAI], dev=[(f"{THAI} now", [0]), ("who sails", [1])])
    assert found(model, known)["unreadable-queries"].examples == [f"{THAI} now"]
    assert found(model, known)["unreadable-documents"].share == 0.5


def test_documents_that_are_longer_than_the_model_reads(model: SentenceTransformer) -> None:
    known = texts(["short", "word " * 100], dev=[("who sails", [0])])
    finding = found(model, known)["truncated-documents"]
    assert (finding.count, finding.looked_at) == (1, 2)
    assert finding.examples[0].endswith("...")
    assert len(finding.examples[0]) == 163


def test_a_few_examples_are_enough(model: SentenceTransformer) -> None:
    finding = found(model, texts(["yes"] * 10, dev=[("may I", [0])]))["same-answer-twice"]
    assert (finding.count, len(finding.examples)) == (10, 3)


def test_a_tokenizer_that_cannot_be_asked_is_trusted(
    model: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.assessment.findings.tokens_of", lambda *_: None)
    assert found(model, texts([THAI, "word " * 100], dev=[("who sails", [0])])) == {}

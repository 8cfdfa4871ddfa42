"""Relevance judges: what their grades change, that nothing is judged twice, and that dev and test are left alone."""

import json
import re

import numpy as np
import pytest
from sentence_transformers import CrossEncoder
from torch import nn

from tests.training.judges.samples import save_cross_encoder
from tests.training.llm.chat_server import KEY, chat_server, said, shared_words
from tests.training.samples import KEYS, QUICK, prepared, word_pairs
from tests.training.test_adaptation import same_weights, timeless, weights
from training import (
    Contrastive,
    PreparedData,
    PrepareOptions,
    ReferenceTriplet,
    TrainingError,
    TrainingJob,
    adapt,
    prepare,
    read_prepared,
)
from training.errors import BudgetError
from training.judges.cross_encoder_judge import CrossEncoderJudge
from training.judges.llm_judge import BATCH, LlmJudge
from training.judges.relevance import GradedRelevance
from training.llm.chat import ChatModel
from training.llm.spending import Prices, Spending
from training.mining.hard_negatives import hard_negatives
from training.mining.miners import NegativeMiner, TripletMiner
from training.reporting.report import TrainingReport
from training.reporting.report_page import PAGE
from training.retrieval.ranking import NOTHING, Ranked
from training.retrieval.states import State
from training.retrieval.texts import Texts
from training.runs.run import Run
from training.sources.pairs import Pairs

ONCE = QUICK.replace(interpolation_weight=1.0)
TWICE = ONCE.replace(iterations=2)


class Words:
    """The grade is how many key words are in common; remembers what it was asked."""

    def __init__(self, identity="words", grade=None):
        self.identity = identity
        self.asked = []
        self._grade = grade

    def grade(self, asked):
        self.asked += [(query, document) for query, documents in asked for document in documents]
        return [[self._of(query, document) for document in documents] for query, documents in asked]

    def _of(self, query, document):
        if self._grade is not None:
            return self._grade(query, document)
        return min(3, len(set(query.split()) & set(document.split()) & set(KEYS)))


def test_what_is_judged_wrong_is_a_negative_whatever_it_scores_unless_it_is_like_a_right_one():
    ranked = Ranked(
        np.array([[0, 1, 2, 3]]), np.array([[0.9, 0.89, 0.88, 0.1]], np.float32), np.array([0.9], np.float32)
    )
    groups = np.array([0, 1, 0, 3])
    assert hard_negatives(ranked, [{0}], groups, 0.95) == [[3]]
    assert hard_negatives(ranked, [{0}], groups, 0.95, [{1, 2}]) == [[1, 3]]


def texts_of(count=6):
    corpus = {f"d{number}": " ".join([f"w{number}{letter}" for letter in "abcdefg"]) for number in range(count)}
    queries = {"q0": "zero", "q1": "one"}
    qrels = {"train": {"q0": ["d0"], "q1": []}, "dev": {"q0": ["d0"]}, "test": {"q0": ["d0"]}}
    return Texts(PreparedData(corpus, queries, qrels, {}))


class FakeState(State):
    """A state that ranks as it is told."""

    def __init__(self, ranked):
        self._ranked = np.array(ranked)

    def ranked(self, split, dims=None):
        return self._ranked


@pytest.fixture
def run(tmp_path):
    with Run(tmp_path / "out", {}) as opened:
        yield opened


def test_each_iteration_judges_the_first_documents_that_are_neither_known_nor_judged(run):
    texts, judge = texts_of(), Words(grade=lambda query, document: 1)
    relevance = GradedRelevance(judge, 2, run, texts)
    state = FakeState([[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]])
    documents = texts.documents
    assert relevance.update(state, "one") == {"judged": 4, "relevant": 0, "unknown": 0}
    assert judge.asked == [("zero", documents[1]), ("zero", documents[2]), ("one", documents[5]), ("one", documents[4])]
    judge.asked.clear()
    relevance.update(state, "two")
    assert judge.asked == [("zero", documents[3]), ("zero", documents[4]), ("one", documents[3]), ("one", documents[2])]
    assert texts.wrong == [{1, 2, 3, 4}, {2, 3, 4, 5}]


def test_a_judge_is_not_asked_about_the_query_itself(run):
    corpus = {"d0": "ZERO", "d1": "zero!", "d2": "right", "d3": "another"}
    texts = Texts(PreparedData(corpus, {"q0": "zero"}, {"train": {"q0": ["d2"]}}, {}))
    judge = Words(grade=lambda query, document: 0)
    GradedRelevance(judge, 5, run, texts).update(FakeState([[1, 2, 3, NOTHING]]), "one")
    assert judge.asked == [("zero", "another")]


def test_grades_from_2_are_relevant_lower_ones_wrong_and_unknown_ones_neither(run):
    grades = dict(zip(texts_of().documents, (3, 0, 1, 2, 3, None), strict=True))
    texts = texts_of()
    relevance = GradedRelevance(Words(grade=lambda query, document: grades[document]), 6, run, texts)
    found = relevance.update(FakeState([[0, 1, 2, 3, 4, 5]] * 2), "one")
    assert texts.relevant["train"] == [{0, 3, 4}, {0, 3, 4}]
    assert texts.wrong == [{1, 2}, {1, 2}]
    assert found == {"judged": 11, "relevant": 5, "unknown": 2}
    assert texts.relevant["dev"] == texts.relevant["test"] == [{0}]


@pytest.mark.parametrize("answer", [[[1]], [[1, 2], [1]], [[1, 4], [1, 1]], [["2", 1], [1, 1]], []])
def test_a_judge_that_answers_amiss_is_named(run, answer):
    judge = Words("amiss")
    judge.grade = lambda asked: answer
    with pytest.raises(TrainingError, match="judge amiss: expected a grade from 0 to 3"):
        GradedRelevance(judge, 2, run, texts_of()).update(FakeState([[0, 1, 2]] * 2), "one")


def test_what_turns_out_to_be_relevant_is_a_negative_no_longer():
    texts = texts_of()
    texts.relevant["train"][1].add(5)
    ranked = Ranked(np.array([[1, 2, 0], [1, 2, 5]]), np.full((2, 3), 0.1, np.float32), np.ones(2, np.float32))
    negatives, triplets = NegativeMiner(texts, 1, 2, 1, 0.0, 0.95), TripletMiner(texts, 2)
    negatives.mine(ranked, 0)
    triplets.mine(ranked, 0)
    assert negatives.known == [[1, 2], [1, 2]]
    texts.relevant["train"][0].add(1)
    negatives.mine(ranked, 0)
    triplets.mine(ranked, 0)
    assert negatives.known == [[2], [1, 2]]
    assert not any(triplet.query == 0 and triplet.negative == 1 for triplet in triplets.triplets)


def test_unlabelled_queries_wait_until_an_answer_is_found():
    texts = texts_of()
    ranked = Ranked(np.array([[1, 0], [1, 0]]), np.full((2, 2), 0.1, np.float32), np.array([1, -np.inf], np.float32))
    miner = NegativeMiner(texts, 3, 2, 1, 0.0, 0.95)
    miner.mine(ranked, 0)
    assert set(miner.examples(0).columns["anchor"]) == {"zero"}
    texts.relevant["train"][1].add(4)
    assert set(miner.examples(0).columns["anchor"]) == {"zero", "one"}


UNLABELLED = [" ".join(["which", "matters", *pair.question.split()[-2:]]) for pair in word_pairs()[:10]]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Prepared pairs with unlabelled questions."""
    folder = tmp_path_factory.mktemp("judged") / "data"
    prepare(Pairs("samples", word_pairs(), unlabelled=UNLABELLED), folder, PrepareOptions(test_size=0.3))
    return read_prepared(folder)


def test_unlabelled_questions_are_training_queries_without_answers(data):
    without = [data.queries[name] for name, documents in data.qrels["train"].items() if not documents]
    assert without == UNLABELLED
    assert data.manifest["counts"]["unlabelled"] == len(UNLABELLED)
    assert not {name for name in data.qrels["dev"] | data.qrels["test"] if name.startswith("u")}


def test_unlabelled_questions_that_are_known_or_like_held_out_ones_are_left_out(tmp_path):
    pairs = word_pairs()
    prepare(Pairs("samples", pairs, unlabelled=[f"{pair.question}?" for pair in pairs]), tmp_path / "data")
    data = read_prepared(tmp_path / "data")
    added = {data.queries[name].strip("?") for name in data.qrels["train"] if name.startswith("u")}
    held_out = {data.queries[name] for part in ("dev", "test") for name in data.qrels[part]}
    assert added
    assert not added & held_out
    prepare(Pairs("samples", pairs, unlabelled=[pair.question.upper() for pair in pairs]), tmp_path / "same")
    assert read_prepared(tmp_path / "same").manifest["counts"]["unlabelled"] == 0


@pytest.fixture(scope="module")
def judged(tmp_path_factory, data, tiny_base):
    """A run with a judge, and what that was asked."""
    out, judge = tmp_path_factory.mktemp("judged-run") / "out", Words()
    return (
        out,
        adapt(TrainingJob(data, "words", tiny_base, TWICE, judge=judge, judge_depth=3, device="cpu"), out),
        judge,
    )


def test_a_run_judges_no_pair_twice_and_no_held_out_query(judged, data):
    _, report, judge = judged
    assert len(set(judge.asked)) == len(judge.asked) > 0
    held_out = {data.queries[name] for part in ("dev", "test") for name in data.qrels[part]}
    assert not {query for query, _ in judge.asked} & held_out
    assert set(UNLABELLED) <= {query for query, _ in judge.asked}
    assert max(len(data.qrels["train"]) * 3, 1) >= report.iterations[1].judged.judged > 0


def test_the_report_says_who_judged_and_how_much(judged, trained):
    _, report, judge = judged
    assert (report.judge, report.judge_depth) == ("words", 3)
    assert sum(entry.judged.judged for entry in report.iterations[1:]) == len(judge.asked)
    assert "judged by `words`" in (judged[0] / "README.md").read_text(encoding="utf-8")
    assert trained.report.judge is trained.report.judge_depth is None
    assert trained.report.iterations[1].judged is None


def test_record_and_page_say_who_judged_and_how_much(judged, trained):
    assert TrainingReport.load(judged[0]).judge == "words"
    assert TrainingReport.load(trained.out).judge is None
    page, other = ((folder / PAGE).read_text(encoding="utf-8") for folder in (judged[0], trained.out))
    counts = judged[1].iterations[1].judged
    cells = [f"<td>{count}</td>" for count in (counts.judged, counts.relevant, counts.unknown)]
    assert (
        "".join(cells) in page
        and '<th scope="col">unknown</th>' in page
        and '<th scope="col">unknown</th>' not in other
    )
    assert '>relevance judged by</td><td class="text">words<' in page
    assert '>relevance judged by</td><td class="text">the labels only<' in other


@pytest.mark.slow
def test_a_killed_run_judges_nothing_again_and_ends_the_same(judged, data, tiny_base, tmp_path, monkeypatch):
    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("training.adaptation.write_model_folder", crash)
        adapt(
            TrainingJob(data, "words", tiny_base, TWICE, judge=Words(), judge_depth=3, device="cpu"), tmp_path / "out"
        )
    again = Words()
    report = adapt(
        TrainingJob(data, "words", tiny_base, TWICE, judge=again, judge_depth=3, device="cpu"), tmp_path / "out"
    )
    assert again.asked == []
    assert timeless(report) == timeless(judged[1])
    assert same_weights(weights(tmp_path / "out"), weights(judged[0]))


@pytest.mark.slow
def test_another_judge_is_another_run(data, tiny_base, tmp_path, monkeypatch):
    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("training.adaptation.write_model_folder", crash)
        adapt(TrainingJob(data, "words", tiny_base, ONCE, judge=Words(), device="cpu"), tmp_path / "out")
    other = Words("others")
    adapt(TrainingJob(data, "words", tiny_base, ONCE, judge=other, device="cpu"), tmp_path / "out")
    assert other.asked


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [ReferenceTriplet(iterations=2, batch_size=16, epochs=1), ONCE.replace(lora=2)])
def test_other_recipes_take_a_judge_too(data, tiny_base, tmp_path, recipe):
    judge = Words()
    adapt(
        TrainingJob(data, "words", tiny_base, recipe, seeds=(1, 2), judge=judge, judge_depth=2, device="cpu"),
        tmp_path / "out",
    )
    assert len(set(judge.asked)) == len(judge.asked) > 0


@pytest.mark.slow
def test_unlabelled_queries_are_passed_over_without_a_judge(data, tiny_base, tmp_path):
    recipe = ONCE.replace(freeze_documents=True)
    report = adapt(TrainingJob(data, "words", tiny_base, recipe, device="cpu"), tmp_path / "out")
    assert np.isfinite(report.adapted_metrics["test"]["mrr@5"])


def test_a_judge_needs_what_is_mined_and_a_depth_within_it(data, tiny_base):
    frozen = Contrastive(freeze_documents=True)
    with pytest.raises(TrainingError, match="`freeze_documents`, which mines nothing"):
        TrainingJob(data, "words", tiny_base, frozen, judge=Words())
    for depth in (0, 16):
        with pytest.raises(TrainingError, match=f"^`judge_depth` {depth}: expected a whole number from 1 to 15$"):
            TrainingJob(data, "words", tiny_base, judge=Words(), judge_depth=depth)


@pytest.fixture
def server():
    with chat_server(shared_words) as running:
        yield running


def test_a_language_model_grades_several_documents_a_request(server, tmp_path):
    judge = LlmJudge(ChatModel(server.url, "tiny", cache=tmp_path))
    many = [f"text {number} apple" for number in range(BATCH + 1)]
    assert judge.grade([("please apple bridge", ["apple bridge", "apple", "castle"]), ("apple", many), ("x", [])]) == [
        [2, 1, 0],
        [1] * (BATCH + 1),
        [],
    ]
    assert len(server.asked) == 3
    assert "grade from 0 to 3" in said(server.asked[0])
    assert "1 requests" not in judge.spent() and "3 requests" in judge.spent()
    schema = json.dumps(server.asked[0]["response_format"])
    assert '"enum": [0, 1, 2, 3]' in schema


def test_a_passage_left_out_or_graded_twice_is_asked_for_again_and_else_unknown(server, tmp_path):
    server.answer = lambda body: {"grades": [{"passage": 1, "grade": 3}, {"passage": 1, "grade": 3}]}
    judge = LlmJudge(ChatModel(server.url, "tiny", cache=tmp_path))
    assert judge.grade([("a", ["b", "c"])]) == [[None, None]]
    assert len(server.asked) == 3
    assert "one grade for each of the passages 1 to 2" in server.asked[-1]["messages"][-1]["content"]


@pytest.mark.slow
def test_training_with_a_language_model_stops_at_its_budget_and_goes_on(server, data, tiny_base, tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_KEY", KEY)

    def judge(budget):
        spending = Spending(Prices(output=1.0), budget)
        return LlmJudge(
            ChatModel(server.url, "tiny", key_variable="MODEL_KEY", cache=tmp_path / "cache", spending=spending)
        )

    with pytest.raises(BudgetError):
        adapt(TrainingJob(data, "words", tiny_base, ONCE, judge=judge(0.0013), device="cpu"), tmp_path / "out")
    first = len(server.asked)
    report = adapt(TrainingJob(data, "words", tiny_base, ONCE, judge=judge(None), device="cpu"), tmp_path / "out")
    bodies = [said(body) for body in server.asked]
    assert first > 0
    assert len(set(bodies)) == len(bodies) == len(data.qrels["train"])
    assert report.iterations[1].judged.relevant > 0
    assert KEY not in report.model_dump_json()


def test_another_prompt_would_be_another_judge(server, tmp_path):
    judge = LlmJudge(ChatModel(server.url, "tiny", cache=tmp_path))
    assert re.fullmatch(r"llm tiny at http://\S+/v1, prompt [0-9a-f]{12}", judge.identity)


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory, real_base):
    def made(outputs):
        return save_cross_encoder(tmp_path_factory.mktemp("cross"), real_base, outputs)

    return made


def test_a_cross_encoder_grades_by_the_thresholds_of_its_score(cross_encoder):
    folder = cross_encoder(1)
    asked = [(pair.question, [other.answer for other in word_pairs()[:8]]) for pair in word_pairs()[:4]]
    grades = CrossEncoderJudge(str(folder), "cpu").grade([*asked, ("nothing", [])])
    pairs = [(query, document) for query, documents in asked for document in documents]
    logits = CrossEncoder(str(folder), device="cpu").predict(pairs, activation_fn=nn.Identity())
    scores = 1 / (1 + np.exp(-np.asarray(logits, dtype=float)))
    expected = [sum(bool(score >= least) for least in (0.1, 0.5, 0.9)) for score in scores]
    assert [grade for row in grades for grade in row] == expected
    assert [len(row) for row in grades] == [8, 8, 8, 8, 0]
    assert len(set(expected)) > 1


@pytest.mark.slow
def test_a_cross_encoder_is_known_by_its_weights_and_trains(cross_encoder, data, tiny_base, tmp_path):
    judge = CrossEncoderJudge(str(cross_encoder(1)), "cpu")
    assert re.search(r"weights [0-9a-f]{12}", judge.identity)
    report = adapt(
        TrainingJob(data, "words", tiny_base, ONCE, judge=judge, judge_depth=1, device="cpu"), tmp_path / "out"
    )
    assert report.iterations[1].judged.judged == len(data.qrels["train"])


def test_what_is_no_cross_encoder_with_one_output_is_refused(cross_encoder, tmp_path):
    with pytest.raises(TrainingError, match="has 2 outputs"):
        CrossEncoderJudge(str(cross_encoder(2)), "cpu")
    with pytest.raises(TrainingError, match="not found locally"):
        CrossEncoderJudge(str(tmp_path / "none"), "cpu")


def test_data_without_unlabelled_questions_are_written_as_before(tmp_path):
    data = prepared(word_pairs(), tmp_path / "data")
    assert "unlabelled" not in data.manifest["counts"]
    assert all(documents for part in data.qrels.values() for documents in part.values())

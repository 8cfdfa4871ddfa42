"""Training queries that another set is measured on are left out, or at least counted."""

from dataclasses import replace

import pytest

from registry.records import TEST
from tests.training.samples import QUICK, filler_pairs, prepared, word_pairs
from training import PreparedData, TrainingError, TrainingJob, adapt
from training.prepared.joined import join
from training.prepared.overlap import held_out_queries, keep_apart, seen_queries, without_held_out
from training.retrieval.texts import Texts
from training.sources.pairs import Pair


def data(train, test=(), name="data"):
    """Pairs as prepared data."""
    corpus, queries, qrels = {}, {}, {"train": {}, "dev": {}, "test": {}}
    for part, pairs in (("train", train), ("test", test)):
        for question, *answers in pairs:
            query = f"q{len(queries)}"
            queries[query] = question
            names = [f"d{len(corpus) + number}" for number in range(len(answers))]
            corpus |= zip(names, answers, strict=True)
            qrels[part][query] = names
    return PreparedData(corpus, queries, qrels, {"fingerprint": name, "counts": {}})


TRAIN = [("how do I pay", "by card"), ("where is my card", "at home"), ("who are you", "a router")]


def asked(prepared, part="train"):
    return [prepared.queries[query] for query in prepared.qrels[part]]


def test_near_duplicates_of_held_out_queries_are_left_out():
    kept, number = without_held_out(data(TRAIN), ["Where is my card?!", "who was she"])
    assert (asked(kept), number) == (["how do I pay", "who are you"], 1)
    assert kept.fingerprint == "data"


def test_a_pair_is_left_out_if_it_is_held_out_the_other_way_round():
    kept, number = without_held_out(data(TRAIN), ["By card!"])
    assert (asked(kept), number) == (["where is my card", "who are you"], 1)


def test_of_several_answers_the_held_out_one_is_neither_learnt_nor_a_negative():
    kept, number = without_held_out(data([("how do I pay", "by card", "in cash"), *TRAIN[1:]]), ["BY CARD"])
    assert number == 0
    texts = Texts(kept)
    assert [texts.documents[position] for position in texts.relevant["train"][0]] == ["in cash"]
    assert [texts.documents[position] for position in texts.own["train"][0]] == ["by card"]
    assert texts.document_groups[0] in texts.answer_groups()[0]


def test_mixed_data_lose_what_the_domain_is_tested_on_and_the_domain_loses_nothing(caplog):
    own, mixed = data(TRAIN[1:], TRAIN[:1], "own"), data(TRAIN, name="mixed")
    found = keep_apart({"": own}, {"other": mixed}, {}, {})
    assert asked(found.mixed["other"]) == ["where is my card", "who are you"]
    assert found.sets[""] is own
    assert found.left_out == {"other": 1}
    assert "1 training queries of other are left out" in caplog.text


def test_each_of_several_sets_loses_what_another_one_is_tested_on():
    one, other = data(TRAIN[1:], TRAIN[:1], "one"), data(TRAIN[:1], TRAIN[1:2], "other")
    more = replace(
        other, qrels={**other.qrels, "train": {**other.qrels["train"], "q9": []}}, queries={**other.queries, "q9": "?"}
    )
    found = keep_apart({"one": one, "other": more}, {}, {}, {})
    assert {name: asked(each) for name, each in found.sets.items()} == {"one": ["who are you"], "other": ["?"]}
    assert {name: asked(each, "test") for name, each in found.sets.items()} == {
        "one": ["how do I pay"],
        "other": ["where is my card"],
    }
    assert found.left_out == {"one": 1, "other": 1}


def test_queries_of_other_test_sets_that_are_learnt_are_counted_and_stay():
    own, extra = data(TRAIN, name="own"), data([], [("WHO ARE YOU", "x"), ("unknown", "y")], "extra")
    found = keep_apart({"": own}, {}, {"real": extra}, {})
    assert (found.seen, found.left_out) == ({"real": 1}, {})
    assert found.sets[""] is own
    assert seen_queries(extra, held_out_queries(own, ("train",))) == 1


def test_the_splits_of_a_set_itself_are_its_own_affair():
    repeated = data(TRAIN, TRAIN)
    assert keep_apart({"": repeated}, {"same": repeated}, {"same": repeated}, {}) == (
        {"": repeated},
        {"same": repeated},
        {},
        {},
    )


def test_a_set_of_which_nothing_is_left_is_refused():
    with pytest.raises(TrainingError, match="other: all training queries are held out in another set"):
        keep_apart({"": data([], TRAIN, "own")}, {"other": data(TRAIN, name="mixed")}, {}, {})


@pytest.mark.slow
def test_a_run_learns_no_query_that_another_set_holds_out(tmp_path, tiny_base, monkeypatch):
    pairs = word_pairs()
    own = prepared(pairs, tmp_path / "own", test_size=0.3)
    held_out = held_out_queries(own)
    answers = {pair.question: pair.answer for pair in pairs}
    leaked = [Pair(text.upper(), f"{answers[text]} indeed") for text in held_out[:5]]
    mixed = prepared([*filler_pairs(), *leaked], tmp_path / "mixed", test_size=0.05)
    extra = prepared(pairs[:9], tmp_path / "extra", split="test")
    learnt = []
    from training.recipes.finetune import finetune

    monkeypatch.setattr(
        "training.recipes.distributed.finetune",
        lambda model, given, *rest: learnt.append(given) or finetune(model, given, *rest),
    )
    job = TrainingJob(
        own, "words", tiny_base, QUICK, mixed={"mixed": mixed}, extra_test_sets={"extra": extra}, device="cpu"
    )
    report = adapt(job, tmp_path / "out")
    anchors = {text.casefold() for text in learnt[0].columns["anchor"]}
    assert anchors and anchors.isdisjoint(text.casefold() for text in held_out)
    assert 1 <= report.left_out["mixed"] <= 5
    known = {own.queries[query] for query in own.qrels["train"]}
    assert report.seen_in_training == {"extra": sum(text in known for text in held_out_queries(extra, (TEST,)))}
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert f"Of the 9 queries of extra, {report.seen_in_training['extra']} are near-duplicates" in card
    assert join({"": own}) is own


def test_dev_queries_of_a_guard_are_not_trained_on():
    guard = data(TRAIN[1:2], name="guard")
    guard = replace(guard, qrels={**guard.qrels, "train": {}, "dev": guard.qrels["train"]})
    kept = keep_apart({"": data(TRAIN, name="own")}, {"other": data(TRAIN, name="mixed")}, {}, {"general": guard})
    assert asked(kept.sets[""]) == asked(kept.mixed["other"]) == ["how do I pay", "who are you"]
    assert kept.left_out == {"the data": 1, "other": 1}

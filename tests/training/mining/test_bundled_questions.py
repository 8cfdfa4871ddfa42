"""Questions that come with the package: every training mixes them in, unless that is switched off or is of no use."""

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from tests.training.samples import QUICK, prepared, word_pairs
from training import Contrastive, ReferenceTriplet, TrainingJob, adapt
from training.mining.bundled_questions import LEAST, bundled_questions
from training.sources.pairs import Pair

FIELDS = {"bundled-finance", "bundled-legal", "bundled-medical"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return prepared(word_pairs(), tmp_path_factory.mktemp("words") / "data")


def test_each_field_gives_as_many_as_a_pass_uses(tiny_base):
    found = bundled_questions(tiny_base.path, 1000)
    assert found.keys() == FIELDS
    for questions in found.values():
        assert len(questions.qrels["train"]) == 334
        assert {name for names in questions.qrels["train"].values() for name in names} == questions.corpus.keys()
        assert not questions.qrels["dev"] and not questions.qrels["test"]


@pytest.mark.parametrize(("count", "fewest", "most"), [(1, LEAST, LEAST), (1_000_000, 400, 1000)])
def test_no_field_is_too_small_for_batches_and_none_is_used_twice(tiny_base, count, fewest, most):
    sizes = [len(questions.queries) for questions in bundled_questions(tiny_base.path, count).values()]
    assert (min(sizes), max(sizes)) == (fewest, most)


def test_other_numbers_of_questions_are_other_data(tiny_base):
    some, more = (bundled_questions(tiny_base.path, count) for count in (600, 900))
    assert all(some[field].fingerprint != more[field].fingerprint for field in FIELDS)


def test_a_base_model_that_cannot_read_them_gets_none(tmp_path):
    Tokenizer(WordLevel({"[UNK]": 0, "der": 1}, unk_token="[UNK]")).save(str(tmp_path / "tokenizer.json"))
    assert bundled_questions(tmp_path, 10) == {}


@pytest.mark.parametrize(
    ("recipe", "switched_off", "expected"),
    [
        (Contrastive(), False, FIELDS),
        (Contrastive(), True, set()),
        (Contrastive(mix_ratio=0), False, set()),
        (Contrastive(freeze_documents=True), False, set()),
        (ReferenceTriplet(), False, set()),
    ],
)
def test_they_are_mixed_in_where_a_recipe_can_mix(data, tiny_base, recipe, switched_off, expected):
    job = TrainingJob(data, "words", tiny_base, recipe, without_bundled_questions=switched_off)
    assert job.all_mixed.keys() == job.identity().mixed.keys() == expected


def test_sets_that_are_given_are_mixed_in_beside_them(data, tiny_base):
    job = TrainingJob(data, "words", tiny_base, mixed={"words": data})
    assert job.all_mixed.keys() == FIELDS | {"words"}


def test_a_question_that_a_domain_holds_out_is_not_learnt(tmp_path, tiny_base, data):
    bundled = bundled_questions(tiny_base.path, 600)["bundled-legal"]
    asked = [Pair(question, bundled.corpus[f"d{name[1:]}"]) for name, question in bundled.queries.items()]
    own = prepared(asked, tmp_path / "own")
    job = TrainingJob(own, "legal", tiny_base)
    held_out = {own.queries[name] for split in ("dev", "test") for name in own.qrels[split]}
    apart = job.keep_apart()
    kept = apart.mixed["bundled-legal"]
    learnt = {kept.queries[name] for name in kept.qrels["train"]}
    assert held_out and learnt and not held_out & learnt
    assert apart.left_out["bundled-legal"] >= len(held_out & set(bundled.queries.values()))


@pytest.mark.slow
def test_a_model_that_learnt_from_them_names_them(tmp_path, data, tiny_base):
    report = adapt(TrainingJob(data, "words", tiny_base, QUICK.replace(mix_ratio=0.25), device="cpu"), tmp_path / "out")
    assert report.mixed.keys() == FIELDS
    assert "bundled-legal" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")

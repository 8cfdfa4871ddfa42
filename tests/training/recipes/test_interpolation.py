"""The interpolation weight: the smallest that keeps enough of the gain on dev."""

import numpy as np
import pytest
import torch

from tests.training.samples import filler_pairs, prepared, texts_encoded, word_pairs
from training import Contrastive, TrainingError, TrainingJob, adapt
from training.recipes.interpolation import QUERIES, DevSample, Guard, average, choose_weight
from training.recipes.recipes import make_recipe
from training.reporting.report import TrainingReport
from training.retrieval.encoding import load_model
from training.retrieval.states import Sample


def at(*degrees):
    """Unit vectors in the plane."""
    return np.array([[np.cos(np.radians(d)), np.sin(np.radians(d))] for d in degrees], dtype=np.float32)


WRONG, RIGHT = 0, 1
DOCUMENTS = at(0, 90)


def sample(*degrees):
    """Queries at these angles, all answered by the document at 90 degrees; at 45 it comes first."""
    return Sample(at(*degrees), DOCUMENTS, [{RIGHT}] * len(degrees), [(slice(0, len(degrees)), slice(0, 2))])


def test_keeping_all_of_the_gain_takes_the_first_weight_that_answers_every_query():
    # a query moved from 0 to 60 degrees is past 45 from a share of 0.73 on, one moved to 90 degrees from 0.5 on
    assert choose_weight(sample(0, 0), sample(90, 60), min_gain_kept=1.0) == 0.8


def test_keeping_less_of_the_gain_takes_a_smaller_weight():
    assert choose_weight(sample(0, 0), sample(90, 60), min_gain_kept=0.5) == 0.6


def test_without_a_gain_the_result_stays_near_the_base_model():
    assert choose_weight(sample(90, 90), sample(0, 0), min_gain_kept=0.8) == 0.1


def test_a_gain_that_further_training_loses_is_found():
    lost_again = sample(170)
    documents = sample(0)
    assert 0.1 <= choose_weight(documents, lost_again, min_gain_kept=1.0) < 1.0


def test_a_guard_bounds_the_weight():
    gains = sample(0, 40), sample(90, 90)  # the second query is answered from 0.2 on, the first from 0.6 on
    loses = sample(90), sample(0)  # answered up to 0.4
    assert choose_weight(*gains, 1.0) == 0.6
    assert choose_weight(*gains, 1.0, [Guard(*loses)]) == 0.2
    assert choose_weight(*gains, 1.0, [Guard(*loses, max_loss=1.0)]) == 0.6
    assert choose_weight(*gains, 1.0, [Guard(sample(0), sample(90))]) == 0.6, "a guard that gains bounds nothing"


def test_where_every_weight_breaks_a_guard_the_smallest_is_taken():
    never = Guard(sample(46), sample(-80))
    assert not never.holds(0.1) and choose_weight(sample(0, 0), sample(90, 60), 1.0, [never]) == 0.1


@pytest.mark.slow
def test_guards_are_measured_reported_and_decide_whether_a_run_is_the_same(tmp_path, tiny_base):
    data = prepared(word_pairs(), tmp_path / "data", test_size=0.3)
    guard = prepared(filler_pairs(), tmp_path / "guard", test_size=0.3)
    recipe = Contrastive(iterations=1, min_steps=2, mix_ratio=0)

    def run(**guarded):
        job = TrainingJob(data, "words", tiny_base, recipe, device="cpu", **guarded)
        return adapt(job, tmp_path / "out", overwrite=True)

    report = run(guards={"fillers": guard}, guard_loss={"fillers": 0.5})
    assert (
        list(report.iterations[1].guards) == ["fillers"] and report.guards["fillers"].fingerprint == guard.fingerprint
    )
    assert report.iterations[1].guards["fillers"] >= -0.5
    assert report.options["guard_loss"] == {"fillers": 0.5}
    assert (
        f"`fillers`: {guard.manifest['counts']['dev_queries']} queries" in (tmp_path / "out" / "README.md").read_text()
    )
    assert TrainingReport.load(tmp_path / "out") == report
    assert run().identity != report.identity


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"guard_loss": {"other": 0.1}}, "`guard_loss` other: unknown guard: expected fillers"),
        ({"recipe": Contrastive(interpolation_weight=0.5)}, "`guards` choose the interpolation weight"),
    ],
)
def test_guards_that_could_not_decide_are_refused(tmp_path, tiny_base, given, said):
    data = prepared(word_pairs(), tmp_path / "data", test_size=0.3)
    guard = prepared(filler_pairs(), tmp_path / "guard", test_size=0.3)
    with pytest.raises(TrainingError, match=said):
        TrainingJob(data, "words", tiny_base, **{"device": "cpu", "guards": {"fillers": guard}, **given})


def test_a_guard_without_dev_queries_is_refused(tmp_path, tiny_base):
    data = prepared(word_pairs(), tmp_path / "data", test_size=0.3)
    only_test = prepared(filler_pairs()[:6], tmp_path / "guard", split="test")
    with pytest.raises(TrainingError, match="`guards` fillers.*dev"):
        TrainingJob(data, "words", tiny_base, device="cpu", guards={"fillers": only_test})


@pytest.mark.slow
def test_the_chosen_weight_is_reported_and_no_text_is_encoded_twice_for_it(tmp_path, tiny_base):
    data = prepared(word_pairs(), tmp_path / "data", test_size=0.3)
    recipe = Contrastive(iterations=1, min_steps=20, max_epochs=20, learning_rate=1e-2, batch_size=8, mix_ratio=0)
    with texts_encoded() as encoded:
        report = adapt(TrainingJob(data, "words", tiny_base, recipe, device="cpu"), tmp_path / "out")
    assert report.iterations[1].interpolation_weight in [number / 10 for number in range(1, 11)]
    # by the base model, the trained one for the choice, and the result
    assert {encoded["encode_document", text] for text in data.corpus.values()} <= {2, 3}
    assert len(data.qrels["dev"]) <= QUERIES


@pytest.mark.slow
def test_the_sample_of_the_base_model_is_read_not_encoded(tmp_path, tiny_base, monkeypatch):
    seen = []
    original = DevSample.of

    def of(self, state):
        with texts_encoded() as encoded:
            seen.append((state.name, original(self, state), sum(encoded.values())))
        return seen[-1][1]

    monkeypatch.setattr(DevSample, "of", of)
    data = prepared(word_pairs(), tmp_path / "data", test_size=0.3)
    adapt(
        TrainingJob(data, "words", tiny_base, Contrastive(iterations=1, min_steps=2, mix_ratio=0), device="cpu"),
        tmp_path / "out",
    )
    (base, _, none), (trained, vectors, some) = seen
    assert (base, none, trained) == ("base", 0, "iteration-1-trained")
    assert some == len(vectors.queries) + len(vectors.documents)


@pytest.mark.slow
def test_a_given_weight_is_used(tmp_path, tiny_base):
    data = prepared(word_pairs(), tmp_path / "data", test_size=0.3)
    recipe = Contrastive(iterations=1, interpolation_weight=0.3, mix_ratio=0)
    report = adapt(TrainingJob(data, "words", tiny_base, recipe, device="cpu"), tmp_path / "out")
    assert report.iterations[1].interpolation_weight == 0.3


def test_a_fraction_of_the_gain_above_one_is_refused():
    with pytest.raises(TrainingError, match="^`min_gain_kept` 1.1: expected a number from 0 to 1$"):
        make_recipe("contrastive", {"min_gain_kept": 1.1})


def test_the_average_of_models_has_the_mean_of_their_weights(tiny_base):
    models = [load_model(tiny_base.path, "cpu") for _ in range(3)]
    with torch.no_grad():
        for number, model in enumerate(models):
            for weight in model.parameters():
                weight.add_(number)
    expected = {name: weight + 1 for name, weight in load_model(tiny_base.path, "cpu").named_parameters()}
    for name, weight in average(models).named_parameters():
        torch.testing.assert_close(weight, expected[name])

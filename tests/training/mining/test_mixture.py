"""Mixing: batches of other data come evenly between the domain's own, and nothing else changes."""

from itertools import cycle, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.samples import QUICK, filler_pairs, prepared
from training import Contrastive, ReferenceTriplet, TrainingError, TrainingJob, adapt
from training.mining.examples import Examples, batches_of
from training.mining.mixture import interleave
from training.recipes.finetune import finetune
from training.recipes.recipes import make_recipe

MIXING = QUICK.replace(mix_ratio=0.25)


def examples(*sizes, name="own"):
    count = sum(sizes)
    columns = {column: [f"{name} {column} {row}" for row in range(count)] for column in ("anchor", "positive")}
    return Examples(columns, list(sizes))


def endless(*names):
    return [cycle([{"anchor": [name], "positive": [name]}]) for name in names]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.floats(0, 0.9), st.integers(1, 3))
def test_mixed_batches_come_evenly_and_in_turn_and_the_own_stay_in_order(sizes, share, others):
    own, names = examples(*sizes), ["a", "b", "c"][:others]
    mixed = interleave(own, endless(*names), share)
    batches = list(batches_of(mixed))
    assert [batch for batch in batches if batch["anchor"][0] not in names] == list(batches_of(own))
    found = [batch["anchor"][0] for batch in batches if batch["anchor"][0] in names]
    assert len(found) == round(len(sizes) * share / (1 - share))
    assert found == [names[number % others] for number in range(len(found))]
    places = [number for number, batch in enumerate(batches) if batch["anchor"][0] in names]
    gaps = [after - before for before, after in pairwise(places)]
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_nothing_changes_without_mixed_data():
    own = examples(3, 2)
    assert interleave(own, [], 0.5) is own


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    return prepared(filler_pairs(), tmp_path_factory.mktemp("others") / "data")


@pytest.mark.slow
def test_a_model_learns_from_the_training_split_of_other_data_in_batches_of_their_own(
    tmp_path, trained, others, tiny_base, monkeypatch
):
    trained_on = []
    monkeypatch.setattr(
        "training.recipes.distributed.finetune",
        lambda model, given, *rest: trained_on.append(given) or finetune(model, given, *rest),
    )
    report = adapt(
        TrainingJob(
            trained.data,
            "words",
            tiny_base,
            MIXING,
            mixed={"fillers": others},
            without_bundled_questions=True,
            device="cpu",
        ),
        tmp_path / "out",
    )
    own, fillers = ({data.queries[name] for name in data.qrels["train"]} for data in (trained.data, others))
    batches = [set(batch["anchor"]) for batch in batches_of(trained_on[0])]
    assert {"own" if batch <= own else "fillers" if batch <= fillers else "both" for batch in batches} == {
        "own",
        "fillers",
    }
    assert report.mixed["fillers"].fingerprint == others.fingerprint
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "`fillers`" in card and others.fingerprint in card


@pytest.mark.slow
def test_mixed_data_are_part_of_a_runs_identity(tmp_path, trained, others, tiny_base):
    steps = []
    for name, mixed in (("without", {}), ("with", {"fillers": others})):
        job = TrainingJob(
            trained.data, "words", tiny_base, MIXING, mixed=mixed, without_bundled_questions=True, device="cpu"
        )
        report = adapt(job, tmp_path / name)
        steps.append(report.iterations[1].steps)
    assert steps[0] < steps[1]


@pytest.mark.parametrize("recipe", [ReferenceTriplet(), Contrastive(freeze_documents=True)])
def test_a_recipe_that_lays_out_no_batches_cannot_mix(trained, others, tiny_base, recipe):
    with pytest.raises(TrainingError, match="`mixed` can be used with the recipe contrastive only"):
        TrainingJob(trained.data, "words", tiny_base, recipe, mixed={"fillers": others})


def test_data_without_training_queries_cannot_be_mixed_in(tmp_path, trained, tiny_base):
    only_test = prepared(filler_pairs(), tmp_path / "data", split="test")
    with pytest.raises(
        TrainingError, match="`mixed` fillers, .* no training queries: prepare them with `split` grouped"
    ):
        TrainingJob(trained.data, "words", tiny_base, QUICK, mixed={"fillers": only_test})


def test_a_mix_ratio_that_leaves_no_own_batches_is_refused():
    with pytest.raises(TrainingError, match="^`mix_ratio` 1.0: expected a number from 0 to 0.9$"):
        make_recipe("contrastive", {"mix_ratio": 1.0})

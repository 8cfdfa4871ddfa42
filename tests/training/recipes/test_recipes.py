"""Recipes: the reference options, and refusals that name the parameter."""

import math

import pytest
import torch

from training import Contrastive, ReferenceTriplet, TrainingError
from training.mining.examples import Examples
from training.recipes.finetune import finetune
from training.recipes.recipes import MANY, RECIPES, make_recipe
from training.retrieval.encoding import load_model


def test_the_reference_recipe_has_the_options_of_the_design():
    recipe = make_recipe("triplet", {})
    assert recipe == ReferenceTriplet(
        margin=0.1,
        learning_rate=5e-5,
        batch_size=8,
        epochs=2,
        iterations=2,
        warmup_steps=100,
        weight_decay=0.01,
        easy_per_hard=2,
        interpolation_weight=1.0,
        max_length=None,
    )


def test_given_options_win_and_none_keeps_the_default():
    recipe = make_recipe("contrastive", {"iterations": 5, "scale": 10.0, "epochs": None, "margin": None})
    assert recipe == Contrastive(iterations=5, scale=10.0)


def test_an_unknown_recipe_is_refused_with_the_known_ones():
    with pytest.raises(TrainingError, match="unknown recipe 'other': expected contrastive or triplet"):
        make_recipe("other", {})


@pytest.mark.parametrize(
    ("name", "numbers", "options"),
    [
        ("triplet", {"scale": 1.0}, "`scale`"),
        ("triplet", {"min_steps": 1, "negatives": 0, "epochs": 1}, "`min_steps`, `negatives`"),
        ("contrastive", {"easy_per_hard": 2, "margin": 0.1}, "`easy_per_hard`, `margin`"),
    ],
)
def test_options_of_the_other_recipe_are_refused(name, numbers, options):
    with pytest.raises(TrainingError, match=f"^recipe {name} has no {options}$"):
        make_recipe(name, numbers)


OUT_OF_RANGE = [
    ("iterations", 0),
    ("epochs", -1),
    ("batch_size", 0),
    ("learning_rate", 0.0),
    ("learning_rate", -1e-5),
    ("learning_rate", math.nan),
    ("learning_rate", math.inf),
    ("warmup_steps", -1.0),
    ("warmup_steps", math.inf),
    ("weight_decay", -0.1),
    ("weight_decay", math.inf),
    ("max_length", 0),
    ("interpolation_weight", -0.1),
    ("interpolation_weight", 1.1),
]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(("number", "value"), OUT_OF_RANGE)
def test_values_out_of_range_are_refused(recipe, number, value):
    with pytest.raises(TrainingError, match=f"^`{number}` {value}: expected a (whole )?number (of|from|greater)"):
        make_recipe(recipe, {number: value})


@pytest.mark.parametrize(
    ("recipe", "number", "value"),
    [
        ("contrastive", "negatives", -1),
        ("contrastive", "scale", 0.0),
        ("contrastive", "scale", math.inf),
        ("contrastive", "mini_batch", 0),
        ("contrastive", "max_epochs", 0),
        ("contrastive", "min_steps", -1),
        ("triplet", "margin", -0.1),
        ("triplet", "margin", math.inf),
        ("triplet", "easy_per_hard", -1),
    ],
)
def test_a_recipe_s_own_values_out_of_range_are_refused(recipe, number, value):
    with pytest.raises(TrainingError, match=f"^`{number}` {value}: expected a "):
        make_recipe(recipe, {number: value})


@pytest.mark.parametrize("number", ["negatives", "warmup_steps", "weight_decay", "interpolation_weight", "min_steps"])
def test_zero_is_accepted_where_it_is_in_range(number):
    assert getattr(make_recipe("contrastive", {number: 0}), number) == 0


def test_whole_numbers_are_accepted_as_fractions():
    assert ReferenceTriplet(margin=1, learning_rate=1).margin == 1


def test_epochs_are_added_to_reach_min_steps_up_to_max_epochs():
    class Queries:
        queries = {"train": [""] * 100}  # noqa: RUF012

    assert Contrastive(batch_size=10, min_steps=0).miner(Queries).passes == 1
    assert Contrastive(batch_size=10, min_steps=25).miner(Queries).passes == 3
    assert Contrastive(batch_size=10, min_steps=1000).miner(Queries).passes == 8
    assert Contrastive(batch_size=10, epochs=20).miner(Queries).passes == 20


@pytest.mark.parametrize("prompt", ["", "find what is meant: "])
def test_gradients_are_the_same_with_few_texts_in_memory_as_with_the_whole_batch(tiny_base, prompt):
    """Also where a prompt is read, but left out of the mean: each batch is read twice, and must be the same twice."""
    anchors = ["apple pie", "a bridge over water", "castle walls", "the desert sun", "engine oil"]
    columns = [anchors, [f"all about {text}" for text in anchors], [f"nothing of {text}" for text in anchors]]
    gradients = []
    for mini_batch in (None, 2):
        model = load_model(tiny_base.path, "cpu").eval()  # no dropout, which would draw anew
        model[1].include_prompt = not prompt
        loss = Contrastive(mini_batch=mini_batch).loss(model)
        loss([model.preprocess(texts, prompt=prompt or None) for texts in columns], torch.empty(0)).backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None})
    whole, few = gradients
    assert whole.keys() == few.keys() and any(gradient.abs().max() > 1e-3 for gradient in whole.values())
    for name in whole:
        assert torch.allclose(whole[name], few[name], rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize(("recipe", "rates"), [(Contrastive(), {0.0}), (ReferenceTriplet(epochs=1), {0.1})])
def test_only_the_reference_recipe_trains_with_dropout(tiny_base, tmp_path, recipe, rates, monkeypatch):
    seen = set()
    original = torch.nn.Dropout.forward
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, x: seen.add(self.p) or original(self, x))
    model = load_model(tiny_base.path, "cpu")
    columns = {"anchor": ["a", "b"], "positive": ["c", "d"], "negative": ["e", "f"]}
    finetune(model, Examples(columns), recipe, 1, tmp_path, "test")
    assert seen == rates
    assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} == {0.1}


@pytest.mark.parametrize(
    ("given", "queries", "expected"),
    [
        ({}, MANY - 1, (32, 1, None)),
        ({}, MANY, (128, 4, None)),
        ({"batch_size": 32, "mini_batch": 8}, MANY, (32, 4, 8)),
        ({"negatives": 0}, MANY, (128, 0, None)),
        ({"freeze_documents": True}, MANY, (32, 1, None)),
    ],
)
def test_batches_are_large_where_queries_are_many_unless_they_were_set(given, queries, expected):
    recipe = Contrastive(**given).fitted(queries)
    assert (recipe.batch_size, recipe.negatives, recipe.mini_batch) == expected
    assert recipe.fitted(10) == recipe

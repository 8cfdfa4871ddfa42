"""Matryoshka dimensions: leading dimensions are trained and measured separately."""

import numpy as np
import pytest

from tests.training.samples import LEARNING
from training import ReferenceTriplet, TrainingError, TrainingJob, adapt
from training.recipes.recipes import make_recipe
from training.retrieval.vectors import StoredVectors

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def matryoshka(tmp_path_factory, trained, tiny_base):
    """The report of a run that trains 32, 16 and 8 dimensions."""
    out = tmp_path_factory.mktemp("matryoshka") / "out"
    return adapt(TrainingJob(trained.data, "words", tiny_base, LEARNING.replace(dims=(32, 16, 8)), device="cpu"), out)


def test_every_number_of_dimensions_is_measured_on_both_sides(matryoshka):
    assert list(matryoshka.dims) == [32, 16, 8]
    assert matryoshka.dims[32].base == matryoshka.base_metrics["test"]
    assert matryoshka.dims[32].adapted == matryoshka.adapted_metrics["test"]
    assert matryoshka.dims[32].comparison == matryoshka.comparison


def test_training_improves_few_dimensions(matryoshka):
    few = matryoshka.dims[8]
    assert few.adapted["ndcg@10"] > few.base["ndcg@10"]


def test_both_recipes_can_train_dimensions(trained, tiny_base, tmp_path):
    recipe = ReferenceTriplet(iterations=1, epochs=1, dims=(8,))
    assert list(adapt(TrainingJob(trained.data, "words", tiny_base, recipe, device="cpu"), tmp_path / "out").dims) == [
        8
    ]


def test_truncated_vectors_are_the_leading_dimensions_at_unit_length(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    np.save(tmp_path / "v.npy", vectors)
    truncated = StoredVectors(tmp_path / "v.npy").truncated(3)
    expected = vectors[:, :3] / np.linalg.norm(vectors[:, :3], axis=1, keepdims=True)
    assert truncated.shape == (5, 3)
    np.testing.assert_allclose(truncated[:], expected, rtol=1e-6)
    np.testing.assert_allclose(truncated[[4, 1]], expected[[4, 1]], rtol=1e-6)


@pytest.mark.parametrize("dims", [(), (0,), (8, 8), (-1, 4)])
def test_invalid_dimensions_are_refused(dims):
    with pytest.raises(
        TrainingError,
        match="^`dims` .*: expected (a list of values|at least one number)",
    ):
        make_recipe("contrastive", {"dims": dims})


def test_more_dimensions_than_the_base_model_has_are_refused_before_any_work(trained, tiny_base, tmp_path):
    with pytest.raises(TrainingError, match="`dims` 64: the base model has only 32 dimensions"):
        adapt(
            TrainingJob(trained.data, "words", tiny_base, LEARNING.replace(dims=(64, 8)), device="cpu"),
            tmp_path / "out",
        )

"""Which subjects texts are about, and which may be expected in a domain."""

import numpy as np
import pytest

from router_plugin.classifier.known.subjects import Subject, Subjects, inventory, known_subjects, phrases
from router_plugin.classifier.neighbour_stage import NeighbourStage
from router_plugin.contracts import BaseEmbedder

DIMENSION = 12


def axes(*numbers):
    """A unit vector along each of these axes."""
    return np.eye(DIMENSION, dtype=np.float32)[list(numbers)]


def near(number, rows, seed=0):
    """Unit vectors close to an axis."""
    vectors = axes(number) + 0.1 * np.random.default_rng(seed).normal(size=(rows, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def subjects(sizes, fields):
    """Subjects whose phrases are all one axis, a different one each."""
    known = [Subject(("phrase",) * size, field) for size, field in zip(sizes, fields, strict=True)]
    return Subjects(known, axes(*np.repeat(np.arange(len(sizes)), sizes)))


def test_a_text_is_about_the_subject_whose_phrases_are_near():
    shares = subjects([2, 3, 1, 2], [0, 0, 1, 1]).shares(axes(2, 0), 5)
    assert shares.sum(axis=1) == pytest.approx([1, 1])
    assert shares.argmax(axis=1).tolist() == [2, 0] and shares.max() > 0.9


def test_a_subject_of_many_phrases_is_no_likelier():
    few, many = (subjects(sizes, [0, 1, 2]).shares(near(0, 5), 5) for sizes in ([1, 1, 1], [1, 50, 1]))
    np.testing.assert_allclose(few, many, atol=1e-6)


def test_subjects_of_a_known_field_are_expected_more_than_others():
    known = subjects([1, 1, 1, 1], [0, 0, 1, 1])
    expected = known.expected(np.float32([1, 0, 0, 0]))
    assert expected.mean() == pytest.approx(1)
    assert expected[0] > expected[1] > expected[2] == expected[3] > 0


def test_a_query_unlike_the_known_ones_is_of_the_domain_that_asks_about_its_subject():
    """The phrases of subject 0 lie along two axes; the domain's queries are near only one of them."""
    known = Subjects([Subject(("a", "b"), 0), Subject(("c",), 1), Subject(("d",), 2)], axes(0, 1, 2, 3))
    stage = NeighbourStage([near(8, 30), near(0, 30), near(2, 30)], sharpness=5, subjects=known)
    general, own, other = stage.nearness(axes(1)).subjects[0]
    assert general == 0 and own > 0.5 and other < -0.5


def test_general_knows_the_subjects_that_are_no_domains():
    known = subjects([1, 1, 1], [0, 1, 2])
    embeddings = [near(8, 30), near(0, 30)]
    without, stage = NeighbourStage(embeddings, sharpness=5), NeighbourStage(embeddings, sharpness=5, subjects=known)
    of_no_domain, of_the_domain = (
        stage.nearness(axes(n)).densities - without.nearness(axes(n)).densities for n in (2, 0)
    )
    assert of_no_domain[0, 0] > 1 and of_the_domain[0, 0] < 0.1
    assert (of_no_domain[:, 1] == 0).all() and (of_the_domain[:, 1] == 0).all()


def test_a_domain_of_which_nothing_is_known_may_be_about_anything():
    stage = NeighbourStage([near(8, 30), near(0, 0)], sharpness=5, subjects=subjects([1, 1], [0, 1]))
    assert stage.nearness(axes(0, 1)).subjects[:, 1] == pytest.approx([0, 0], abs=1e-6)


def test_the_inventory_is_of_distinct_subjects_with_several_phrases():
    known = inventory()
    names = [each.phrases[0] for each in known]
    assert len(set(names)) == len(names) > 80
    assert all(len(set(each.phrases)) == len(each.phrases) >= 4 for each in known)
    assert all(phrase == phrase.strip() != "" for phrase in phrases(known))
    assert [each.field for each in known] == sorted(each.field for each in known)


def test_the_packaged_vectors_are_those_of_the_phrases(real_base):
    from router_plugin.encoders.torch_encoder import TorchEncoder

    encode = TorchEncoder(real_base.path, "cpu").encode
    ready = known_subjects(BaseEmbedder(real_base.digest, None))
    every = phrases(inventory())
    assert len(ready.vectors) == len(every)
    np.testing.assert_allclose(ready.vectors[::40], encode(every[::40]), atol=2e-3)

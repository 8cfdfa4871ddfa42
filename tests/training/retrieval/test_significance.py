"""Significance: intervals have their nominal coverage, and chance is not taken for a gain."""

import numpy as np
import pytest

from registry.gates.significance import compare


def sides(seed, gain, queries=200):
    draw = np.random.default_rng(seed)
    base = draw.choice([0, 0.2, 0.25, 1 / 3, 0.5, 1], queries)
    return base, base + draw.normal(gain, 0.3, queries)


def test_equal_models_differ_by_nothing():
    base, _ = sides(0, 0)
    found = compare(base, base, 1)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_the_same_seed_gives_the_same_answer():
    assert compare(*sides(3, 0.02), 5) == compare(*sides(3, 0.02), 5)


@pytest.mark.parametrize("gain", [0.15, -0.15])
def test_a_clear_difference_is_found_and_has_its_sign(gain):
    found = compare(*sides(1, gain), 1)
    assert found.low <= found.difference <= found.high
    assert found.p_value < 0.001
    assert min(found.low * gain, found.high * gain) > 0


def test_the_sides_are_mirror_images():
    base, adapted = sides(2, 0.05)
    one, other = compare(base, adapted, 1), compare(adapted, base, 1)
    assert one.difference == pytest.approx(-other.difference)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=0.005)
    assert one.p_value == pytest.approx(other.p_value, abs=0.01)


@pytest.mark.slow
def test_without_a_gain_one_test_in_twenty_is_significant():
    found = [compare(*sides(seed, 0, queries=60), seed) for seed in range(200)]
    for share in (
        np.mean([each.p_value < 0.05 for each in found]),
        np.mean([not each.low <= 0 <= each.high for each in found]),
    ):
        assert 0.01 <= share <= 0.10


def test_one_query_proves_nothing():
    assert compare(np.array([0.0]), np.array([1.0]), 1).p_value == 1

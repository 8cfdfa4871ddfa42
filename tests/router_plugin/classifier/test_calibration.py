"""Whether a query is of any domain: which measures are believed."""

import numpy as np
import pytest

from router_plugin.classifier.calibration import Calibration, Measures
from router_plugin.classifier.neighbour_stage import Nearness

LABELS = np.arange(600) % 3


def measured(telling_margins, telling_densities):
    """Measures of queries of ``general`` and two domains, each kind of which tells them apart that well."""
    draw, right = np.random.default_rng(0), np.eye(3)[LABELS]
    margins, densities = (
        (strength * right + draw.normal(size=right.shape)).astype(np.float32)
        for strength in (telling_margins, telling_densities)
    )
    return Measures(margins, np.zeros(len(LABELS), np.float32), Nearness(0.1 * densities, densities, 0 * densities))


def outside(calibration, margins, densities):
    """The probability of ``general`` of one query."""
    nothing = np.zeros((1, 3), np.float32)
    near = Nearness(nothing, np.float32([densities]), nothing)
    query = Measures(np.float32([margins]), np.zeros(1, np.float32), near)
    return calibration.probabilities(query)[0, 0]


def test_words_do_not_decide_where_the_vectors_do():
    calibration = Calibration.fit(measured(1, 8), LABELS)
    for margins in ([2, -1, -1], [-1, 2, -1]):
        assert outside(calibration, margins, [8, 0, 0]) > 0.8
        assert outside(calibration, margins, [0, 8, 0]) < 0.3


def test_words_decide_where_the_vectors_do_not():
    calibration = Calibration.fit(measured(8, 0.5), LABELS)
    for densities in ([2, 0, 0], [0, 2, 0]):
        assert outside(calibration, [8, 0, 0], densities) > 0.8
        assert outside(calibration, [0, 8, 0], densities) < 0.3


def test_subjects_count_with_the_densities():
    measures = measured(0.5, 2)
    subjects = 3 * np.eye(3, dtype=np.float32)[LABELS] * [0, 1, 1]
    told = measures._replace(near=measures.near._replace(subjects=subjects.astype(np.float32)))
    right = [
        np.mean(Calibration.fit(each, LABELS).probabilities(each).argmax(axis=1) == LABELS) for each in (measures, told)
    ]
    assert right[1] > right[0] + 0.05


def test_without_the_neighbour_stage_the_margins_decide():
    measures = measured(8, 0)._replace(near=None)
    likely = Calibration.fit(measures, LABELS).probabilities(measures)
    assert likely.sum(axis=1) == pytest.approx(np.ones(len(LABELS)))
    assert np.mean(likely.argmax(axis=1) == LABELS) > 0.9

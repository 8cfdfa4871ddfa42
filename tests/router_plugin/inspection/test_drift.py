"""Drift: a held-out sample of the same queries is stable, and queries of another field are drifting."""

import json

import numpy as np
import pytest

from registry import Profile
from registry.model_folders.loading import load_sentence_transformer
from router_plugin.inspection import drift
from tests.conftest import EXAMPLES

KNOWN = 120


def questions(name, count):
    lines = (EXAMPLES / "data" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = np.random.default_rng(0).permutation(len(lines))[:count]
    return [json.loads(lines[row])["question"] for row in rows]


@pytest.fixture(scope="module")
def encode(real_base):
    model = load_sentence_transformer(real_base.path, base=real_base, device="cpu")
    return lambda texts: model.encode(list(texts), normalize_embeddings=True, batch_size=64)


@pytest.fixture(scope="module")
def medical(encode):
    """Medical questions, their vectors, and the profile of the first of them."""
    texts = questions("medical", 2 * KNOWN)
    vectors = encode(texts)
    profile = Profile.from_queries(texts[:KNOWN], encode, "base", embeddings=vectors[:KNOWN])
    return texts, vectors, profile


def test_a_held_out_sample_is_stable(medical):
    texts, vectors, profile = medical
    found = drift.drift_of("medical", profile, texts[KNOWN:], vectors[KNOWN:], "base")
    assert found.verdict == "stable" and found.farther.low < 0.5 < found.farther.high
    assert abs(found.known - found.incoming) < 0.05


def test_another_field_is_drifting_and_has_new_words(medical, encode):
    _, _, profile = medical
    texts = questions("legal", 100)
    found = drift.drift_of("medical", profile, texts, encode(texts), "base")
    assert found.verdict == "drifting" and found.farther.value > 0.8
    assert found.incoming < found.known
    assert {"car", "claim", "house"} < {each.word for each in found.new_words}


def test_what_cannot_be_compared_is_said(medical):
    texts, vectors, profile = medical
    assert drift.drift_of("medical", profile, texts[:5], vectors[:5], "base").verdict == "too few queries"
    found = drift.drift_of("medical", profile, texts, vectors, "another")
    assert found.verdict == "not comparable" and found.farther is None


def test_held_out_samples_are_rarely_called_drifting():
    """Profiles and queries of the same distribution, with clusters as real ones have."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(20, 16))
    calls = []
    for _ in range(200):
        points = centres[draw.integers(0, 20, 400)] + 0.3 * draw.normal(size=(400, 16))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        known, new = points[:300], points[300:]
        calls.append(drift.probability_farther(drift.nearest(new, known), drift.nearest_others(known)))
    assert np.mean([each.low > drift.SMALL_EFFECT for each in calls]) == 0
    assert np.mean([each.low <= 0.5 <= each.high for each in calls]) > 0.85


def test_the_interval_is_that_of_the_mann_whitney_statistic():
    from scipy.stats import mannwhitneyu

    draw = np.random.default_rng(1)
    incoming, known = draw.normal(-0.5, 1, 80).round(1), draw.normal(0, 1, 120).round(1)
    found = drift.probability_farther(incoming, known)
    assert found.value == pytest.approx(mannwhitneyu(known, incoming).statistic / (80 * 120))
    rows = [(draw.choice(incoming, 80), draw.choice(known, 120)) for _ in range(2000)]
    means = [drift.probability_farther(*each).value for each in rows]
    assert np.quantile(means, [0.025, 0.975]) == pytest.approx([found.low, found.high], abs=0.02)


def test_neighbours_are_found_in_blocks(monkeypatch):
    monkeypatch.setattr(drift, "_BLOCK", 7)
    draw = np.random.default_rng(2)
    known = draw.normal(size=(23, 5)).astype(np.float32)
    cosines = known @ known.T
    assert np.allclose(drift.nearest(known, known), cosines.max(axis=1))
    np.fill_diagonal(cosines, -np.inf)
    assert np.allclose(drift.nearest_others(known), cosines.max(axis=1))

"""What a base model makes of the package's texts: made once on a machine, and never mixed up with another model's."""

import numpy as np
import pytest

from router_plugin import DomainRouter, Settings
from router_plugin.classifier.known.everyday import everyday_profile, everyday_queries
from router_plugin.classifier.known.kept import kept_profile, kept_vectors
from router_plugin.classifier.known.subjects import inventory, known_subjects, phrases
from router_plugin.contracts import BaseEmbedder


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class Model:
    """Every text along one axis; counts the texts that it embeds."""

    def __init__(self, axis=0):
        self.axis, self.embedded = axis, 0

    def encode(self, texts):
        self.embedded += len(texts)
        return np.tile(np.eye(4, dtype=np.float32)[self.axis], (len(texts), 1))

    def embedder(self, identity=None):
        return BaseEmbedder("f" * 64, self.encode, identity=identity)


@pytest.mark.parametrize("identity", [None, "model"])
def test_another_base_model_reads_the_everyday_queries_and_subjects_anew(identity):
    base = Model().embedder(identity)
    profile, subjects = everyday_profile(base), known_subjects(base)
    assert profile.base == "f" * 64
    assert profile.embeddings.shape == (len(everyday_queries()), 4)
    assert subjects.vectors.shape == (len(phrases(inventory())), 4)


def test_what_is_known_by_an_identity_is_made_once():
    first, second = Model(), Model()
    made, found = (everyday_profile(each.embedder("model")) for each in (first, second))
    np.testing.assert_array_equal(made.embeddings, found.embeddings)
    assert (
        kept_vectors(["one"], first.embedder("model")).tolist()
        == kept_vectors(["one"], second.embedder("model")).tolist()
    )
    assert first.embedded > len(everyday_queries()) and second.embedded == 0


def test_other_models_and_other_texts_have_their_own():
    one, other, unknown = Model(0), Model(1), Model(2)
    for _ in range(2):
        assert kept_vectors(["a", "b"], one.embedder("one"))[:, 0].tolist() == [1, 1]
        assert kept_vectors(["a", "b"], other.embedder("other"))[:, 1].tolist() == [1, 1]
        assert kept_vectors(["a"], other.embedder("other")).shape == (1, 4)
        assert kept_vectors(["a", "b"], unknown.embedder())[:, 2].tolist() == [1, 1]
    assert (one.embedded, other.embedded, unknown.embedded) == (2, 3, 4)


@pytest.mark.parametrize("identity", [None, "model"])
def test_vectors_that_are_not_finite_are_near_nothing(identity):
    def encode(texts):
        return np.float32([[np.nan, 1] if text == "bad" else [1, 0] for text in texts])

    base = BaseEmbedder("f" * 64, encode, identity=identity)
    assert kept_vectors(["bad", "good"], base).tolist() == [[0, 0], [1, 0]]
    assert sorted(kept_profile(["bad", "good"], base).embeddings.tolist()) == [[0, 0], [1, 0]]


def test_a_damaged_file_is_made_again(home, caplog):
    kept_vectors(["a"], Model().embedder("model"))
    (file,) = home.glob("cache/vectors/*/*.safetensors")
    file.write_bytes(b"damaged")
    assert kept_vectors(["a"], Model().embedder("model")).shape == (1, 4)
    assert "damaged and is rebuilt" in caplog.text


def test_a_second_start_with_another_base_model_embeds_nothing(home, tiny_base, tmp_path, monkeypatch):
    settings = Settings(backend="torch")
    opened = DomainRouter([], str(tmp_path / "registry"), base_model=tiny_base, settings=settings)
    assert opened.loaded == ["general"]
    again = DomainRouter([], str(tmp_path / "registry"), base_model=tiny_base, settings=settings)
    assert again.loaded == []

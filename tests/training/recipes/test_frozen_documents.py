"""Query-only adaptation: queries are trained, and documents keep the vectors of an existing index."""

import numpy as np
import pytest
import torch

from registry import resolve_base_model
from router_plugin.encoders.torch_encoder import TorchEncoder
from tests.training.samples import LEARNING, texts_encoded
from training import Contrastive, TrainingError, TrainingJob, adapt
from training.recipes.frozen_documents import FrozenDocuments
from training.retrieval.encoding import load_model
from training.retrieval.states import State
from training.retrieval.texts import Texts

pytestmark = pytest.mark.slow

RECIPE = LEARNING.replace(
    freeze_documents=True,
    iterations=1,
    min_steps=100,
    max_epochs=100,
    learning_rate=3e-3,
    interpolation_weight=0.5,
)
TEXTS = ["please tell about apple castle", "kindly something desert engine"]


@pytest.fixture(scope="module")
def frozen(tmp_path_factory, trained, tiny_base):
    """The folder and report of a run, and what was encoded in it."""
    out = tmp_path_factory.mktemp("frozen") / "out"
    with texts_encoded() as encoded:
        report = adapt(TrainingJob(trained.data, "words", tiny_base, RECIPE, device="cpu"), out)
    return out, report, encoded


def test_documents_keep_their_vectors_and_queries_learn(frozen, tiny_base):
    out, report, _ = frozen
    model, base = load_model(out, "cpu"), load_model(tiny_base.path, "cpu")
    np.testing.assert_array_equal(model.encode_document(TEXTS), base.encode_document(TEXTS))
    assert np.abs(model.encode_query(TEXTS) - base.encode_query(TEXTS)).max() > 0.01
    assert report.improved
    assert report.adapted_metrics["dev"]["ndcg@10"] > report.base_metrics["dev"]["ndcg@10"]


def test_every_document_is_encoded_once_in_the_whole_run(frozen, trained):
    encoded = {text: count for (kind, text), count in frozen[2].items() if kind == "encode_document"}
    assert encoded == dict.fromkeys(trained.data.corpus.values(), 1)


def test_the_folder_measures_as_the_report_says(frozen, trained, tmp_path):
    out, report, _ = frozen
    state = State("again", tmp_path, lambda: load_model(out, "cpu"), Texts(trained.data), 64, "cpu")
    assert state.metrics("test") == pytest.approx(report.adapted_metrics["test"])


def test_the_routers_encoder_uses_the_branch_for_queries(frozen):
    model = load_model(frozen[0], "cpu")
    expected = model.encode_query(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(TorchEncoder(frozen[0], "cpu").encode(TEXTS), expected, atol=1e-6)


def test_the_loss_is_each_relevant_document_against_all_irrelevant_ones(trained, tiny_base, tmp_path):
    model = load_model(tiny_base.path, "cpu")
    state = State("base", tmp_path, lambda: model, Texts(trained.data), 64, "cpu")
    queries = state.texts.queries["train"][:3]
    loss = FrozenDocuments(model, state, scale=20.0)([model.preprocess(queries)], torch.tensor([0, 1, 2]))
    scores = 20 * model.encode_query(queries, normalize_embeddings=True) @ state.documents[:].T
    expected = []
    for row, relevant in zip(scores, state.texts.relevant["train"][:3], strict=True):
        wrong = np.exp(np.delete(row, sorted(relevant))).sum()
        expected.append(np.mean([np.log(1 + wrong / np.exp(row[right])) for right in relevant]))
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-4)


def test_a_base_model_with_branches_is_refused(frozen, trained, tmp_path):
    base = resolve_base_model(str(frozen[0]))
    with pytest.raises(TrainingError, match="base model that has separate weights for queries"):
        adapt(TrainingJob(trained.data, "words", base, RECIPE, device="cpu"), tmp_path / "out")


@pytest.mark.parametrize("other", [{"lora": 4}, {"dims": (16,)}, {"mini_batch": 4}])
def test_options_that_cannot_be_used_with_frozen_documents_are_refused(other):
    with pytest.raises(TrainingError, match=f"^`freeze_documents` cannot be combined with `{next(iter(other))}`"):
        Contrastive(freeze_documents=True, **other)

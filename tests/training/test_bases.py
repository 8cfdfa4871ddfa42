"""Any SentenceTransformer can be adapted: other poolings, long texts, prompts, half precision, two encoders."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss

from registry import BaseModelFiles, resolve_base_model
from router_plugin.encoders.torch_encoder import TorchEncoder
from tests.training.samples import QUICK, run_python
from tests.training.sources.samples import KINDS
from training import Contrastive, ReferenceTriplet, TrainingError, TrainingJob, adapt, publish
from training.mining.examples import Examples
from training.recipes.finetune import finetune, half_precision
from training.recipes.interpolation import interpolate
from training.recipes.model_modules import branches, describe_model
from training.recipes.recipes import MANY
from training.retrieval.encoding import load_model
from training.retrieval.metrics import retrieval_metrics
from training.retrieval.ranking import ranking

pytestmark = pytest.mark.slow

DESCRIBED = {
    "cls": (32, 64, "cls", False),
    "long": (32, 1024, "mean", True),
    "prompts": (32, 64, "mean", True),
    "half": (32, 64, "mean", True),
    "two_encoders": (32, 64, "query cls, document mean", True),
    "static_queries": (32, 64, "query none, document mean", False),
    "two_heads": (16, 64, "query mean, document mean", True),
}
APART = {"prompts", "two_encoders", "static_queries", "two_heads"}
"""The kinds to which a text is one thing as a query and another as a document."""

FULL = {
    "iterations": 1,
    "learning_rate": 1e-2,
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "interpolation_weight": 1.0,
    "mix_ratio": 0.0,
}
COLUMNS = {
    "anchor": ["apple", "bridge"] * 8,
    "positive": ["castle", "desert"] * 8,
    "negative": ["engine", "forest"] * 8,
}
WORDS = ["apple", "castle", "engine", "zebra", "elephant", "violin"]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def base(kind: str, tmp_path_factory: pytest.TempPathFactory) -> BaseModelFiles:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp(kind)
    KINDS[kind](folder).save_pretrained(str(folder / "model"))
    return resolve_base_model(str(folder / "model"))


@pytest.fixture(scope="module")
def adapted(base, trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapted") / "out"
    return out, adapt(
        TrainingJob(trained.data, "words", base, Contrastive(**FULL, min_steps=6, batch_size=8), device="cpu"), out
    )


def plain(folder):
    """As whoever has none of our code loads it."""
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def token_vectors(model):
    """The input embeddings of ``WORDS`` for queries and for documents, ``(6, d)`` each."""
    chains = branches(model)
    vectors = {}
    for task in ("query", "document"):
        reader = chains.get(task, chains.get(""))[0]
        table = reader.auto_model.get_input_embeddings() if hasattr(reader, "auto_model") else reader.embedding
        tokens = model.tokenizer.token_to_id if task == "query" and not hasattr(reader, "auto_model") else None
        numbers = [(tokens or reader.tokenizer.convert_tokens_to_ids)(word) for word in WORDS]
        vectors[task] = table.weight[numbers].detach().clone()
    return vectors


def test_the_report_describes_the_model(kind, adapted):
    _, report = adapted
    expected = dict(zip(("dimension", "max_length", "pooling", "normalized"), DESCRIBED[kind], strict=True))
    assert {name: getattr(report, name) for name in expected} == expected
    assert json.loads(json.dumps(report.model_dump(), allow_nan=False)) == report.model_dump(mode="json")


def test_the_model_folder_gives_the_embeddings_that_were_measured(adapted, trained):
    out, report = adapted
    model = plain(out)
    qrels, names = trained.data.qrels["test"], list(trained.data.corpus)
    queries = model.encode_query([trained.data.queries[name] for name in qrels], normalize_embeddings=True)
    documents = model.encode_document(list(trained.data.corpus.values()), normalize_embeddings=True)
    relevant = [{names.index(name) for name in wanted} for wanted in qrels.values()]
    measured = retrieval_metrics(ranking(queries, documents, 100), relevant)
    assert report.adapted_metrics["test"] == pytest.approx(measured, abs=1e-3)


def test_queries_and_documents_are_encoded_differently_by_models_that_do(kind, adapted):
    model = plain(adapted[0])
    query, document = (encode(["apple castle"]) for encode in (model.encode_query, model.encode_document))
    assert np.allclose(query, document, atol=1e-6) == (kind not in APART)


def test_queries_train_the_branch_of_queries_and_documents_that_of_documents(kind, base, tmp_path):
    model = load_model(base.path, "cpu")
    before = token_vectors(model)
    finetune(model, Examples(COLUMNS), Contrastive(**FULL, min_steps=2), 1, tmp_path, kind)
    after = token_vectors(model)
    moved = {
        task: [word for word, row in zip(WORDS, (after[task] != before[task]).any(dim=1).tolist(), strict=True) if row]
        for task in before
    }
    if kind in ("two_encoders", "static_queries"):
        assert moved == {"query": ["apple"], "document": ["castle", "engine"]}
    else:
        told = ["zebra", "elephant"] if kind == "prompts" else []
        assert moved["query"] == moved["document"] == ["apple", "castle", "engine", *told]


def test_an_option_that_a_kind_cannot_be_trained_with_is_refused(tmp_path):
    model = KINDS["static_queries"](tmp_path)
    with pytest.raises(
        TrainingError, match="recipe contrastive with these options cannot train this base model: Cached"
    ):
        finetune(model, Examples(COLUMNS), Contrastive(mini_batch=4), 1, tmp_path, "static")


def test_large_batches_are_cached_unless_embeddings_are_static(kind, base):
    loss = Contrastive().fitted(MANY).loss(load_model(base.path, "cpu"))
    assert isinstance(loss, CachedMultipleNegativesRankingLoss) == (kind != "static_queries")


@pytest.mark.parametrize("recipe", [ReferenceTriplet(epochs=1), Contrastive(mini_batch=4, max_length=8)])
def test_every_recipe_trains_every_kind_and_leaves_its_lengths(kind, base, tmp_path, recipe):
    if kind == "static_queries" and isinstance(recipe, Contrastive):
        recipe = recipe.replace(mini_batch=None)
    model = load_model(base.path, "cpu")
    before = [getattr(chain[0], "max_seq_length", None) for chain in branches(model).values()]
    finetuned = finetune(model, Examples(COLUMNS), recipe, 1, tmp_path, kind)
    assert finetuned["steps"] > 0 and math.isfinite(finetuned["loss"])
    assert [getattr(chain[0], "max_seq_length", None) for chain in branches(model).values()] == before


def test_interpolation_moves_every_weight_once(adapted, base):
    model, start = load_model(adapted[0], "cpu"), load_model(base.path, "cpu").state_dict()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    interpolate(model, load_model(base.path, "cpu"), 0.25)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.25 * before[name] + 0.75 * start[name])


def test_a_published_model_is_served(adapted, registry, kind):
    version = publish(adapted[0], registry, force=True)
    encoder = TorchEncoder(registry.fetch(version), device="cpu")
    assert encoder.encode(["apple castle"]).shape == (1, DESCRIBED[kind][0])


def test_truncation_counts_the_tokens_of_a_query_and_its_prompt(kind, base):
    encoder = TorchEncoder(base.path, device="cpu")
    model = plain(base.path)
    for words in (10, 29, 30, 31, 59, 60, 61, 62, 63, 1021, 1022, 1023):
        text = " ".join(["apple"] * words)
        longer = text + " castle"
        cut = np.array_equal(model.encode_query([text]), model.encode_query([longer]))
        assert encoder.truncates(longer) == cut, words


def test_long_texts_are_encoded_to_their_end(tmp_path):
    model = KINDS["long"](tmp_path)
    text = " ".join(["apple"] * 900)
    assert not np.allclose(*model.encode([text + " castle", text + " desert"]), atol=1e-7)


LONG_DOCUMENT = """
import resource, sys
from pathlib import Path
import torch
from tests.training.sources.samples import modern_bert
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from training import Contrastive
from training.mining.examples import Examples
from training.recipes.finetune import finetune
from training.recipes import length_slices

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

length_slices.KEPT_BYTES = int(sys.argv[2]) << 20
folder = Path(sys.argv[1])
model = SentenceTransformer(modules=[modern_bert(folder, 8192, heads=1), Pooling(32, "mean")], device="cpu")
queries = ["bridge", "forest"]
texts = [" ".join(["apple"] * 8150 + ["castle"]), "a short desert"]
assert model.preprocess(texts)["attention_mask"].sum(dim=1).tolist()[0] == 8153
before, start = model[0].auto_model.get_input_embeddings().weight.detach().clone(), peak()
recipe = Contrastive(learning_rate=1e-2, warmup_steps=0, min_steps=1, batch_size=2, weight_decay=0.0)
finetune(model, Examples({"anchor": queries, "positive": texts}), recipe, 1, folder / "scratch", "long")
after = model[0].auto_model.get_input_embeddings().weight
moved = (after != before).any(dim=1)[model.tokenizer.convert_tokens_to_ids(["castle", "zebra"])].tolist()
print(moved, peak() - start)
"""


def test_a_document_of_8192_tokens_is_trained_on_to_its_end_in_bounded_memory(tmp_path):
    done = run_python(LONG_DOCUMENT, tmp_path, 512)
    assert done.returncode == 0, done.stderr
    moved, mebibytes = done.stdout.split("]")
    assert moved == "[True, False"
    assert int(mebibytes) < 1500


def test_a_model_that_sets_no_limit_has_none_in_the_report(tmp_path):
    model = KINDS["cls"](tmp_path)
    model.max_seq_length = int(1e30)
    assert describe_model(model)["max_length"] is None


def test_attention_is_fused(tmp_path):
    KINDS["cls"](tmp_path).save_pretrained(str(tmp_path / "model"))
    assert load_model(tmp_path / "model", "cpu")[0].auto_model.config._attn_implementation == "sdpa"


def test_weights_stored_in_half_precision_are_trained_in_full(tmp_path, trained):
    KINDS["half"](tmp_path).save_pretrained(str(tmp_path / "model"))
    assert plain(tmp_path / "model").dtype == torch.bfloat16
    adapt(
        TrainingJob(trained.data, "words", resolve_base_model(str(tmp_path / "model")), QUICK, device="cpu"),
        tmp_path / "out",
    )
    assert plain(tmp_path / "out").dtype == torch.float32


@pytest.mark.parametrize(
    ("device", "bfloat16", "expected"),
    [
        ("cuda", True, "bf16"),
        ("cuda:1", False, "fp16"),
        ("cpu", True, "bf16"),
        ("cpu", False, None),
        ("mps", True, None),
    ],
)
def test_a_device_trains_in_the_half_precision_that_it_supports(monkeypatch, device, bfloat16, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": bfloat16, "avx2": True})
    assert half_precision(torch.device(device)) == expected

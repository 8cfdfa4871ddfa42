"""A text gets the same prompt, and is cut at the same length, in training, in an export and in both ways of serving."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from registry import BaseModelError, BaseModelFiles, resolve_base_model
from registry.model_folders.compiled import CompiledModel
from registry.model_folders.exporting import export
from registry.model_folders.input_config import MODEL_CONFIG, TRANSFORMER_CONFIG, InputConfig
from registry.model_folders.loading import load_sentence_transformer
from router_plugin.encoders.shared_backbone import SharedBackbone
from router_plugin.encoders.torch_encoder import TorchEncoder
from training import Contrastive
from training.mining.examples import Examples
from training.recipes.finetune import finetune, train_adapter_only
from training.runs.run import save_model

TEXTS = ["apple", "a castle in the desert"]
CASES: dict[str, tuple[dict[str, str], str | None, dict[str, str]]] = {
    "passage": ({"query": "zebra: ", "passage": "elephant: "}, None, {"query": "zebra: ", "document": "elephant: "}),
    "all": (
        {"query": "zebra: ", "document": "elephant: ", "passage": "violin: "},
        "passage",
        {"query": "zebra: ", "document": "elephant: "},
    ),
    "default": ({"corpus": "elephant: ", "other": "violin: "}, "other", {"query": "", "document": "elephant: "}),
}
"""Prompts, the name of the default one, and the prompt that each kind of text gets."""


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def prompted(case: str, tiny_base: BaseModelFiles, tmp_path: Path) -> BaseModelFiles:
    """The tiny base model with the prompts of the case."""
    model = load_sentence_transformer(tiny_base.path, device="cpu")
    model.prompts, model.default_prompt_name = dict(CASES[case][0]), CASES[case][1]
    model.save_pretrained(str(tmp_path / "prompted"))
    return resolve_base_model(str(tmp_path / "prompted"))


@pytest.fixture
def expected(case: str, tiny_base: BaseModelFiles) -> dict[str, NDArray[np.float32]]:
    """Vectors of the texts as queries and as documents, the prompts written out."""
    model = load_sentence_transformer(tiny_base.path, device="cpu")
    prompts = CASES[case][2]
    return {kind: vectors(model, [prompt + text for text in TEXTS]) for kind, prompt in prompts.items()}


def vectors(model: SentenceTransformer, texts: list[str]) -> NDArray[np.float32]:
    return np.asarray(model.encode(texts, prompt="", normalize_embeddings=True))


def test_evaluation_and_serving_use_the_same_prompts(
    prompted: BaseModelFiles, expected: dict[str, NDArray[np.float32]]
) -> None:
    model = load_sentence_transformer(prompted.path, device="cpu")
    found = {
        "query": [
            model.encode_query(TEXTS, normalize_embeddings=True),
            TorchEncoder(prompted.path, "cpu").encode(TEXTS),
            SharedBackbone(model.eval()).base.encode(TEXTS),
        ],
        "document": [model.encode_document(TEXTS, normalize_embeddings=True)],
    }
    for kind, each in found.items():
        for made in each:
            np.testing.assert_allclose(made, expected[kind], atol=1e-5)


def test_an_export_has_the_same_prompts(
    prompted: BaseModelFiles, expected: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    (tmp_path / "variant").mkdir()
    plain = SentenceTransformer(str(prompted.path), device="cpu", local_files_only=True)  # as others may load it
    export(plain, tmp_path / "variant", "openvino")
    variant = CompiledModel(tmp_path / "variant")
    for kind in ("query", "document"):
        np.testing.assert_allclose(variant.encode(TEXTS, kind), expected[kind], atol=5e-3)


def test_training_uses_the_same_prompts(case: str, prompted: BaseModelFiles, tmp_path: Path) -> None:
    model = load_sentence_transformer(prompted.path, device="cpu").float()
    words = ["zebra", "elephant", "violin"]
    tokens = model.tokenizer.convert_tokens_to_ids(words)
    before = model[0].auto_model.get_input_embeddings().weight[tokens].detach().clone()
    columns = {"anchor": ["apple", "bridge"] * 4, "positive": ["castle", "desert"] * 4}
    # without weight decay only the embeddings of tokens that were seen move
    recipe = Contrastive(
        iterations=1, min_steps=1, learning_rate=1e-2, warmup_steps=0, weight_decay=0.0, interpolation_weight=1.0
    )
    finetune(model, Examples(columns), recipe, 1, tmp_path / "scratch", case)
    after = model[0].auto_model.get_input_embeddings().weight[tokens].detach()
    moved = {word for word, row in zip(words, (after != before).any(dim=1).tolist(), strict=True) if row}
    assert moved == {prompt.removesuffix(": ") for prompt in CASES[case][2].values()} - {""}


def test_an_adapter_brings_its_own_prompts_to_any_base_model_of_its_weights(
    prompted: BaseModelFiles, expected: dict[str, NDArray[np.float32]], tiny_base: BaseModelFiles, tmp_path: Path
) -> None:
    model = load_sentence_transformer(prompted.path, device="cpu").float()
    train_adapter_only(model, 2, seed=1)  # an adapter that changes nothing yet
    save_model(model, tmp_path / "adapter", prompted)
    loaded = load_sentence_transformer(tmp_path / "adapter", tiny_base, "cpu")
    shared = SharedBackbone(load_sentence_transformer(tiny_base.path, device="cpu").float().eval())
    for made in (
        loaded.encode_query(TEXTS, normalize_embeddings=True),
        TorchEncoder(tmp_path / "adapter", "cpu", base=tiny_base).encode(TEXTS),
        shared.member(tmp_path / "adapter").encode(TEXTS),
    ):
        np.testing.assert_allclose(made, expected["query"], atol=1e-5)
    documents = loaded.encode_document(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(documents, expected["document"], atol=1e-5)


def test_sentence_transformers_itself_gives_queries_no_default_prompt_either(prompted: BaseModelFiles) -> None:
    plain = SentenceTransformer(str(prompted.path), device="cpu", local_files_only=True)
    ours = load_sentence_transformer(prompted.path, device="cpu")
    np.testing.assert_allclose(plain.encode_query(TEXTS), ours.encode_query(TEXTS), atol=1e-6)
    np.testing.assert_allclose(plain.encode(TEXTS), ours.encode(TEXTS), atol=1e-6)


@pytest.mark.parametrize(("length", "limit"), [(32, 32), (int(1e30), None), (None, None)])
def test_a_huge_or_missing_maximum_length_is_none(
    tiny_base: BaseModelFiles, length: int | None, limit: int | None
) -> None:
    model = load_sentence_transformer(tiny_base.path, device="cpu")
    model.max_seq_length = length
    assert InputConfig.of(model).max_length == limit


@pytest.mark.parametrize("content", ["{", '{"prompts": ["query"]}', '{"prompts": {"query": 1}}'])
def test_a_damaged_configuration_of_an_adapter_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / TRANSFORMER_CONFIG).write_text(json.dumps({"max_seq_length": 8}))
    (tmp_path / MODEL_CONFIG).write_text(content)
    with pytest.raises(BaseModelError, match=f"{tmp_path / MODEL_CONFIG} cannot be read"):
        InputConfig.of_folder(tmp_path, InputConfig({"query": "", "document": ""}, None, 64))


@pytest.mark.parametrize("domain", ["medical", "banking"])
def test_the_ready_made_models_take_plain_texts(domain: str, real_base: BaseModelFiles) -> None:
    folder = Path(__file__).parent.parent / "models" / domain
    model = load_sentence_transformer(folder, real_base, "cpu")
    config = InputConfig.of(model)
    assert (config.prompts, config.default_prompt_name, config.max_length) == ({"query": "", "document": ""}, None, 256)
    np.testing.assert_allclose(model.encode_query(TEXTS), model.encode(TEXTS), atol=1e-6)

"""Base models as they are published: what they lack is supplied, and those that cannot be used are found in seconds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

from registry import BaseModelError, BaseModelFiles, resolve_base_model
from registry.model_folders.input_config import InputConfig, position_limit
from registry.model_folders.loading import load_sentence_transformer, try_model
from router_plugin.encoders.shared_backbone import shared_backbone
from router_plugin.encoders.torch_encoder import TorchEncoder
from training.judges.cross_encoder_judge import CrossEncoderJudge

SIZES: dict[str, Any] = {"vocab_size": 30_522, "num_hidden_layers": 1, "num_attention_heads": 2}
BERT: dict[str, Any] = {**SIZES, "hidden_size": 32, "intermediate_size": 64}


def roberta(kind: str = "Roberta", padding: int = 1, **more: Any) -> torch.nn.Module:
    config = getattr(transformers, f"{kind}Config")(**BERT, max_position_embeddings=66, pad_token_id=padding, **more)
    model: torch.nn.Module = getattr(transformers, f"{kind}Model")(config)
    return model


def bert(**changes: Any) -> torch.nn.Module:
    return transformers.BertModel(transformers.BertConfig(**{**BERT, "max_position_embeddings": 64, **changes}))


def gpt2() -> torch.nn.Module:
    return transformers.GPT2Model(
        transformers.GPT2Config(vocab_size=30_522, n_embd=32, n_layer=1, n_head=2, n_positions=64)
    )


def modern_bert() -> torch.nn.Module:
    special = dict.fromkeys(("pad_token_id", "bos_token_id", "cls_token_id", "eos_token_id", "sep_token_id"), 0)
    return transformers.ModernBertModel(transformers.ModernBertConfig(**BERT, max_position_embeddings=128, **special))


def filled(value: float) -> torch.nn.Module:
    """A model whose embeddings are all the same number."""
    model = bert()
    for name in ("word_embeddings", "position_embeddings"):
        torch.nn.init.constant_(getattr(model.embeddings, name).weight, value)  # type: ignore[arg-type]
    return model


Build = Callable[..., Path]


@pytest.fixture
def build(tmp_path: Path, real_base: BaseModelFiles) -> Build:
    """Writes a SentenceTransformer of a transformer, with MiniLM's tokenizer without its limit, as many have it."""
    torch.manual_seed(0)

    def make(model: torch.nn.Module, *modules: torch.nn.Module, **tokens: str | None) -> Path:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(real_base.path))
        tokenizer.model_max_length = 10**30
        for name, token in tokens.items():
            setattr(tokenizer, name, token)
        for part in (model, tokenizer):
            part.save_pretrained(str(tmp_path / "transformer"))  # type: ignore[operator, union-attr]
        whole = [Transformer(str(tmp_path / "transformer")), *(modules or [Pooling(32, "mean")])]
        SentenceTransformer(modules=whole, device="cpu").save_pretrained(str(tmp_path / "model"))
        return tmp_path / "model"

    return make


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        (roberta, 64),
        (lambda: roberta(padding=0), 65),
        (lambda: roberta("XLMRoberta"), 64),
        (lambda: roberta("Camembert"), 64),
        (lambda: roberta("MPNet"), 64),
        (lambda: roberta("Longformer", attention_window=[8]), 64),
        (bert, 64),
        (modern_bert, 128),
        (gpt2, 64),
    ],
    ids=["roberta", "padding 0", "xlm-roberta", "camembert", "mpnet", "longformer", "bert", "modernbert", "gpt2"],
)
def test_texts_are_cut_where_a_model_has_no_more_positions(build: Build, model: Any, limit: int) -> None:
    loaded = load_sentence_transformer(build(model()), device="cpu")
    assert InputConfig.of(loaded).max_length == limit
    try_model(loaded, "it")
    vectors = loaded.encode(["short", "word " * 1000])
    assert torch.isfinite(torch.from_numpy(vectors)).all()


def test_a_limit_that_the_model_has_positions_for_stays(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    folder = build(roberta())
    model = load_sentence_transformer(folder, device="cpu")
    assert caplog.text.count("texts are cut at 64 tokens, as it has no positions for more") == 1
    model.max_seq_length = 20
    model.save_pretrained(str(folder))
    assert load_sentence_transformer(folder, device="cpu").max_seq_length == 20
    assert caplog.text.count("no positions for more") == 1


def test_relative_and_rotary_positions_have_no_end() -> None:
    t5 = transformers.T5Config(vocab_size=100, d_model=32, num_layers=1, num_heads=2, d_kv=16, d_ff=64)
    assert position_limit(transformers.T5EncoderModel(t5)) is None
    assert position_limit(modern_bert()) is None


def test_a_missing_padding_token_is_supplied_and_saved(build: Build, tmp_path: Path) -> None:
    loaded = load_sentence_transformer(build(gpt2(), pad_token=None), device="cpu")
    together = loaded.encode(["short", "a longer text of some words"])
    alone = loaded.encode(["short"])
    assert torch.allclose(torch.from_numpy(together[0]), torch.from_numpy(alone[0]), atol=1e-5)
    loaded.save_pretrained(str(tmp_path / "saved"))
    assert SentenceTransformer(str(tmp_path / "saved"), device="cpu").tokenizer.pad_token is not None


def test_a_tokenizer_without_any_token_to_pad_with_is_refused(build: Build) -> None:
    nothing = dict.fromkeys(("pad_token", "eos_token", "unk_token", "sep_token"))
    with pytest.raises(BaseModelError, match="its tokenizer has no padding token"):
        load_sentence_transformer(build(gpt2(), **nothing), device="cpu")


BROKEN: dict[str, tuple[Callable[[], list[torch.nn.Module]], str]] = {
    "vectors of NaN": (lambda: [filled(float("nan"))], "its vectors are not finite numbers"),
    "one vector for all": (lambda: [filled(0.0)], "it gives the same vector for different texts"),
    "first token of a causal model": (
        lambda: [gpt2(), Pooling(32, "cls")],
        "it gives the same vector for different texts",
    ),
    "no pooling": (lambda: [bert(), Normalize()], "it has no module for pooling"),
    "too few embeddings": (
        lambda: [bert(vocab_size=1000)],
        "its tokenizer or its maximum length goes beyond its weights",
    ),
    "another dimension": (lambda: [bert(), Pooling(16, "mean")], "its vectors have 32 dimensions, but it says 16"),
    "layers that do not fit": (lambda: [bert(), Pooling(32, "mean"), Dense(16, 16)], "shapes cannot be multiplied"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_model_that_cannot_be_used_is_refused_by_name(build: Build, case: str) -> None:
    modules, said = BROKEN[case]
    folder = build(*modules())
    with pytest.raises(BaseModelError, match=f"model mine cannot .*{said}"):
        try_model(load_sentence_transformer(folder, device="cpu"), "mine")
    with pytest.raises(BaseModelError, match=said):
        TorchEncoder(folder, "cpu")
    with pytest.raises(BaseModelError, match=said):
        shared_backbone(resolve_base_model(folder), "cpu", False)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", "{}"),
        ("config.json", "not JSON"),
        ("model.safetensors", "not safetensors"),
        ("tokenizer.json", "{}"),
        ("modules.json", "{}"),
        ("1_Pooling/config.json", '{"word_embedding_dimension": "many"}'),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(build: Build, file: str, content: str) -> None:
    folder = build(bert())
    (folder / file).write_text(content)
    with pytest.raises(BaseModelError, match=f"{folder} cannot") as error:
        try_model(load_sentence_transformer(folder, device="cpu"), str(folder))
    assert len(str(error.value).splitlines()) == 1


def test_a_cross_encoder_is_cut_where_it_has_no_more_positions(tmp_path: Path, real_base: BaseModelFiles) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(real_base.path))
    tokenizer.model_max_length = 10**30
    config = transformers.RobertaConfig(**BERT, max_position_embeddings=66, pad_token_id=1, num_labels=1)
    for part in (transformers.RobertaForSequenceClassification(config), tokenizer):
        part.save_pretrained(str(tmp_path))
    judge = CrossEncoderJudge(str(tmp_path), "cpu")
    assert len(judge.grade([("word " * 200, ["word " * 200])])[0]) == 1


def test_the_cut_is_told_to_the_user(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load_sentence_transformer(build(roberta()), device="cpu")
    assert [record.levelname for record in caplog.records] == ["WARNING"]

"""Tiny base models of every kind, with random weights and MiniLM's tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Router
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, StaticEmbedding, Transformer
from transformers import AutoTokenizer, BertConfig, BertModel, ModernBertConfig, ModernBertModel

from registry import resolve_base_model

SIZES = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}


def bert(folder: Path, length: int = 64) -> Transformer:
    """One layer of BERT."""
    tokenizer = _tokenizer()
    config = BertConfig(vocab_size=len(tokenizer), num_hidden_layers=1, max_position_embeddings=length, **SIZES)
    return _transformer(BertModel(config), folder, length)


def modern_bert(folder: Path, length: int = 1024, heads: int = 2) -> Transformer:
    """Two layers of ModernBERT, one with local attention, for long texts."""
    tokenizer = _tokenizer()
    special = {name: tokenizer.cls_token_id for name in ("bos_token_id", "cls_token_id")}
    special |= {name: tokenizer.sep_token_id for name in ("eos_token_id", "sep_token_id")}
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=2,
        global_attn_every_n_layers=2,
        max_position_embeddings=length,
        pad_token_id=tokenizer.pad_token_id,
        **special,
        **{**SIZES, "num_attention_heads": heads},
    )
    return _transformer(ModernBertModel(config), folder, length)


def cls(folder: Path) -> SentenceTransformer:
    """BERT whose first token is the embedding, not normalised."""
    return SentenceTransformer(modules=[bert(folder), Pooling(32, "cls")], device="cpu")


def long(folder: Path) -> SentenceTransformer:
    """ModernBERT."""
    return SentenceTransformer(modules=[modern_bert(folder), Pooling(32, "mean"), Normalize()], device="cpu")


def prompts(folder: Path) -> SentenceTransformer:
    """BERT that is told what is a query and what is a passage."""
    modules = [bert(folder), Pooling(32, "mean"), Normalize()]
    return SentenceTransformer(modules=modules, prompts={"query": "zebra: ", "passage": "elephant: "}, device="cpu")


def half(folder: Path) -> SentenceTransformer:
    """BERT whose weights are stored in half precision."""
    modules = [bert(folder).to(torch.bfloat16), Pooling(32, "mean"), Normalize()]
    return SentenceTransformer(modules=modules, device="cpu")


def two_encoders(folder: Path) -> SentenceTransformer:
    """A BERT for short queries and another for documents."""
    query = [bert(folder / "query", 32), Pooling(32, "cls")]
    document = [bert(folder / "document"), Pooling(32, "mean")]
    return SentenceTransformer(modules=[Router.for_query_document(query, document), Normalize()], device="cpu")


def static_queries(folder: Path) -> SentenceTransformer:
    """The mean of token embeddings for queries, BERT for documents."""
    query = [StaticEmbedding(_tokenizer(), embedding_dim=32)]
    query[0].tokenizer.no_truncation()  # which MiniLM's brings along
    document = [bert(folder), Pooling(32, "mean"), Normalize()]
    return SentenceTransformer(modules=[Router.for_query_document(query, document)], device="cpu")


def two_heads(folder: Path) -> SentenceTransformer:
    """One BERT, with a projection for queries and another for documents."""
    body = [bert(folder), Pooling(32, "mean")]
    router = Router.for_query_document([*body, Dense(32, 16)], [*body, Dense(32, 16)])
    return SentenceTransformer(modules=[router, Normalize()], device="cpu")


KINDS: dict[str, Callable[[Path], SentenceTransformer]] = {
    build.__name__: build for build in (cls, long, prompts, half, two_encoders, static_queries, two_heads)
}


def _tokenizer() -> AutoTokenizer:
    return AutoTokenizer.from_pretrained(str(resolve_base_model().path))


def _transformer(model: BertModel | ModernBertModel, folder: Path, length: int) -> Transformer:
    model.save_pretrained(str(folder / "transformer"))
    _tokenizer().save_pretrained(str(folder / "transformer"))
    return Transformer(str(folder / "transformer"), max_seq_length=length)

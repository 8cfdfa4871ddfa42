"""How much of a text a tokenizer can read: known, unknown and left out, by every kind of vocabulary."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing

from registry import BaseModelFiles
from registry.model_folders.loading import load_sentence_transformer
from registry.model_folders.tokenizer import Coverage, Tokens, tokens_of

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def word_piece() -> Tokenizer:
    """Like BERT's: words of the letters a to z, and nothing else."""
    words = ["[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    tokenizer = Tokenizer(models.WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [("[CLS]", 1), ("[SEP]", 2)]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    return tokenizer


def unigram(*more: str, byte_fallback: bool = False) -> Tokenizer:
    """Like XLM-R's: pieces with a mark for the blank before a word; a run of unknown characters is one piece."""
    pieces = ["<unk>", "\u2581", *LETTERS, *more]
    model = models.Unigram([(piece, -1.0) for piece in pieces], unk_id=0, byte_fallback=byte_fallback)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


def byte_level() -> Tokenizer:
    """Like RoBERTa's: all bytes are in the vocabulary."""
    tokenizer = Tokenizer(
        models.BPE({byte: index for index, byte in enumerate(pre_tokenizers.ByteLevel.alphabet())}, [])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def pairs_without_unknown() -> Tokenizer:
    """A vocabulary of letters without an unknown token, which leaves out what it does not know."""
    tokenizer = Tokenizer(models.BPE({letter: index for index, letter in enumerate(LETTERS)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def coverage(tokenizer: Tokenizer, text: str, limit: int | None = None) -> Coverage:
    return Tokens(tokenizer.to_str(), limit).coverage(text)


FALLBACK = [f"<0x{byte:02X}>" for byte in range(256)]


@pytest.mark.parametrize(
    ("tokenizer", "text", "readable", "share"),
    [
        (word_piece(), "ab cd", True, 0.0),
        (word_piece(), "\N{THUMBS UP SIGN}", False, 1.0),
        (word_piece(), "\u0e02\u0e2d\u0e40\u0e1e\u0e34\u0e48\u0e21", False, 1.0),
        (word_piece(), "ab \N{THUMBS UP SIGN}\N{THUMBS UP SIGN}", True, 0.5),
        (word_piece(), "a" * 1000, False, 1.0),
        (word_piece(), "\u200b\x00", False, 1.0),
        (word_piece(), "", False, 1.0),
        (word_piece(), "Cafe\u0301", True, 0.0),
        (unigram(), "ab cd", True, 0.0),
        (unigram(), "\u0e02\u0e2d\u0e40 \u0e1e\u0e34", False, 1.0),
        (unigram(), "ab \u0e02\u0e2d", True, 0.5),
        (unigram(*FALLBACK, byte_fallback=True), "\u0e02\u0e2d\u0e40", True, 0.0),
        (byte_level(), "\u0e02\u0e2d \N{THUMBS UP SIGN}", True, 0.0),
        (byte_level(), "", False, 1.0),
        (pairs_without_unknown(), "ab", True, 0.0),
        (pairs_without_unknown(), "ab \u4f60\u597d", True, 0.5),
        (pairs_without_unknown(), "\u4f60\u597d", False, 1.0),
    ],
)
def test_says_which_share_of_a_text_is_unknown(tokenizer: Tokenizer, text: str, readable: bool, share: float) -> None:
    found = coverage(tokenizer, text)
    assert (found.readable, found.unread_share) == (readable, share)


def test_counts_only_what_is_read_before_the_limit() -> None:
    assert coverage(word_piece(), "a b \u0e02 \u0e2d", limit=2) == Coverage(2, 0, 2, 0)


def test_leaves_special_tokens_aside() -> None:
    assert coverage(word_piece(), "ab") == Coverage(2, 0, 2, 0)


@given(st.text(alphabet=LETTERS + " \u0e02\u4f60\u597d\u200b\u0301\N{THUMBS UP SIGN}"))
def test_counts_no_more_than_there_is(text: str) -> None:
    for tokenizer in (word_piece(), unigram(), byte_level(), pairs_without_unknown()):
        found = coverage(tokenizer, text)
        assert 0 <= found.unknown <= found.tokens
        assert 0 <= found.unread <= found.characters <= len(text)


@given(st.text(alphabet=LETTERS, min_size=1, max_size=50))
def test_known_letters_are_read_by_all(text: str) -> None:
    for tokenizer in (word_piece(), unigram(), byte_level(), pairs_without_unknown()):
        assert coverage(tokenizer, text).unread == 0
        assert coverage(tokenizer, text).readable


def test_finds_the_tokenizer_of_a_model_in_memory(tiny_base: BaseModelFiles) -> None:
    tokens = tokens_of(load_sentence_transformer(tiny_base.path, device="cpu"))
    assert tokens is not None
    assert tokens.coverage("what is a loan").unread == 0
    assert not tokens.coverage("\N{PILE OF POO}").readable

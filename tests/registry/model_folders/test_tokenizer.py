"""How much of a text a tokenizer reads: unknown words, texts of which nothing is left, prompts, other kinds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from registry import resolve_base_model
from registry.model_folders.loading import query_reader
from registry.model_folders.tokenizer import QueryReader, Tokens, shared_tokens

UNKNOWN_SCRIPTS = ("ฃ", "ข", "ካ", "ክ", "က", "ം", "ગ", "ខ", "👍", "💩", "🚀")  # none is in the vocabulary
NOTHING = st.text(st.sampled_from("\u200b\u200c\u2060\ufeff\x00\x07\x1b \t\n\u202e"), max_size=6)


@pytest.fixture(scope="module")
def minilm():
    return QueryReader(shared_tokens((resolve_base_model().path / "tokenizer.json").read_text("utf-8"), 256), "")


@given(st.text(st.sampled_from(UNKNOWN_SCRIPTS), min_size=1, max_size=30))
def test_a_text_in_unknown_letters_is_not_read_at_all(minilm, text):
    assert minilm.read(text).unread == 1


@given(NOTHING)
def test_a_text_without_a_character_that_can_be_seen_is_not_read(minilm, text):
    assert minilm.read(text).unread == 1


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789?!.,äéñ", min_size=1, max_size=90))
def test_a_text_in_known_letters_is_read(minilm, text):
    assert minilm.read(text).unread == 0


@pytest.mark.parametrize(("length", "unread"), [(100, 0), (101, 1), (30_000, 1)])
def test_a_word_that_is_too_long_for_the_tokenizer_is_one_unknown_token(minilm, length, unread):
    assert minilm.read("a" * length).unread == unread
    assert minilm.read(f"what is {'a' * length}").unread == pytest.approx(unread / 3)


@given(st.lists(st.sampled_from(("reset", "card", "👍", "ካርዴን")), min_size=1, max_size=12))
def test_what_is_unread_is_the_share_of_unknown_words(minilm, words):
    unknown = sum(word in ("👍", "ካርዴን") for word in words)
    assert minilm.read(" ".join(words)).unread == pytest.approx(unknown / len(words))


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("ฉันลืมรหัสผ่านของบัตร 12345!", 16 / 17),  # one unknown token, and four known ones
        (f"what is in {'a1b2' * 30} ?", 1 / 4),
        ("ዶሮ - !? 8", 1 / 2),
        ("unbelievably ዶሮ", 1 / 2),
        ("ok👍", 1),
        ("?! ...", 0),
        ("naïve cafe\u0301 हिन्दी", 0),
    ],
)
def test_words_count_alike_however_many_tokens_they_are_and_letters_where_there_are_no_spaces(minilm, text, unread):
    assert minilm.read(text).unread == pytest.approx(unread)


@given(st.text(st.sampled_from("ab .?กข日本👍\u200b\u0301"), max_size=12))
def test_a_text_is_wholly_read_unless_letters_are_unknown(minilm, text):
    unread = minilm.read(text).unread
    seen = [character for character in text if character not in " \u200b\u0301"]
    assert 0 <= unread <= 1
    assert not seen or set(seen) & set("กข👍") or unread == 0


@pytest.mark.parametrize("prompt", ["query: ", "Instruct: find it\nQuery:", "👍 "])
@pytest.mark.parametrize(("text", "unread"), [("reset card", 0), ("👍", 1), ("", 1), ("\u200b", 1), ("ok 👍", 0.5)])
def test_a_prompt_is_no_part_of_the_text(minilm, prompt, text, unread):
    assert QueryReader(minilm.tokens, prompt).read(text).unread == unread


def test_only_what_is_read_counts(minilm):
    cut = Tokens((resolve_base_model().path / "tokenizer.json").read_text("utf-8"), 6)
    read = cut.read("one two three four 👍 👍 👍 👍 👍")
    assert (read.truncated, read.unread, len(read.ids)) == (True, 0, 6)


def test_the_special_tokens_of_a_text_are_what_the_tokenizer_makes_of_them(minilm):
    assert minilm.read("[UNK]").unread == 1
    assert minilm.read("[SEP] card").unread == 0


PIECES = [("<s>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0), ("▁card", -2.0), ("▁reset", -2.0)]
BYTES = [(f"<0x{byte:02X}>", -9.0) for byte in range(256)]


def unigram(pieces=PIECES, **options):
    made = Tokenizer(models.Unigram(pieces, 2, **options))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.post_processor = processors.TemplateProcessing("<s> $A </s>", None, [("<s>", 0), ("</s>", 1)])
    return made


def bpe(**options):
    return Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2, "?": 3}, [("a", "b")], **options))


def words():
    made = Tokenizer(models.WordLevel({"reset": 0, "card": 1, "[UNK]": 2}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    return made


def bytes_():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel()
    return made


@pytest.mark.parametrize(
    ("made", "text", "unread"),
    [
        (unigram, "reset card", 0),
        (unigram, "👍", 1),  # a blank and an unknown token
        (unigram, "card 👍", 0.5),
        (unigram, "\u200b", 1),
        (bpe, "abab", 0),
        (bpe, "👍", 1),  # dropped, without an unknown token
        (lambda: bpe(unk_token="?"), "👍", 1),
        (lambda: bpe(unk_token="?"), "ab👍", 1 / 3),
        (words, "Reset CARD", 0),
        (words, "reset the card now", 0.5),
        (lambda: bpe(unk_token="?"), "ab ab👍👍", 0.25),
        (lambda: unigram([*PIECES, *BYTES], byte_fallback=True), "card 👍", 0),
        (bytes_, "👍 ካርዴን", 0),  # bytes can write everything
        (bytes_, "\u200b", 1),
        (bytes_, " ", 1),
    ],
)
def test_every_kind_of_tokenizer_tells_what_it_does_not_know(made, text, unread):
    assert Tokens(made().to_str(), None).read(text).unread == unread


def test_the_reader_of_a_folder_reads_as_its_model_without_loading_it(tiny_base, tiny_adapter, tmp_path):
    from router_plugin.encoders.torch_encoder import TorchEncoder

    encoder = TorchEncoder(tiny_base.path, "cpu")
    for folder in (tiny_base.path, tiny_adapter):
        reader = query_reader(folder, tiny_base)
        for text in ("reset my card", "👍", "ok 👍", ""):
            assert reader.read(text).ids == encoder.key(text)
            assert reader.read(text).unread == encoder.unread(text)
    assert query_reader(tmp_path, tiny_base) is None

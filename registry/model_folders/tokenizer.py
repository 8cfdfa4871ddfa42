"""A fast tokenizer, shared by all encoders with equal tokenizers and limits, with a cache of recent texts.

It also measures how much of a text is in its vocabulary. A model cannot tell apart what is not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.model_folders.input_config import NO_LIMIT, Kind

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Encoding, Tokenizer

CACHED_TEXTS = 4096
_NOT_READ = ("Z", "M", "Cc", "Cf")
"""Categories of characters that a tokenizer may leave out: white space, marks and invisible characters."""


@dataclass(frozen=True)
class Coverage:
    """How much of a text a tokenizer's vocabulary covers, special tokens left aside; of the part before the limit.

    Attributes:
        tokens: number of tokens, unknown ones included.
        unknown: number of tokens that stand for something unknown: a character, a word, or several of them.
        characters: number of characters, without white space and invisible ones.
        unread: number of characters that are unknown or in no token.
    """

    tokens: int
    unknown: int
    characters: int
    unread: int

    @property
    def readable(self) -> bool:
        """Whether any token is known; to the model, all texts of which none is known are the same."""
        return self.unknown < self.tokens

    @property
    def unread_share(self) -> float:
        """The share of the characters that the model cannot read, from 0 to 1; 1 if the text has none."""
        return self.unread / self.characters if self.characters else 1.0


BLANK = "\u2581\u0120 "
"""What tokenizers write for a space."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
"""Unicode's categories of control and format characters, surrogates and separators."""
_UNKNOWN_ID = re.compile(r'"unk_id"\s*:\s*(\d+)')


class TextRead(NamedTuple):
    """A text as a model reads it.

    Attributes:
        ids: its token ids, special ones included, cut at the maximum length.
        truncated: whether it was cut.
        unread: the fraction of its tokens that the model does not know; 1 where it has none, or no character that can
            be seen. All that a model does not know is one and the same token, so that such texts cannot be told apart.
    """

    ids: tuple[int, ...]
    truncated: bool
    unread: float


class Tokens:
    """Texts to token ids. Safe to use from several threads: the tokenizer in it is never changed."""

    def __init__(self, tokenizer: str, max_length: int | None) -> None:
        """
        Args:
            tokenizer: content of a ``tokenizer.json``.
            max_length: tokens that a text is cut at; None for no limit.
        """
        from tokenizers import Tokenizer

        self._tokenizer: Tokenizer = Tokenizer.from_str(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        if max_length is not None and max_length < NO_LIMIT:
            self._tokenizer.enable_truncation(max_length)
        self._unknown = _unknown_token(self._tokenizer, tokenizer)
        self.read = lru_cache(CACHED_TEXTS)(self._read)
        self.coverage = lru_cache(CACHED_TEXTS)(self._measure)

    def ids(self, text: str) -> tuple[int, ...]:
        """The text's token ids, special ones included, cut at the maximum length."""
        return self.read(text).ids

    def truncates(self, text: str) -> bool:
        """Whether the text has more tokens than the maximum length."""
        return self.read(text).truncated

    def _read(self, text: str, start: int = 0) -> TextRead:
        """Read a text, of which the first ``start`` characters are a prompt, which does not count as unread."""
        encoding = self._tokenizer.encode(text)
        ids = tuple(encoding.ids)
        unknown = [token == self._unknown for token, end in zip(ids, _ends(encoding), strict=True) if end > start]
        seen = unknown and _can_be_seen(text[start:])
        return TextRead(ids, bool(encoding.overflowing), sum(unknown) / len(unknown) if seen else 1.0)

    def _measure(self, text: str) -> Coverage:
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        tokens = [index for index, token in enumerate(encoding.tokens) if token.strip(BLANK)]
        unknown = [index for index in tokens if encoding.ids[index] == self._unknown]
        end = max((encoding.offsets[index][1] for index in tokens), default=0) if encoding.overflowing else len(text)
        inside, unread = _inside(encoding, tokens), _inside(encoding, unknown)
        left_out = {index for index in set(range(end)) - inside if not _may_be_left_out(text[index])}
        unread = {index for index in unread if not text[index].isspace()} | left_out
        characters = {index for index in inside if not text[index].isspace()} | left_out
        return Coverage(len(tokens), len(unknown), len(characters), len(unread))


class QueryReader:
    """How an encoder reads queries: with its tokenizer, behind its prompt. Safe to use from several threads."""

    def __init__(self, tokens: Tokens, prompt: str) -> None:
        """
        Args:
            tokens: the encoder's.
            prompt: that is put before queries.
        """
        self.tokens, self._prompt = tokens, prompt

    def read(self, text: str) -> TextRead:
        """A query, with the prompt in front of it."""
        return self.tokens.read(self._prompt + text, len(self._prompt))


def _inside(encoding: Encoding, tokens: Sequence[int]) -> set[int]:
    """The positions of the characters that some tokens stand for."""
    return {position for index in tokens for position in range(*encoding.offsets[index])}


def _may_be_left_out(character: str) -> bool:
    return unicodedata.category(character).startswith(_NOT_READ)


@lru_cache(16)
def shared_tokens(tokenizer: str, max_length: int | None) -> Tokens:
    """This process's only :class:`Tokens` for a tokenizer and a maximum length."""
    return Tokens(tokenizer, max_length)


def tokens_of(model: SentenceTransformer, kind: Kind = "query") -> Tokens | None:
    """What reads the texts of a kind for a model in memory; None if that is no fast tokenizer."""
    from tokenizers import Tokenizer

    first: Any = model[0]
    branches = getattr(first, "sub_modules", None)  # of a Router, which has a module for queries and one for documents
    if branches is not None:
        first = branches[kind if kind in branches else first.default_route][0]
    found = getattr(first, "tokenizer", None)
    found = getattr(found, "backend_tokenizer", found)
    limit = getattr(first, "max_seq_length", None)
    return shared_tokens(found.to_str(), limit) if isinstance(found, Tokenizer) else None


def _ends(encoding: Encoding) -> Iterator[int]:
    """The position after each token; 0 for special tokens and those of a space."""
    parts = zip(encoding.offsets, encoding.special_tokens_mask, encoding.tokens, strict=True)
    return (0 if special or not token.strip(BLANK) else end for (_, end), special, token in parts)


def _can_be_seen(text: str) -> bool:
    return any(unicodedata.category(character) not in _UNSEEN for character in text)


def _unknown_token(tokenizer: Tokenizer, content: str) -> int | None:
    """The id of the token for what is not in the vocabulary; None where every text can be written in tokens."""
    name: str | None = getattr(tokenizer.model, "unk_token", None)
    if name is not None:
        return tokenizer.token_to_id(name)
    found = _UNKNOWN_ID.search(content)  # a unigram model does not tell it otherwise
    return int(found[1]) if found else None


def padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids and attention mask, both ``(n, the longest row)``."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, pad, dtype=np.int64)
    ids[mask] = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    return ids, mask.astype(np.int64)


def features(rows: Sequence[Sequence[int]], pad: int, names: Collection[str]) -> dict[str, NDArray[np.int64]]:
    """The inputs of these names for a transformer, ``(n, the longest row)`` each."""
    ids, mask = padded(rows, pad)
    known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return {name: known[name] for name in known if name in names}


def by_length(rows: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
    """Positions of rows in batches, the longest rows first."""
    order = sorted(range(len(rows)), key=lambda index: -len(rows[index]))
    return (order[start : start + batch_size] for start in range(0, len(order), batch_size))

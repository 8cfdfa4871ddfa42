"""A fast tokenizer, shared by all encoders with equal tokenizers and limits, with a cache of recent texts.

It also measures how much of a text it reads. A model cannot tell apart what is not in the vocabulary.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.model_folders.input_config import NO_LIMIT, Kind
from registry.texts.words import word_places

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Encoding, Tokenizer

CACHED_TEXTS = 4096
BLANK = "\u2581\u0120 "
"""What tokenizers write for a space."""
_LEFT_OUT = ("Z", "M", "Cc", "Cf")
"""Categories of characters that a tokenizer may leave out: white space, marks and invisible characters."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
"""Unicode's categories of control and format characters, surrogates and separators."""
_UNKNOWN_ID = re.compile(r'"unk_id"\s*:\s*(\d+)')


class TextRead(NamedTuple):
    """A text as a model reads it.

    Attributes:
        ids: its token ids, special ones included, cut at the maximum length.
        truncated: whether it was cut.
        unread: the fraction of its words that is unknown or left out, of what is not cut off; 1 where nothing can be
            seen. In a script without spaces every letter counts as a word; punctuation does not count.
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

        self._content, self._max_length = tokenizer, max_length
        self._tokenizer: Tokenizer = Tokenizer.from_str(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        if max_length is not None and max_length < NO_LIMIT:
            self._tokenizer.enable_truncation(max_length)
        self._unknown = _unknown_token(self._tokenizer, tokenizer)
        self.read = lru_cache(CACHED_TEXTS)(self._read)

    def __reduce__(self) -> tuple[Callable[[str, int | None], Tokens], tuple[str, int | None]]:
        """In another process, that process's only one."""
        return shared_tokens, (self._content, self._max_length)

    def ids(self, text: str) -> tuple[int, ...]:
        """The text's token ids, special ones included, cut at the maximum length."""
        return self.read(text).ids

    def truncates(self, text: str) -> bool:
        """Whether the text has more tokens than the maximum length."""
        return self.read(text).truncated

    def _read(self, text: str, start: int = 0) -> TextRead:
        """Read a text, of which the first ``start`` characters are a prompt, which does not count as unread."""
        encoding = self._tokenizer.encode(text)
        return TextRead(tuple(encoding.ids), bool(encoding.overflowing), self._unread(text, start, encoding))

    def _unread(self, text: str, start: int, encoding: Encoding) -> float:
        """See :attr:`TextRead.unread`."""
        unread, end = list[tuple[int, int]](), start
        for token, first, last in _placed(encoding):
            if last <= start:
                continue
            if first > end and not _may_be_left_out(text[end:first]):
                unread.append((end, first))
            if token == self._unknown:
                unread.append((max(first, start), last))
            end = max(end, last)
        stop = end if encoding.overflowing else len(text)
        if end == start or not _can_be_seen(text[start:stop]):
            return 1.0
        if not _may_be_left_out(text[end:stop]):
            unread.append((end, stop))
        return _share(text[start:stop], [(first - start, last - start) for first, last in unread]) if unread else 0.0


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


def _placed(encoding: Encoding) -> Iterator[tuple[int, int, int]]:
    """The id, start and end of each token, without those that the tokenizer adds and those of a space."""
    parts = zip(encoding.ids, encoding.offsets, encoding.special_tokens_mask, encoding.tokens, strict=True)
    return ((token, *place) for token, place, special, name in parts if not special and name.strip(BLANK))


def _share(text: str, unread: Sequence[tuple[int, int]]) -> float:
    """The fraction of the words of a text that is in unread parts, of which there is one at least."""
    marked = bytearray(len(text))
    for first, last in unread:
        marked[first:last] = b"\1" * (last - first)
    counted = [_says_something(character) for character in text]
    words = ([marked[at] for at in range(*place) if counted[at]] for place in word_places(text))
    shares = [sum(word) / len(word) for word in words if word]
    return sum(shares) / len(shares) if shares else 1.0


def _may_be_left_out(text: str) -> bool:
    return text.isspace() or all(unicodedata.category(character).startswith(_LEFT_OUT) for character in text)


def _says_something(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] != "P" and not category.startswith(_LEFT_OUT)


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

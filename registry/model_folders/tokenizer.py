"""A fast tokenizer, shared by all encoders with equal tokenizers and limits, with a cache of recent texts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from registry.model_folders.input_config import NO_LIMIT

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CACHED_TEXTS = 4096


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
        self._one = lru_cache(CACHED_TEXTS)(self._read)

    def ids(self, text: str) -> tuple[int, ...]:
        """The text's token ids, special ones included, cut at the maximum length."""
        return self._one(text)[0]

    def truncates(self, text: str) -> bool:
        """Whether the text has more tokens than the maximum length."""
        return self._one(text)[1]

    def _read(self, text: str) -> tuple[tuple[int, ...], bool]:
        encoding = self._tokenizer.encode(text)
        return tuple(encoding.ids), bool(encoding.overflowing)


@lru_cache(16)
def shared_tokens(tokenizer: str, max_length: int | None) -> Tokens:
    """This process's only :class:`Tokens` for a tokenizer and a maximum length."""
    return Tokens(tokenizer, max_length)


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

"""Words that can be key words of a text, in any script; a dictionary finds those of scripts without spaces."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from functools import cache

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from registry.texts.words import is_plain, is_unspaced, runs

log = logging.getLogger(__name__)

_PLAIN = re.compile(r"\b[^\W\d_][\w'-]+\b")
_MIN_LETTERS = 2


def candidate_key_words(text: str) -> list[str]:
    """The words of a text in lower case, in order, without numbers, single letters and stop words of English.

    Words of Chinese, Japanese, Thai, Lao, Khmer and Burmese text are those of ICU's dictionaries (Unicode Standard
    Annex 29, 4), if icu4py is installed; else there are none.
    """
    return [word for piece in text.lower().split() for word in _words(piece) if word not in ENGLISH_STOP_WORDS]


def _words(piece: str) -> Iterator[str]:
    """The words of what stands between two spaces."""
    if is_plain(piece):
        yield from _PLAIN.findall(piece)
        return
    for run in runs(piece):
        for word in _divide()(run) if is_unspaced(run) else (run,):
            if len(word) >= _MIN_LETTERS and word[0].isalpha():
                yield word


@cache
def _divide() -> Callable[[str], list[str]]:
    """Divides text that is written without spaces into words."""
    try:
        from icu4py.breakers import WordBreaker
    except ImportError:
        log.warning(
            "no key words are taken from text that is written without spaces: install what finds them with "
            "pip install 'domain-router[icu]'"
        )
        return lambda run: []
    return lambda run: list(WordBreaker(run, "en"))  # the script chooses the dictionary, whatever the locale

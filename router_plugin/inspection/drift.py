"""Whether the queries that come to a domain are still like those that its classifier profile was made of.

Each incoming query is as near to the domain as its highest cosine with a query of the profile, by the base model. The
queries of the profile are as near as their highest cosine with another one of the profile (leave one out). Both samples
are compared by the probability that an incoming query is farther than one of the profile, ties counting half: the
effect size A of Vargha and Delaney (2000, "A Critique and Improvement of the CL Common Language Effect Size
Statistics"), which is the Mann-Whitney statistic as a fraction. Its variance is that of DeLong et al. (1988, "Comparing
the Areas under Two or More Correlated Receiver Operating Characteristic Curves").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from registry import Profile
from registry.classifier_profiles.features import bucket, read_words
from router_plugin.cosines import Floats
from router_plugin.serving.candidates import Matrix

Verdict = Literal["stable", "drifting", "too few queries", "not comparable"]

MIN_QUERIES = 30
"""Different incoming queries, and queries of a profile, from which something is concluded."""
SMALL_EFFECT = 0.56
"""What Vargha and Delaney call a small effect: from here on, the whole interval means drift."""
NORMAL_95 = 1.96
"""Standard errors on either side of the estimate in its 95 % interval."""
NEW_WORDS = 10
"""Words that are named at most."""
FREQUENT = 0.02
"""Fraction of the incoming queries that have to contain a word for it to be named, and"""
MIN_USES = 3
"""how many have to at least."""

_BLOCK = 512


class Farther(NamedTuple):
    """The probability that an incoming query is farther from the known ones than one of them, and its 95 % interval."""

    value: float
    low: float
    high: float


class NewWord(NamedTuple):
    """A word that no query of a profile has, and how many incoming queries have it."""

    word: str
    queries: int


@dataclass(frozen=True)
class Drift:
    """Incoming queries of a domain against its profile.

    Attributes:
        domain: its name.
        queries: number of different incoming queries.
        verdict: ``drifting`` if the interval of ``farther`` is above ``SMALL_EFFECT``. A profile of another base model
            cannot be compared.
        known: median cosine of a query of the profile with the nearest other one; None without a comparison, like the
            next two.
        incoming: median cosine of an incoming query with the nearest query of the profile.
        farther: 0.5 where both are alike.
        new_words: frequent among the incoming queries, the most frequent first.
    """

    domain: str
    queries: int
    verdict: Verdict
    known: float | None
    incoming: float | None
    farther: Farther | None
    new_words: list[NewWord]


def drift_of(domain: str, profile: Profile, queries: Sequence[str], vectors: Matrix, base: str) -> Drift:
    """Compare incoming queries with a domain's profile.

    Args:
        domain: its name.
        profile: of it.
        queries: different texts.
        vectors: their unit vectors by the base model, ``(len(queries), d)``.
        base: digest of that model's weights.
    """
    words = new_words(queries, profile)
    if profile.base != base:
        return Drift(domain, len(queries), "not comparable", None, None, None, words)
    if min(len(queries), len(profile.embeddings)) < MIN_QUERIES:
        return Drift(domain, len(queries), "too few queries", None, None, None, words)
    incoming, known = nearest(vectors, profile.embeddings), nearest_others(profile.embeddings)
    farther = probability_farther(incoming, known)
    verdict: Verdict = "drifting" if farther.low > SMALL_EFFECT else "stable"
    medians = float(np.median(known)), float(np.median(incoming))
    return Drift(domain, len(queries), verdict, *medians, farther, words)


def nearest(vectors: Matrix, known: Matrix) -> Floats:
    """The highest cosine of each vector with a known one, ``(len(vectors),)``."""
    return np.concatenate([(block @ known.T).max(axis=1) for block in _blocks(vectors)]).astype(np.float64)


def nearest_others(known: Matrix) -> Floats:
    """The highest cosine of each of at least two vectors with another one, ``(len(known),)``."""
    found = []
    for number, block in enumerate(_blocks(known)):
        cosines = block @ known.T
        rows = np.arange(len(block))
        cosines[rows, number * _BLOCK + rows] = -np.inf
        found.append(cosines.max(axis=1))
    return np.concatenate(found).astype(np.float64)


def probability_farther(incoming: Floats, known: Floats) -> Farther:
    """The probability that a value of the first sample is lower than one of the second; see the module.

    Args:
        incoming: at least two values, as well as
        known: these.
    """
    of_incoming = 1 - _ranks(incoming, known)
    of_known = _ranks(known, incoming)
    value = float(of_incoming.mean())
    error = np.sqrt(of_incoming.var(ddof=1) / len(incoming) + of_known.var(ddof=1) / len(known))
    low, high = np.clip([value - NORMAL_95 * error, value + NORMAL_95 * error], 0, 1).tolist()
    return Farther(value, low, high)


def new_words(queries: Sequence[str], profile: Profile) -> list[NewWord]:
    """Frequent words of queries that no query of a profile has, the most frequent first.

    A profile knows words by their hashes, so a new word may be taken for a known one. Numbers, single letters and
    English stop words are left out.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    known, vocabulary = {*profile.lexical.indices.tolist()}, {*profile.vocabulary, *ENGLISH_STOP_WORDS}
    counts = Counter(word for text in queries for word in {*read_words(text, profile.words).words})
    found = [
        NewWord(word, count)
        for word, count in counts.items()
        if count >= max(MIN_USES, FREQUENT * len(queries))
        and len(word) > 1
        and word.isalpha()
        and word not in vocabulary
    ]
    unknown = (each for each in found if bucket(each.word) not in known)
    return sorted(unknown, key=lambda each: (-each.queries, each.word))[:NEW_WORDS]


def _ranks(values: Floats, among: Floats) -> Floats:
    """The fraction of other values that is lower than each value, ties counting half."""
    ordered = np.sort(among)
    both = [np.searchsorted(ordered, values, side) for side in ("left", "right")]
    found: Floats = (both[0] + both[1]) / (2 * len(among))
    return found


def _blocks(vectors: Matrix) -> list[Matrix]:
    return [vectors[start : start + _BLOCK] for start in range(0, len(vectors), _BLOCK)]

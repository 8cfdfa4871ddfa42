"""The built-in domain classifier: cheap lexical features first, the base model's embedding where they are unsure.

It is assembled from the profiles of the domains, which the registered versions brought along.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import vstack
from threadpoolctl import threadpool_limits

from registry import GENERAL, Profile
from registry.classifier_profiles.features import WORDS
from router_plugin.classifier.calibration import Calibration, Measures, thresholds
from router_plugin.classifier.known.subjects import Subjects
from router_plugin.classifier.lexical_stage import LexicalStage, domain_of_each
from router_plugin.classifier.neighbour_stage import Nearness, NeighbourStage
from router_plugin.classifier.query_parts import pieces
from router_plugin.classifier.spelling import Corrector
from router_plugin.contracts import CERTAIN, MOST_UNREAD, BaseEmbedder, Classification, DomainEvidence, Evidence
from router_plugin.cosines import rounded, usable
from router_plugin.settings import Settings

log = logging.getLogger(__name__)

SURE = 0.8
"""The lexical stage alone decides for a domain with at least this probability. It never decides for ``general``, which
needs the base model's embedding anyway."""

UNKNOWN = 0.25
"""It does not decide if a larger fraction of the words and pairs of words of a query is in no known query."""

RELATED = 0.01
"""Two domains are related if for a larger fraction of the held-out queries of one the other is certain."""

FOLDS = 2

EVIDENCE = 6
"""Features in the evidence for each domain."""

CALIBRATION_QUERIES = 300
"""Queries of each domain that calibration uses."""

QUERIES = 15_000
"""Queries to fit on, for all domains together and the same number for each, so that fifty domains take only seconds."""
MIN_QUERIES = 100
"""Minimum number of queries of a domain, if it has as many."""


class CascadeClassifier:
    """Probabilities of ``general`` and the domains; every domain of 30 queries or more has the same weight."""

    def __init__(
        self,
        general: Profile,
        profiles: Mapping[str, Profile],
        base: BaseEmbedder,
        subjects: Subjects | None = None,
        sure: float = SURE,
        unknown: float = UNKNOWN,
        precision: float = Settings().target_precision,
    ) -> None:
        """Fit both stages.

        Args:
            general: queries that belong to no domain.
            profiles: of the domains.
            base: the base model. If a profile was built with another one, only the lexical stage is used.
            subjects: that queries may be about, as the base model reads them; by default they are not looked for.
            sure: minimum probability of a domain for the lexical stage to decide alone; above 1 for never.
            unknown: maximum fraction of words in no known query for it to decide alone; 1 for any.
            precision: desired precision per domain: of the queries sent to it, the fraction that belong to it.
        """
        self.domains: Sequence[str] = (GENERAL, *profiles)
        self.thresholds: Mapping[str, float] = dict.fromkeys(self.domains, 0.0)
        self.related: Mapping[str, Collection[str]] = {}
        self._base, self._sure, self._unknown, self._subjects = base, sure, unknown, subjects
        self._neighbours: NeighbourStage | None = None
        every = [general, *profiles.values()]
        if not profiles:
            return
        if foreign := [name for name, profile in profiles.items() if profile.base != base.digest]:
            log.warning(
                "the profiles of %s were built with another base model: only lexical features are used", foreign
            )
        elif general.base == base.digest:
            self._neighbours = NeighbourStage(
                [profile.embeddings for profile in every],
                [profile.documents for profile in every],
                subjects=subjects,
            )
        self._words = _version_of_words({GENERAL: general, **profiles})
        self._corrector = Corrector((word for profile in every for word in profile.vocabulary), self._words)
        limit = max(MIN_QUERIES, QUERIES // len(every))
        folds = list(zip(*(_in_folds(profile, limit) for profile in every), strict=True))
        with threadpool_limits(1, "blas"):  # threads cost more than they save, because the vectors are short
            self._lexical = LexicalStage(folds, self._words)
            self._calibrate(folds, precision)

    def classify(self, queries: Sequence[str]) -> Classification:
        """Probability of every domain; see :class:`router_plugin.contracts.Classification`.

        Of a query that neither stage can read, all domains have the same probability.
        """
        if len(self.domains) == 1:
            return Classification(np.ones((len(queries), 1)))
        parts = [pieces(query) for query in queries]
        owner = np.repeat(np.arange(len(queries)), [len(part) for part in parts])
        texts = [text for part in parts for text in part]
        measures = self._measure(texts)
        every = self._cheap.probabilities(measures)
        best = _best_piece(every, owner)
        probabilities = every[best]
        new = measures.unseen[best] > self._unknown
        unsure = np.flatnonzero(new | (probabilities[:, 1:].max(axis=1) < self._sure))
        if not len(unsure):
            return Classification(probabilities)
        asked = np.unique(
            np.concatenate([np.searchsorted(owner, unsure), best[unsure]])
        )  # whole texts and their best pieces
        unread = np.array(self._base.unread([texts[row] for row in asked.tolist()]))
        asked = asked[unread <= MOST_UNREAD]
        embedded = dict[str, NDArray[np.float32]]()
        if self._neighbours is not None and len(asked):
            whole = np.unique(owner[asked]).tolist()
            embedded = self._embed([*(queries[row] for row in whole), *(texts[row] for row in asked.tolist())])
            asked = asked[[bool(usable(embedded[texts[row]])) for row in asked.tolist()]]
        read = np.unique(owner[asked])
        blind = np.setdiff1d(unsure[new[unsure]], read)  # neither stage can read them
        probabilities[blind] = 1 / len(self.domains)
        if self._neighbours is None or not len(asked):
            return Classification(probabilities, unreadable=frozenset(blind.tolist()))
        near = self._neighbours.nearness(np.stack([embedded[texts[row]] for row in asked.tolist()]))
        pooled = self._pooled.probabilities(measures.take(asked)._replace(near=near))
        probabilities[read] = pooled[_best_piece(pooled, owner[asked])]
        vectors = {row: embedded[queries[row]] for row in read.tolist()}
        return Classification(probabilities, vectors, frozenset(blind.tolist()))

    def explain(self, query: str) -> Evidence:
        """What speaks for each domain; see :class:`router_plugin.contracts.Evidence`."""
        if len(self.domains) == 1:
            return Evidence(query, {}, False)
        embedded = self.classify([query]).embedded
        parts = pieces(query)
        best = _best_piece(self._cheap.probabilities(self._measure(parts)), np.zeros(len(parts), dtype=np.int64))
        text = self._corrector.correct(parts[int(best[0])])
        added = self._lexical.contributions(text)
        near = None
        if embedded and self._neighbours is not None:
            near = rounded(self._neighbours.similarities(np.stack([*embedded.values()]))[0])
        found = {
            domain: DomainEvidence(_strongest(added, column), None if near is None else float(near[column]))
            for column, domain in enumerate(self.domains)
        }
        return Evidence(text, found, bool(embedded))

    def _embed(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The base model's embedding of each distinct text."""
        different = list(dict.fromkeys(texts))
        return dict(zip(different, self._base.encode(different), strict=True))

    def _measure(self, texts: Sequence[str]) -> Measures:
        """Measures of the lexical stage: margins with spelling corrected, the fraction of unseen words without."""
        margins = np.empty((len(texts), len(self.domains)), dtype=np.float32)
        unseen = np.empty(len(texts), dtype=np.float32)
        for row, text in enumerate(texts):
            margins[row], unseen[row] = self._lexical.measure(text)
            if unseen[row] and (corrected := self._corrector.correct(text)) is not text:
                margins[row] = self._lexical.measure(corrected)[0]
        return Measures(margins, unseen)

    def _calibrate(self, folds: Sequence[Sequence[Profile]], precision: float) -> None:
        """Fit probabilities and thresholds on the measures of held-out queries, some of them misspelt."""
        found = [self._held_out(folds, fold) for fold in range(len(folds))]
        clean, misspelt = (_joined(part) for part in zip(*found, strict=True))
        measures, labels = _joined([clean, misspelt])
        self._cheap = Calibration.fit(measures._replace(near=None), labels)
        self._pooled = self._cheap if self._neighbours is None else Calibration.fit(measures, labels)
        probabilities = self._pooled.probabilities(clean[0])
        minimums = thresholds(probabilities, clean[1], precision)
        self.thresholds = dict(zip(self.domains, minimums.tolist(), strict=True))
        self.related = related_domains(probabilities, clean[1], self.domains)

    def _held_out(self, folds: Sequence[Sequence[Profile]], fold: int) -> tuple[_Labelled, _Labelled]:
        """Measures of some queries of a fold, and of its misspelt queries whose embeddings are known."""
        own, labels = folds[fold], domain_of_each(folds[fold])
        place = np.concatenate([np.arange(profile.lexical.shape[0]) for profile in own])
        embedded = np.concatenate([np.arange(p.lexical.shape[0]) < len(p.misspelt_embeddings) for p in own])
        some, wrong = np.flatnonzero(place < CALIBRATION_QUERIES // FOLDS), np.flatnonzero(embedded)
        unseen, (clean, misspelt) = self._lexical.weighting.unseen, self._lexical.held_out[fold]
        right = Measures(clean[some], unseen(vstack([p.lexical for p in own], format="csr")[some], fitted=True))
        errors = Measures(misspelt[wrong], unseen(vstack([p.misspelt for p in own], format="csr")[wrong]))
        if self._neighbours is not None:
            others = [each for number, each in enumerate(folds) if number != fold]
            known = NeighbourStage(
                [np.concatenate([p.embeddings for p in parts]) for parts in zip(*others, strict=True)],
                [profile.documents for profile in own],
                self._neighbours.sharpness,
                self._subjects,
            )
            vectors = np.concatenate([p.embeddings for p in own])[some]
            misspelt_vectors = np.concatenate([p.misspelt_embeddings for p in own])
            right = right._replace(near=known.nearness(vectors))
            errors = errors._replace(near=known.nearness(misspelt_vectors))
        return (right, labels[some]), (errors, labels[wrong])


_Labelled = tuple[Measures, NDArray[np.int64]]


def _joined(parts: Sequence[_Labelled]) -> _Labelled:
    """Measures and labels of several sets of queries as one."""
    near = [measures.near for measures, _ in parts if measures.near is not None]
    joined = Measures(
        np.concatenate([measures.margins for measures, _ in parts]),
        np.concatenate([measures.unseen for measures, _ in parts]),
        Nearness(*map(np.concatenate, zip(*near, strict=True))) if near else None,
    )
    return joined, np.concatenate([labels for _, labels in parts])


def related_domains(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], domains: Sequence[str]
) -> dict[str, Collection[str]]:
    """Of each domain those for which it is taken, or which are taken for it, although the classifier is certain.

    Args:
        probabilities: of held-out queries, ``(n, d)``.
        labels: the numbers of their domains, ``(n,)``.
        domains: their names, ``general`` first.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for own in range(1, len(domains)):
        mistaken = (probabilities[labels == own] >= CERTAIN).mean(axis=0) >= RELATED
        for other in np.flatnonzero(mistaken).tolist():
            if other not in (0, own):
                found[domains[own]].add(domains[other])
                found[domains[other]].add(domains[own])
    return {name: frozenset(others) for name, others in found.items()}


def _version_of_words(profiles: Mapping[str, Profile]) -> int:
    """The version by which queries are read: that of the profiles."""
    versions = {name: profile.words for name, profile in profiles.items() if not profile.any_words}
    if set(versions.values()) == {1}:
        return 1
    if earlier := [name for name, version in versions.items() if version < WORDS]:
        log.warning(
            "the classifier profiles of %s were made by an earlier release, which read words of some scripts in "
            "another way: train these models again",
            earlier,
        )
    return WORDS


def _strongest(added: Mapping[str, NDArray[np.float32]], column: int) -> dict[str, float]:
    """The features that add most to a domain's margin."""
    order = sorted(added, key=lambda name: -float(added[name][column]))
    return {name: float(added[name][column]) for name in order[:EVIDENCE] if added[name][column] > 0}


def _in_folds(profile: Profile, limit: int) -> list[Profile]:
    """A random part of a profile, at most ``limit`` queries, in folds."""
    count = profile.lexical.shape[0]
    some = np.random.default_rng(0).permutation(count)[:limit]
    return [profile.take(np.sort(part)) for part in np.array_split(some, FOLDS)]


def _best_piece(probabilities: NDArray[np.float64], owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each text, the piece with the highest probability of a domain."""
    if len(owner) == 1:
        return np.zeros(1, dtype=np.int64)
    sure = probabilities[:, 1:].max(axis=1)
    order: NDArray[np.int64] = np.lexsort((-sure, owner))
    found: NDArray[np.int64] = order[np.unique(owner[order], return_index=True)[1]]
    return found

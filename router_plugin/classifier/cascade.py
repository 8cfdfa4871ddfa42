"""The built-in domain classifier: cheap lexical features first, the base model's embedding where they are unsure.

It is assembled from the profiles of the domains, which the registered versions brought along.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import vstack
from threadpoolctl import threadpool_limits

from registry import GENERAL, Profile
from registry.classifier_profiles.features import lexical_features
from router_plugin.classifier.calibration import Calibration, Measures, thresholds
from router_plugin.classifier.lexical_stage import LexicalStage, domain_of_each
from router_plugin.classifier.neighbour_stage import NeighbourStage
from router_plugin.classifier.query_parts import pieces
from router_plugin.classifier.spelling import Corrector
from router_plugin.contracts import BaseEmbedder, Classification, DomainEvidence, Evidence
from router_plugin.settings import Settings

log = logging.getLogger(__name__)

SURE = 0.8
"""The lexical stage decides alone for a domain from this probability on. It never does for ``general``, which needs the
base model's embedding anyway."""

UNKNOWN = 0.25
"""Nor does it where a greater share of the words and pairs of words of a query than this is in no known query."""

FOLDS = 2

EVIDENCE = 6
"""Features of a query that are named for each domain."""

CALIBRATION_QUERIES = 300
"""Queries of each domain that calibration looks at."""

QUERIES = 15_000
"""Queries that are fitted on, of all domains together: each gives as many, so that fifty domains take no minutes."""
LEAST_QUERIES = 100
"""Queries that a domain gives at least, where it has so many."""


class CascadeClassifier:
    """Probabilities of ``general`` and the registered domains; each of 30 queries or more weighs the same."""

    def __init__(
        self,
        general: Profile,
        profiles: Mapping[str, Profile],
        base: BaseEmbedder,
        sure: float = SURE,
        unknown: float = UNKNOWN,
        precision: float = Settings().target_precision,
    ) -> None:
        """Fit both stages.

        Args:
            general: queries that belong to no domain.
            profiles: the registered domains'.
            base: the base model. Where a profile was made with another one, the lexical stage decides alone.
            sure: the lexical stage decides alone for a domain from this probability on; more than 1 for never.
            unknown: it does not where a greater share of the words is in no known query; 1 for whatever there is.
            precision: share of the queries given to a domain that shall be its own; see ``thresholds``.
        """
        self.domains: Sequence[str] = (GENERAL, *profiles)
        self.thresholds: Mapping[str, float] = dict.fromkeys(self.domains, 0.0)
        self._base, self._sure, self._unknown = base, sure, unknown
        self._neighbours: NeighbourStage | None = None
        every = [general, *profiles.values()]
        if not profiles:
            return
        if foreign := [name for name, profile in profiles.items() if profile.base != base.digest]:
            log.warning("the profiles of %s were made with another base model: only spelling counts", foreign)
        elif general.base == base.digest:
            self._neighbours = NeighbourStage([profile.embeddings for profile in every])
        self._corrector = Corrector(word for profile in every for word in profile.vocabulary)
        most = max(LEAST_QUERIES, QUERIES // len(every))
        folds = list(zip(*(_in_folds(profile, most) for profile in every), strict=True))
        with threadpool_limits(1, "blas"):  # the vectors are short: threads cost more than they save
            self._lexical = LexicalStage(folds)
            self._calibrate(folds, precision)

    def classify(self, queries: Sequence[str]) -> Classification:
        """Probability of every domain; see :class:`router_plugin.contracts.Classification`."""
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
        if self._neighbours is None or not len(unsure):
            return Classification(probabilities)
        asked = np.unique(np.concatenate([np.searchsorted(owner, unsure), best[unsure]]))  # whole texts and best pieces
        embedded = self._embed([*(queries[row] for row in unsure.tolist()), *(texts[row] for row in asked.tolist())])
        near = self._neighbours.similarities(np.stack([embedded[texts[row]] for row in asked.tolist()]))
        pooled = self._pooled.probabilities(measures.take(asked)._replace(similarities=near))
        probabilities[unsure] = pooled[_best_piece(pooled, owner[asked])]
        return Classification(probabilities, {row: embedded[queries[row]] for row in unsure.tolist()})

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
            near = self._neighbours.similarities(np.stack([*embedded.values()]))[0]
        found = {
            domain: DomainEvidence(_strongest(added, column), None if near is None else float(near[column]))
            for column, domain in enumerate(self.domains)
        }
        return Evidence(text, found, bool(embedded))

    def _embed(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The base model's embedding of every different text."""
        different = list(dict.fromkeys(texts))
        return dict(zip(different, self._base.encode(different), strict=True))

    def _measure(self, texts: Sequence[str]) -> Measures:
        """What the lexical stage says of texts: of their spelling corrected, but of new words as they stand."""
        counts = lexical_features(texts)
        weighting = self._lexical.weighting
        features, unseen = weighting(counts), weighting.unseen(counts)
        margins = self._lexical.margins(features)
        corrected = [self._corrector.correct(text) if unseen[row] else text for row, text in enumerate(texts)]
        if changed := [row for row, text in enumerate(texts) if corrected[row] is not text]:
            rows = weighting(lexical_features([corrected[row] for row in changed]))
            margins[changed] = self._lexical.margins(rows)
        return Measures(margins, unseen)

    def _calibrate(self, folds: Sequence[Sequence[Profile]], precision: float) -> None:
        """Fit probabilities and thresholds on what is measured of held-out queries, some of them misspelt."""
        found = [self._held_out(folds, fold) for fold in range(len(folds))]
        clean, misspelt = (_joined(part) for part in zip(*found, strict=True))
        measures, labels = _joined([clean, misspelt])
        self._cheap = Calibration.fit(measures._replace(similarities=None), labels)
        self._pooled = self._cheap if self._neighbours is None else Calibration.fit(measures, labels)
        least = thresholds(self._pooled.probabilities(clean[0]), clean[1], precision)
        self.thresholds = dict(zip(self.domains, least.tolist(), strict=True))

    def _held_out(self, folds: Sequence[Sequence[Profile]], fold: int) -> tuple[_Labelled, _Labelled]:
        """Measures of some queries of a fold, and of those misspelt ones whose embeddings are known."""
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
                [np.concatenate([p.embeddings for p in parts]) for parts in zip(*others, strict=True)]
            )
            vectors = np.concatenate([p.embeddings for p in own])[some]
            misspelt_vectors = np.concatenate([p.misspelt_embeddings for p in own])
            right = right._replace(similarities=known.similarities(vectors))
            errors = errors._replace(similarities=known.similarities(misspelt_vectors))
        return (right, labels[some]), (errors, labels[wrong])


_Labelled = tuple[Measures, NDArray[np.int64]]


def _joined(parts: Sequence[_Labelled]) -> _Labelled:
    """Measures and labels of several sets of queries as one."""
    near = [measures.similarities for measures, _ in parts if measures.similarities is not None]
    joined = Measures(
        np.concatenate([measures.margins for measures, _ in parts]),
        np.concatenate([measures.unseen for measures, _ in parts]),
        np.concatenate(near) if near else None,
    )
    return joined, np.concatenate([labels for _, labels in parts])


def _strongest(added: Mapping[str, NDArray[np.float32]], column: int) -> dict[str, float]:
    """The features that add most to a domain's margin."""
    order = sorted(added, key=lambda name: -float(added[name][column]))
    return {name: float(added[name][column]) for name in order[:EVIDENCE] if added[name][column] > 0}


def _in_folds(profile: Profile, most: int) -> list[Profile]:
    """So much of a profile at most, in parts."""
    count = profile.lexical.shape[0]
    some = np.random.default_rng(0).permutation(count)[:most]
    return [profile.take(np.sort(part)) for part in np.array_split(some, FOLDS)]


def _best_piece(probabilities: NDArray[np.float64], owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of every text the piece that most surely belongs to a domain."""
    sure = probabilities[:, 1:].max(axis=1)
    order = np.lexsort((-sure, owner))
    return order[np.unique(owner[order], return_index=True)[1]]

"""Which domains' encoders see a query, and with what weight."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry import GENERAL
from router_plugin.batches import read_texts
from router_plugin.contracts import CERTAIN
from router_plugin.errors import QueryError
from router_plugin.plugins.domain_classifiers import ServedClassifier
from router_plugin.serving.domain_routes import ServedRoutes
from router_plugin.serving.domains import ServedDomains
from router_plugin.settings import Settings

Weights = Mapping[str, float]
"""Domain to weight."""

FEW = 2
"""The most probable domains that the strategy ``adaptive`` asks where none is certain, beside ``general``."""

JOINED = "+"
"""Between the names of related domains in the settings."""

DISCOUNT = 0.2
"""The power of its probability by which a domain's scores count in an ensemble, chosen on validation queries."""


@dataclass(frozen=True)
class DomainChoice:
    """The domains whose encoders see a text.

    Attributes:
        weights: how much the scores of each of them count. The first one is the domain of the decision.
        probabilities: of every domain.
        embedding: the base model's unit vector of the text, ``(d,)``, where the classifier needed it.
        unreadable: whether the classifier can tell nothing of the text, because it cannot read it.
    """

    weights: Weights
    probabilities: dict[str, float]
    embedding: NDArray[np.float32] | None = None
    unreadable: bool = False

    @property
    def domain(self) -> str:
        """The domain of the decision."""
        return next(iter(self.weights))

    @property
    def probability(self) -> float:
        """Of that domain."""
        return self.probabilities[self.domain]


def choose_domains(texts: Sequence[str], served: ServedRoutes, settings: Settings) -> list[DomainChoice]:
    """The choice for each text, by the strategy of the settings.

    Raises:
        PluginError: the domain classifier failed.
    """
    if settings.strategy == "single":
        return [_only(settings.single_domain, {settings.single_domain: 1.0})] * len(texts)
    classifier = served.classifier
    names, thresholds = classifier.domains, classifier.thresholds
    found = classifier.classify(texts)
    related = competitors(classifier, settings)
    choices = []
    for row, probabilities in enumerate(found.probabilities):
        if settings.strategy == "adaptive":
            weights = as_doubt_demands(probabilities, names, related)
        elif settings.strategy == "ensemble":
            weights = discounts(likeliest_few(probabilities, names, settings.ensemble_domains))
        else:
            weights = likeliest(probabilities, names, thresholds, settings.min_confidence)
        by_name = dict(zip(names, probabilities.tolist(), strict=True))
        choices.append(DomainChoice(weights, by_name, found.embedded.get(row), row in found.unreadable))
    return choices


def known_domains(names: Iterable[str], texts: int, domains: ServedDomains, settings: Settings) -> list[DomainChoice]:
    """The choice for each text whose domain the caller knows.

    Args:
        names: domain of each text.
        texts: how many there are.
        domains: that are served.
        settings: whose strategy must have encoders of several domains.

    Raises:
        QueryError: a domain is unknown, the numbers differ, or the strategy has only one encoder.
    """
    if settings.strategy == "single":
        raise QueryError("`domains` cannot be used with strategy 'single', which has one encoder for all queries")
    given = read_texts(names, "domains")
    if len(given) != texts:
        raise QueryError(f"expected a domain for every query: {texts} queries, {len(given)} domains")
    if unknown := set(given) - set(domains.names):
        raise QueryError(f"domain {min(unknown)!r} is not registered: expected one of {', '.join(domains.names)}")
    return [_only(name, dict.fromkeys(domains.names, 0.0) | {name: 1.0}) for name in given]


def _only(domain: str, probabilities: dict[str, float]) -> DomainChoice:
    return DomainChoice({domain: 1.0}, probabilities)


def likeliest(
    probabilities: NDArray[np.float64], domains: Sequence[str], thresholds: Mapping[str, float], minimum: float
) -> dict[str, float]:
    """The likeliest domain, or ``general`` where it is not likely enough, with weight 1.

    Args:
        probabilities: of every domain, ``(d,)``.
        domains: in the order of the probabilities.
        thresholds: the minimum probability of some domains, see :class:`router_plugin.contracts.DomainClassifier`.
        minimum: the minimum probability of every domain.
    """
    best = int(probabilities.argmax())
    name = domains[best]
    return {name if probabilities[best] >= max(minimum, thresholds.get(name, 0.0)) else GENERAL: 1.0}


def competitors(classifier: ServedClassifier, settings: Settings) -> dict[str, set[str]]:
    """Of some domains the others that compete with them: as the settings say, and as the classifier knows."""
    found = {name: set(others) for name, others in classifier.related.items()}
    for each in settings.related:
        group = set(each.split(JOINED))
        for name in group:
            found[name] = found.get(name, set()) | group - {name}
    return found


def as_doubt_demands(
    probabilities: NDArray[np.float64], domains: Sequence[str], related: Mapping[str, Collection[str]]
) -> dict[str, float]:
    """The likeliest domain where it is sure, with those related to it; else the likeliest few and ``general``.

    The likeliest comes first.

    The weight of each is its probability, relative to that of the likeliest.

    Args:
        probabilities: of every domain, ``(d,)``.
        domains: in the order of the probabilities.
        related: of some domains those that compete with them.
    """
    best = int(probabilities.argmax())
    names = [domains[best], *sorted(related.get(domains[best], ()))]
    if probabilities[best] < CERTAIN:
        names = list(dict.fromkeys((*likeliest_few(probabilities, domains, FEW), GENERAL)))
    return {name: float(probabilities[domains.index(name)] / probabilities[best]) for name in names}


def likeliest_few(probabilities: NDArray[np.float64], domains: Sequence[str], limit: int) -> dict[str, float]:
    """The likeliest domains, at most ``limit``, the first one first, weighted by probability so that the sum is 1.

    A domain of probability 0 is never among them.
    """
    order = np.argsort(-probabilities, kind="stable")[:limit]
    kept = [row for row in order.tolist() if probabilities[row] > 0]
    total = float(probabilities[kept].sum())
    return {domains[row]: float(probabilities[row]) / total for row in kept}


def discounts(weights: Weights) -> dict[str, float]:
    """How much the scores of each domain count in an ensemble: fully for the likeliest, whose scores stay cosines."""
    largest = max(weights.values())
    return {name: (weight / largest) ** DISCOUNT for name, weight in weights.items()}

"""Evaluates the vote of the nearest training queries, and their similarity, for each serving strategy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from strategy_models import ALL, Models
from voting import strongest, vote

from registry import GENERAL
from router_plugin.comparison.tasks import Question, Task
from router_plugin.serving.domains import ServedDomains
from router_plugin.serving.strategies import discounts, likeliest_few
from training.retrieval.ranking import top_k

Embed = Callable[[str, Sequence[str]], NDArray[np.float32]]
"""Unit vectors of texts by the encoder of a domain, ``(n, d)``."""


class Ways:
    """The encoders of each strategy and the domain classifier. Embeddings are cached."""

    def __init__(self, models: Models) -> None:
        self._served = ServedDomains(models.registry)
        self.own = _kept(partial(_embed, self._served))
        self.base = partial(_by, self.own, GENERAL)
        self.multi: Embed | None = None
        if models.multi_registry is not None:
            of_all = ServedDomains(models.multi_registry)
            self.multi = _kept(partial(_by, partial(_embed, of_all), ALL))

    def likeliest(self, texts: Sequence[str]) -> list[str]:
        """The most probable domain of each text, ``general`` excluded."""
        return [next(iter(few)) for few in self.likeliest_few(texts, 1)]

    def likeliest_few(self, texts: Sequence[str], most: int) -> list[dict[str, float]]:
        """The most probable domains of each text, ``general`` excluded, and their discounts in an ensemble."""
        domains = list(self._served.classifier.domains)
        probabilities = self._served.classifier.classify(texts).probabilities
        probabilities[:, domains.index(GENERAL)] = 0
        return [discounts(likeliest_few(row, domains, most)) for row in probabilities]


def votes(task: Task, ways: Ways) -> dict[str, float]:
    """Accuracy of the routes of in-scope questions by a vote of the 5 nearest utterances, for each strategy.

    Two-stage voting uses the most probable domain, even if its probability is low. The ensemble uses the two most
    probable domains, each with its model. It takes the route whose voters have the greatest sum of cosines, with a
    discount for the second domain.
    """
    asked = _in_scope(task)
    right = [question.domain for question in asked]
    likeliest = ways.likeliest([question.text for question in asked])
    return {
        "unadapted": _share(task, None, ways.base),
        "unadapted, domain given": _share(task, right, ways.base),
        **({"multi": _share(task, None, ways.multi)} if ways.multi else {}),
        "two_stage": _share(task, likeliest, ways.own),
        "ensemble": _of_ensemble(task, ways),
        "oracle": _share(task, right, ways.own),
        "domains": round(float(np.mean([one == other for one, other in zip(likeliest, right, strict=True)])), 4),
    }


def outside(task: Task, ways: Ways) -> dict[str, float]:
    """AUROC of detecting out-of-scope questions by the similarity to the nearest utterance, for each strategy.

    In two stages, the utterances are those of the most probable domain, in that domain's space.
    """
    likeliest = ways.likeliest([question.text for question in task.questions])
    inside = [bool(question.relevant) for question in task.questions]
    near = {
        "unadapted": _nearest(task, None, ways.base),
        **({"multi": _nearest(task, None, ways.multi)} if ways.multi else {}),
        "two_stage": _nearest(task, likeliest, ways.own),
    }
    return {name: round(float(roc_auc_score(inside, similarity)), 4) for name, similarity in near.items()}


def _nearest(task: Task, domains: Sequence[str] | None, embed: Embed) -> NDArray[np.float32]:
    """The cosine of every question with its nearest utterance; see :func:`_share` for the arguments."""
    similarity = np.empty(len(task.questions), dtype=np.float32)
    asked = np.array(domains or [GENERAL] * len(task.questions))
    for domain in dict.fromkeys(asked.tolist()):
        rows = np.flatnonzero(asked == domain)
        known, _ = _known(task, domains and domain, partial(embed, domain))
        queries = embed(domain, [task.questions[row].text for row in rows])
        similarity[rows] = np.concatenate([scores[:, 0] for scores, _ in top_k(queries, known, 1)])
    return similarity


def _share(task: Task, domains: Sequence[str] | None, embed: Embed) -> float:
    """Accuracy of one strategy.

    Args:
        task: the questions, and the utterances that vote.
        domains: the domain whose utterances vote, for each in-scope question; None for all utterances.
        embed: encodes questions and utterances.
    """
    asked = _in_scope(task)
    groups: dict[str, list[Question]] = defaultdict(list)
    for question, domain in zip(asked, domains or [GENERAL] * len(asked), strict=True):
        groups[domain].append(question)
    hits = 0
    for domain, members in groups.items():
        known, names = _known(task, domains and domain, partial(embed, domain))
        voted = vote(embed(domain, [question.text for question in members]), known, names)
        hits += sum(name in question.relevant for name, question in zip(voted, members, strict=True))
    return round(hits / len(asked), 4)


def _of_ensemble(task: Task, ways: Ways) -> float:
    """Accuracy with the two most probable domains together."""
    asked = _in_scope(task)
    best = [("", -1.0)] * len(asked)
    seen = ways.likeliest_few([question.text for question in asked], 2)
    for domain in sorted({name for few in seen for name in few}):
        rows = [row for row, few in enumerate(seen) if domain in few]
        known, names = _known(task, domain, partial(ways.own, domain))
        voted = strongest(ways.own(domain, [asked[row].text for row in rows]), known, names)
        for row, (name, strength) in zip(rows, voted, strict=True):
            best[row] = max(best[row], (name, seen[row][domain] * strength), key=lambda found: found[1])
    hits = sum(name in question.relevant for (name, _), question in zip(best, asked, strict=True))
    return round(hits / len(asked), 4)


def _known(
    task: Task, domain: str | None, embed: Callable[[Sequence[str]], NDArray[np.float32]]
) -> tuple[NDArray[np.float32], list[str]]:
    """Vectors and route names of the utterances of a domain, or of all domains."""
    voters = [route for route in task.routes if domain is None or route.domain == domain]
    names = [route.name for route in voters for _ in route.utterances]
    return embed([text for route in voters for text in route.utterances]), names


def _in_scope(task: Task) -> list[Question]:
    return [question for question in task.questions if question.relevant]


def _by(embed: Embed, encoder: str, _: str, texts: Sequence[str]) -> NDArray[np.float32]:
    """Embed with one encoder, whatever the domain."""
    return embed(encoder, texts)


def _kept(embed: Embed) -> Embed:
    """The same with a cache, so that no text is encoded twice."""
    known: dict[tuple[str, str], NDArray[np.float32]] = {}

    def kept(domain: str, texts: Sequence[str]) -> NDArray[np.float32]:
        new = [text for text in dict.fromkeys(texts) if (domain, text) not in known]
        if new:
            known.update(zip([(domain, text) for text in new], embed(domain, new), strict=True))
        return np.stack([known[domain, text] for text in texts])

    return kept


def _embed(served: ServedDomains, domain: str, texts: Sequence[str]) -> NDArray[np.float32]:
    return np.stack(served.embed([(domain, text) for text in texts]))

"""What the nearest training queries would vote for, by each way that strategies.py compares."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from strategy_models import ALL, Models
from voting import vote

from registry import GENERAL
from router_plugin import DomainRouter
from router_plugin.comparison import Question, Task
from router_plugin.served_domains import ServedDomains

Embed = Callable[[str, Sequence[str]], NDArray[np.float32]]
"""Unit vectors of texts by the encoder of a domain, ``(n, d)``."""


def votes(task: Task, models: Models) -> dict[str, float]:
    """Share of in-scope questions whose route most of the 5 nearest utterances have, by each way.

    Two-stage voting asks the likeliest domain, however unlikely it is.
    """
    served, of_all = (DomainRouter((), each).served_domains for each in (models.registry, models.multi_registry))
    asked = _in_scope(task)
    right = [question.domain for question in asked]
    likeliest = _likeliest(served, [question.text for question in asked])
    base, multi, own = partial(_by, served, GENERAL), partial(_by, of_all, ALL), partial(_embed, served)
    return {
        "base": _share(task, None, base),
        "base, told the domain": _share(task, right, base),
        "multi": _share(task, None, multi),
        "two_stage": _share(task, likeliest, own),
        "oracle": _share(task, right, own),
        "domains": round(float(np.mean([one == other for one, other in zip(likeliest, right, strict=True)])), 4),
    }


def _share(task: Task, domains: Sequence[str] | None, embed: Embed) -> float:
    """One figure.

    Args:
        task: the questions, and the utterances that vote.
        domains: whose utterances vote, for each in-scope question; None for those of all.
        embed: encodes questions and utterances.
    """
    asked = _in_scope(task)
    groups: dict[str, list[Question]] = defaultdict(list)
    for question, domain in zip(asked, domains or [GENERAL] * len(asked), strict=True):
        groups[domain].append(question)
    hits = 0
    for domain, members in groups.items():
        voters = [route for route in task.routes if domains is None or route.domain == domain]
        names = [route.name for route in voters for _ in route.utterances]
        known = embed(domain, [text for route in voters for text in route.utterances])
        voted = vote(embed(domain, [question.text for question in members]), known, names)
        hits += sum(name in question.relevant for name, question in zip(voted, members, strict=True))
    return round(hits / len(asked), 4)


def _in_scope(task: Task) -> list[Question]:
    return [question for question in task.questions if question.relevant]


def _likeliest(served: ServedDomains, texts: Sequence[str]) -> list[str]:
    """The likeliest domain of each text but for ``general``."""
    domains = list(served.classifier.domains)
    probabilities = served.classify(texts).probabilities
    probabilities[:, domains.index(GENERAL)] = -1
    return [domains[column] for column in probabilities.argmax(axis=1)]


def _by(served: ServedDomains, encoder: str, _: str, texts: Sequence[str]) -> NDArray[np.float32]:
    """By one encoder, whatever the domain."""
    return _embed(served, encoder, texts)


def _embed(served: ServedDomains, domain: str, texts: Sequence[str]) -> NDArray[np.float32]:
    return np.stack(served.embed([(domain, text) for text in texts]))

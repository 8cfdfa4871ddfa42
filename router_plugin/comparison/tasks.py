"""Tasks on which serving configurations are compared: labelled queries over routes, or retrieval over documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry import GENERAL
from registry.names import check_domain
from registry.texts.forms import text_key
from router_plugin.errors import ComparisonError, RoutesError
from router_plugin.evaluation.labelled_queries import DOMAIN, ROUTE, read_labelled_queries
from router_plugin.routes import Route, RoutesGiven, read_routes

if TYPE_CHECKING:
    from training import PreparedData


@dataclass(frozen=True)
class Question:
    """A query whose right routes are known. Without any, it should get none.

    Attributes:
        text: the query.
        domain: that it belongs to.
        relevant: the names of the right routes.
        own: the names of routes that are the query itself, and are not compared with it.
    """

    text: str
    domain: str
    relevant: tuple[str, ...]
    own: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """Routes, and questions to measure on.

    Attributes:
        routes: of all domains. A document is a route with one utterance.
        questions: to measure on, at least one.
        fit: questions on which every configuration first tunes its thresholds.

    Raises:
        RoutesError: a question names an unknown route.
    """

    routes: tuple[Route, ...]
    questions: tuple[Question, ...]
    fit: tuple[Question, ...] = ()

    def __post_init__(self) -> None:
        names = {route.name for route in self.routes}
        for question in (*self.questions, *self.fit):
            if unknown := set(question.relevant) - names:
                raise RoutesError(f"question {question.text!r:.60}: unknown route {min(unknown)!r}")


def routing_task(routes: RoutesGiven, queries: Path, fit: Path | None = None) -> Task:
    """Labelled queries over routes.

    Args:
        routes: of all domains.
        queries: a file that :func:`router_plugin.read_labelled_queries` reads, with the columns ``text`` and ``route``,
            and ``domain`` for queries that do not belong to the domain of their route.
        fit: another such file, to tune thresholds on.

    Raises:
        RoutesError: the routes are malformed.
        QueryError: a row is bad, or names an unknown route.
        SourceError: a file cannot be read.
    """
    known = read_routes(routes)
    return Task(known, _labelled(queries, known), _labelled(fit, known) if fit else ())


def retrieval_task(data: Mapping[str, PreparedData], split: str = "test") -> Task:
    """Retrieval: every document is a route of its domain, and the queries of a split are the questions.

    A document of any domain that is a question itself, and not relevant to it, is not compared with it.

    Args:
        data: prepared data of each domain.
        split: train, dev or test.

    Raises:
        InvalidNameError: the name of a domain is invalid.
        ComparisonError: the split is unknown, or holds no queries.
    """
    routes: list[Route] = []
    questions: list[Question] = []
    same: dict[str, list[str]] = defaultdict(list)
    for domain, prepared in data.items():
        for document, text in prepared.corpus.items():
            same[text_key(text)].append(f"{domain}/{document}")
    for domain, prepared in data.items():
        check_domain(domain)
        if split not in prepared.qrels:
            raise ComparisonError(f"`split` {split}: expected one of {', '.join(prepared.qrels)}")
        names = {document: f"{domain}/{document}" for document in prepared.corpus}
        routes += [Route(name=names[key], domain=domain, utterances=(text,)) for key, text in prepared.corpus.items()]
        for query, documents in prepared.qrels[split].items():
            text, relevant = prepared.queries[query], [names[document] for document in documents]
            itself = [*same.get(text_key(text), ()), *(names[document] for document in prepared.own.get(query, ()))]
            own = tuple(name for name in dict.fromkeys(itself) if name not in relevant)
            questions.append(Question(text, domain, tuple(relevant), own))
    if not questions:
        raise ComparisonError(f"the prepared data have no {split} queries")
    return Task(tuple(routes), tuple(questions))


def _labelled(file: Path, routes: Sequence[Route]) -> tuple[Question, ...]:
    by_name = {route.name: next(iter(route.domains), GENERAL) for route in routes}
    texts, labels = read_labelled_queries(file, ROUTE, list(by_name))
    _, domains = read_labelled_queries(file, DOMAIN, required=False)
    return tuple(
        Question(text, domain or (by_name[label] if label else GENERAL), (label,) if label else ())
        for text, label, domain in zip(texts, labels, domains, strict=True)
    )

"""The start of a domain from a cluster of queries, as files for the commands that go on from there."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from router_plugin.improving.new_domains import NewDomain, clusters, new_domains_yaml
from router_plugin.improving.terms import distinguishing_terms
from router_plugin.serving.candidates import Matrix

LABEL_DISTANCE = 0.5
"""Mean cosine distance between the queries of two labels from which they stay apart."""
LABEL_SIZE = 8
"""Queries from which a group becomes a label: half of its training part are documents, and the rest is split."""
_LABEL_TERMS = 3
_DATE = (1980, 1, 1, 0, 0, 0)
"""Of all files in the archive, so that the same queries make the same archive."""


class Step(NamedTuple):
    """A way to go on, with its commands."""

    words: str
    commands: tuple[str, ...]


def steps(name: str, labelled: bool) -> list[Step]:
    """The ways to go on with the archive of a domain, after it was unpacked.

    Args:
        name: of the domain.
        labelled: whether the archive has labels.
    """
    train = f"domain-router train {name}/data --domain {name} --out {name}/model --register"
    found = [
        Step(
            "Serve it at once, by the base model, without training: add to the command that serves",
            (f"--extra-domains {name}/domain.yaml",),
        ),
        Step(
            "Train a model on question-answer pairs: write answers into questions.jsonl first. Questions without an "
            "answer are skipped",
            (f"domain-router prepare {name}/questions.jsonl --skip-bad --out {name}/data", train),
        ),
        Step(
            "Train a model on documents of this field, from which questions are made",
            (
                f"domain-router synthesize DOCUMENTS --out {name}/pairs.jsonl",
                f"domain-router prepare {name}/pairs.jsonl --out {name}/data",
                train,
            ),
        ),
    ]
    if labelled:
        prepare = f"domain-router prepare {name}/labels.jsonl --kind labels --out {name}/data"
        words = "Train a model that distinguishes intents: correct the labels in labels.jsonl first, they are a guess"
        found.insert(1, Step(words, (prepare, train)))
    return found


def archive(domain: NewDomain, vectors: Matrix) -> bytes:
    """A ZIP archive of the start of a domain, with one folder of its name.

    ``domain.yaml`` is for ``--extra-domains``, ``questions.jsonl`` and ``labels.jsonl`` for ``prepare``; without labels
    where the queries do not fall into at least two groups. ``README.txt`` has the commands.

    Args:
        domain: with at least one query.
        vectors: unit vectors of its queries, ``(n, d)``.
    """
    labels = labels_of(domain.queries, vectors)
    files = {
        "README.txt": _readme(domain, steps(domain.name, bool(labels))),
        "domain.yaml": new_domains_yaml([domain]),
        "questions.jsonl": _lines({"question": query, "answer": None} for query in domain.queries),
    }
    if labels:
        files["labels.jsonl"] = _lines({"text": text, "label": label} for text, label in labels.items())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in files.items():
            file.writestr(zipfile.ZipInfo(f"{domain.name}/{name}", _DATE), text, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def labels_of(queries: Sequence[str], vectors: Matrix) -> dict[str, str]:
    """A label for each query of the groups into which queries fall, named by their terms; none for a single group.

    Args:
        queries: at least one.
        vectors: unit vectors, ``(len(queries), d)``.
    """
    if len(queries) < 2 * LABEL_SIZE:
        return {}
    groups = clusters(vectors, LABEL_DISTANCE)
    numbers, sizes = np.unique(groups, return_counts=True)
    members = [np.flatnonzero(groups == number).tolist() for number in numbers[sizes >= LABEL_SIZE]]
    if len(members) < 2:
        return {}
    texts = [[queries[row] for row in rows] for rows in members]
    terms = distinguishing_terms(texts, _LABEL_TERMS)
    names = [f"{number}-{'-'.join(words)}".rstrip("-") for number, words in enumerate(terms, 1)]
    return {text: name for name, part in zip(names, texts, strict=True) for text in part}


def _readme(domain: NewDomain, ways: Sequence[Step]) -> str:
    lines = [f"{len(domain.queries)} queries that no domain claimed. Typical: {', '.join(domain.terms) or 'no term'}."]
    lines += ["", "Choose a better name, remove queries that do not belong, and go on in one of these ways.", ""]
    for way in ways:
        lines += [f"{way.words}:", "", *(f"    {command}" for command in way.commands), ""]
    return "\n".join(lines)


def _lines(rows: Iterable[Mapping[str, str | None]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

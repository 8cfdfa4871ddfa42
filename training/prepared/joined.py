"""Several prepared sets as one: each is ranked and evaluated separately, and no batch mixes them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

from registry.records import check_test_set
from training.errors import TrainingError
from training.lazy_texts.corpus import Corpus
from training.lazy_texts.sequences import Chained
from training.prepared.format import SPLITS, PreparedData


def join(sets: Mapping[str, PreparedData]) -> PreparedData:
    """Prepared sets as one, with the sets as its parts; a single set is returned as it is.

    Queries are ranked over the documents of their own set only: documents of other sets were never judged for them.

    Args:
        sets: by name; none of them is itself joined.

    Raises:
        InvalidNameError: invalid name of one of several sets.
        TrainingError: no set is given.
    """
    if not sets:
        raise TrainingError("no prepared data to train on: expected at least one set")
    if len(sets) == 1:
        return next(iter(sets.values()))
    for name in sets:
        check_test_set(name)
    corpus = Corpus(
        [f"{name}/{key}" for name, data in sets.items() for key in data.documents.ids],
        Chained(data.documents.texts for data in sets.values()),
    )
    queries = {f"{name}/{key}": text for name, data in sets.items() for key, text in data.queries.items()}
    qrels = {
        part: {
            f"{name}/{query}": [f"{name}/{document}" for document in documents]
            for name, data in sets.items()
            for query, documents in data.qrels[part].items()
        }
        for part in SPLITS
    }
    own = {
        f"{name}/{query}": [f"{name}/{document}" for document in documents]
        for name, data in sets.items()
        for query, documents in data.own.items()
    }
    return PreparedData(corpus, queries, qrels, _manifest(sets), own=own, parts=dict(sets))


def _manifest(sets: Mapping[str, PreparedData]) -> dict[str, object]:
    named = "".join(f"{name} {data.fingerprint}\n" for name, data in sets.items())
    counts: Counter[str] = Counter()
    for data in sets.values():
        counts.update(data.manifest["counts"])
    return {
        "kind": "joined",
        "source": ", ".join(sets),
        "counts": dict(counts),
        "fingerprint": hashlib.sha256(named.encode()).hexdigest(),
    }


def complete_batch_shares(data: PreparedData, given: Mapping[str, float]) -> dict[str, float]:
    """The fraction of the batches of every set. Sets without a given fraction divide the rest evenly.

    Raises:
        TrainingError: a fraction for an unknown set, or fractions that do not sum to 1.
    """
    for name in given:
        if name not in data.parts:
            known = f"expected one of {', '.join(data.parts)}" if data.parts else "expected several sets to train on"
            raise TrainingError(f"`batch_shares` {name}: unknown training set: {known}")
    others = [name for name in data.parts if name not in given]
    rest = 1 - sum(given.values())
    if (rest <= 1e-9) if others else (data.parts and abs(rest) > 1e-9):
        wanted = f"less than 1, to leave batches for {', '.join(others)}" if others else "1"
        raise TrainingError(f"`batch_shares` sum to {1 - rest:g}: expected {wanted}")
    return {name: given.get(name, rest / max(len(others), 1)) for name in data.parts}

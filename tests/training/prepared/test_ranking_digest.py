"""The digest of what metrics on a split depend on, by which the gate knows that two versions were measured alike."""

import hashlib
import json
from dataclasses import replace

import pytest

from tests.training.samples import filler_pairs, prepared, word_pairs
from training import PreparedData
from training.prepared.joined import join


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> PreparedData:
    """Prepared pairs of all splits."""
    return prepared(word_pairs(), tmp_path_factory.mktemp("data") / "words")


def test_other_training_queries_ids_and_orders_of_documents_change_nothing(data):
    digest = data.ranking_digest("test")
    assert replace(data, qrels={**data.qrels, "train": {}}).ranking_digest("test") == digest
    assert replace(data, corpus=dict(reversed([*data.corpus.items()]))).ranking_digest("test") == digest
    renamed = replace(
        data,
        corpus={f"new-{name}": text for name, text in data.corpus.items()},
        qrels={
            split: {query: [f"new-{name}" for name in names] for query, names in qrels.items()}
            for split, qrels in data.qrels.items()
        },
    )
    assert renamed.ranking_digest("test") == digest


def test_it_is_the_digest_of_sorted_documents_and_of_queries_with_theirs(data):
    queries = [
        [data.queries[query], sorted(data.corpus[name] for name in names), []]
        for query, names in data.qrels["test"].items()
    ]
    content = json.dumps([sorted(data.corpus.values()), queries])
    assert data.ranking_digest("test") == hashlib.sha256(content.encode()).hexdigest()


def test_whatever_moves_a_metric_changes_it(data):
    qrels = data.qrels["test"]
    (first, documents), *_ = qrels.items()
    other = next(name for name in data.corpus if name not in documents)
    one = next(iter(data.corpus))
    changed = [
        replace(data, corpus={**data.corpus, "one-more": "a document"}),
        replace(data, corpus={**data.corpus, one: "another text"}),
        replace(data, queries={**data.queries, first: "another question"}),
        replace(data, qrels={**data.qrels, "test": {**qrels, first: [other]}}),
        replace(data, qrels={**data.qrels, "test": dict(reversed(qrels.items()))}),
        replace(data, own={first: [other]}),
    ]
    digests = {each.ranking_digest("test") for each in (data, *changed)}
    assert len(digests) == len(changed) + 1
    assert data.ranking_digest("dev") not in digests


def test_of_joined_sets_every_part_counts(data, tmp_path):
    fillers = prepared(filler_pairs(), tmp_path / "fillers")
    both = join({"words": data, "fillers": fillers})
    less = join({"words": data, "fillers": replace(fillers, corpus={**fillers.corpus, "one-more": "a document"})})
    assert len({each.ranking_digest("test") for each in (data, fillers, both, less)}) == 4

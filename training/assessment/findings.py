"""What looks wrong in prepared data: in their texts, in their labels, and in what the base model reads of them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from registry.model_folders.input_config import InputConfig, Kind
from registry.model_folders.tokenizer import QueryReader, TextRead, tokens_of
from registry.texts.words import near_key
from training.assessment.obstacles import Agreement, contradictions
from training.assessment.records import Finding, FindingName
from training.retrieval.texts import Texts
from training.splitting.near_duplicates import near_duplicates

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

UNREADABLE_FROM = 0.5
"""Fraction of the words of a text that the tokenizer does not know, from which the text counts as unreadable."""
TRUSTED_FROM = 0.5
"""Precision of two rankers that agree, from which unlabelled documents that they agree on count as a finding."""
SAMPLE = 2000
"""Queries, and documents, that are shown to the tokenizer, spread evenly."""
EXAMPLES = 3
_EXAMPLE_LENGTH = 160


def findings(texts: Texts, agreed: Agreement, model: SentenceTransformer) -> list[Finding]:
    """All that is looked for, whether the data show it or not.

    The texts of test queries are compared with training queries; nothing else is done with them.

    Args:
        texts: the data.
        agreed: what both rankers put first on dev.
        model: the base model. A tokenizer that is not a fast one cannot be asked, and is trusted.
    """
    return [
        _across_splits(texts),
        _contradictory(texts),
        _same_answer_twice(texts.documents),
        _unjudged(texts, agreed),
        *_as_read(model, texts),
    ]


def _across_splits(texts: Texts) -> Finding:
    """Dev and test queries that are near-duplicates of training queries."""
    asked, held_out = texts.queries["train"], [*texts.queries["dev"], *texts.queries["test"]]
    groups = near_duplicates([*asked, *held_out]).tolist()
    known = set(groups[: len(asked)])
    seen = (query for query, group in zip(held_out, groups[len(asked) :], strict=True) if group in known)
    return _finding("near-duplicates-across-splits", seen, len(held_out))


def _contradictory(texts: Texts) -> Finding:
    """Training and dev queries that are the same question and want different answers."""
    found = (query for group in contradictions(texts) for query, _ in group)
    return _finding("contradictory-questions", found, len(texts.queries["train"]) + len(texts.queries["dev"]))


def _same_answer_twice(documents: Sequence[str]) -> Finding:
    """Documents whose text another document has, too."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for place, document in enumerate(documents):
        groups[_digest(near_key(document))].append(place)
    found = (documents[place] for group in groups.values() if len(group) > 1 for place in group)
    return _finding("same-answer-twice", found, len(documents))


def _unjudged(texts: Texts, agreed: Agreement) -> Finding:
    """Dev queries for which a document that is probably right is not labelled so."""
    probable = agreed.unjudged if agreed.precision >= TRUSTED_FROM else {}
    found = (f"{texts.queries['dev'][query]} -> {texts.documents[one]}" for query, one in probable.items())
    return _finding("unjudged-answers", found, len(texts.queries["dev"]))


def _as_read(model: SentenceTransformer, texts: Texts) -> list[Finding]:
    """Texts that the base model's tokenizer hardly knows, and documents that the model cuts."""
    queries = _read(model, "query", [*texts.queries["train"], *texts.queries["dev"]])
    documents = _read(model, "document", texts.documents)
    return [
        _finding("unreadable-queries", _unreadable(queries), len(queries)),
        _finding("unreadable-documents", _unreadable(documents), len(documents)),
        _finding("truncated-documents", (text for text, read in documents if read.truncated), len(documents)),
    ]


def _read(model: SentenceTransformer, kind: Kind, texts: Sequence[str]) -> list[tuple[str, TextRead]]:
    tokens = tokens_of(model, kind)
    if tokens is None:
        return []
    reader = QueryReader(tokens, InputConfig.of(model).prompt(kind))
    return [(text, reader.read(text)) for text in texts[:: -(-len(texts) // SAMPLE) or 1]]


def _unreadable(texts: Iterable[tuple[str, TextRead]]) -> Iterable[str]:
    return (text for text, read in texts if read.unread >= UNREADABLE_FROM)


def _finding(name: FindingName, found: Iterable[str], looked_at: int) -> Finding:
    texts = iter(found)
    examples = list(islice(texts, EXAMPLES))
    shown = [text if len(text) <= _EXAMPLE_LENGTH else f"{text[:_EXAMPLE_LENGTH]}..." for text in examples]
    return Finding(name=name, count=len(examples) + sum(1 for _ in texts), looked_at=looked_at, examples=shown)


def _digest(key: str) -> bytes:
    """What is kept of a long key: no two have ever been found with the same SHA-256."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()

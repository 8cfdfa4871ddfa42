"""Questions in people's own words that come with the package, which training mixes in unless switched off."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from registry.model_folders.tokenizer import shared_tokens
from training.prepared.format import PreparedData
from training.sources.pairs import Pair, read_pairs

HOMES = (Path(__file__).parents[1] / "bundled_questions", Path(__file__).parents[2] / "examples" / "data")
"""Their folder in an installed package, and in a clone of the repository."""
READABLE = 0.95
"""Fraction of their words that a base model must know."""
LEAST = 200
"""Pairs of a field, so that its batches have negatives."""
_SAMPLE = 100


def bundled_questions(base: Path, count: int) -> dict[str, PreparedData]:
    """Questions with answers about several fields, one set a field, all of it for training.

    Args:
        base: folder of the base model. One that cannot read the questions gets none.
        count: pairs in all, spread evenly over the fields and over each file; fewer if there are no more,
            more if a field would have less than :data:`LEAST`.
    """
    fields = _fields()
    if not _reads(base, [pair.question for pairs in fields.values() for pair in pairs]):
        return {}
    each = max(-(-count // len(fields)), LEAST)
    return {f"bundled-{name}": _data(name, _spread(pairs, each)) for name, pairs in fields.items()}


@cache
def _fields() -> dict[str, Sequence[Pair]]:
    home = next(home for home in HOMES if home.is_dir())
    return {file.stem: read_pairs(file).pairs for file in sorted(home.glob("*.jsonl"))}


def _spread(pairs: Sequence[Pair], count: int) -> Sequence[Pair]:
    total = len(pairs)
    return pairs if count >= total else [pairs[number * total // count] for number in range(count)]


def _reads(base: Path, questions: Sequence[str]) -> bool:
    """Whether the tokenizer knows the words; a base model without a fast one cannot be asked, and is trusted."""
    file = next(iter(sorted(base.rglob("tokenizer.json"))), None)
    if file is None:
        return True
    read = shared_tokens(file.read_text(encoding="utf-8"), None).read
    sample = questions[:: -(-len(questions) // _SAMPLE)]
    return sum(1 - read(question).unread for question in sample) >= READABLE * len(sample)


def _data(name: str, pairs: Sequence[Pair]) -> PreparedData:
    fingerprint = hashlib.sha256("".join(f"{pair.question}\n{pair.answer}\n" for pair in pairs).encode()).hexdigest()
    counts = {"pairs": len(pairs), "train_queries": len(pairs)}
    return PreparedData(
        corpus={f"d{number}": pair.answer for number, pair in enumerate(pairs)},
        queries={f"q{number}": pair.question for number, pair in enumerate(pairs)},
        qrels={"train": {f"q{number}": [f"d{number}"] for number in range(len(pairs))}, "dev": {}, "test": {}},
        manifest={"kind": "pairs", "source": f"{name}.jsonl", "counts": counts, "fingerprint": fingerprint},
    )

"""Prepared data of a few words, by hand."""

from __future__ import annotations

from training import PreparedData
from training.retrieval.texts import Texts


def data(
    corpus: list[str],
    dev: list[tuple[str, list[int]]],
    train: list[tuple[str, list[int]]] | None = None,
    test: list[tuple[str, list[int]]] | None = None,
    negatives: dict[int, list[int]] | None = None,
) -> PreparedData:
    """Documents, and the queries of each split with the positions of relevant documents; of dev the wrong ones, too."""
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, list[str]]] = {}
    for split, rows in (("train", train or []), ("dev", dev), ("test", test or [])):
        names = [f"{split}{number}" for number in range(len(rows))]
        queries |= {name: text for name, (text, _) in zip(names, rows, strict=True)}
        qrels[split] = {name: [f"d{at}" for at in right] for name, (_, right) in zip(names, rows, strict=True)}
    wrong = {f"dev{query}": [f"d{at}" for at in documents] for query, documents in (negatives or {}).items()}
    manifest = {"fingerprint": "0" * 64, "counts": {"pairs": len(queries)}}
    return PreparedData({f"d{at}": text for at, text in enumerate(corpus)}, queries, qrels, manifest, {"dev": wrong})


def texts(*arguments: object, **options: object) -> Texts:
    """The same by position."""
    return Texts(data(*arguments, **options))  # type: ignore[arg-type]

"""Prepared data: a BEIR-layout folder with a manifest (Thakur et al., 2021, "BEIR")."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from registry.paths import PathLike, local_path
from registry.progress import byte_bar
from training.errors import PreparedDataError
from training.lazy_texts.corpus import Corpus
from training.lazy_texts.sorting import in_order
from training.lazy_texts.stored import read_texts
from training.sources.own_documents import OWN, read_own, write_own

SPLITS = ("train", "dev", "test")
MANIFEST = "manifest.json"
_BLOCK = 1 << 20
"""Bytes that are hashed at a time."""

Qrels = dict[str, list[str]]
"""Query id to the ids of its relevant documents; a training query may have none that is known."""


@dataclass(frozen=True)
class PreparedData:
    """Documents and queries by id, in file order, and which documents are relevant to which queries.

    The texts of documents need not be in memory; those of a folder stay in its file, and are read when they are needed.
    """

    corpus: Mapping[str, str]
    queries: dict[str, str]
    qrels: dict[str, Qrels]
    manifest: dict[str, Any]
    negatives: dict[str, Qrels] = field(default_factory=dict)
    """Documents that were judged not relevant (score 0 in BEIR), for the splits that have any."""
    own: Qrels = field(default_factory=dict)
    """Documents that are the query itself, such as chunks of a longer document with its text: they are not ranked for
    it. Documents whose whole text is the query's need not be named."""
    parts: Mapping[str, PreparedData] = field(default_factory=dict)
    """The joined sets by name, in the order of their documents and queries; empty for a single set."""

    @cached_property
    def documents(self) -> Corpus:
        """The corpus, whose texts and ids are also known by position."""
        return Corpus.of(self.corpus)

    @property
    def labelled(self) -> bool:
        """Whether documents are labelled texts like the queries, relevant to those with the same label."""
        return self.manifest.get("kind") == "labels"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content, from the manifest."""
        return str(self.manifest["fingerprint"])

    def ranking_digest(self, split: str) -> str:
        """SHA-256 of all that metrics on a split depend on, but the model: documents, queries in order, and judgements.

        It stays the same where only other splits change, or only the order of the documents or their ids. What is
        hashed is JSON: the sorted documents, and for each query its text, its relevant documents and its own.
        """
        if self.parts:
            digests = [part.ranking_digest(split) for part in self.parts.values()]
            return hashlib.sha256(json.dumps(digests).encode()).hexdigest()
        queries = [
            [self.queries[query], self._texts(relevant), self._texts(self.own.get(query, ()))]
            for query, relevant in self.qrels[split].items()
        ]
        sha256 = hashlib.sha256(b"[[")
        for number, text in enumerate(in_order(self.documents.texts)):
            sha256.update(f"{', ' if number else ''}{json.dumps(text)}".encode())
        sha256.update(f"], {json.dumps(queries)}]".encode())
        return sha256.hexdigest()

    def _texts(self, documents: Iterable[str]) -> list[str]:
        return sorted(self.corpus[name] for name in documents)


def write_prepared(
    folder: Path,
    corpus: Mapping[str, str],
    queries: Mapping[str, str],
    qrels: Mapping[str, Qrels],
    negatives: Mapping[str, Qrels] | None = None,
    own: Qrels | None = None,
    **manifest: Any,
) -> dict[str, Any]:
    """Write a BEIR folder into an empty folder; returns its manifest."""
    (folder / "qrels").mkdir()
    documents = Corpus.of(corpus)
    named = zip(documents.ids, documents.texts, strict=True)
    _write_lines(folder / "corpus.jsonl", ({"_id": key, "title": "", "text": text} for key, text in named))
    _write_lines(folder / "queries.jsonl", ({"_id": key, "text": text} for key, text in queries.items()))
    for split in SPLITS:
        with (folder / "qrels" / f"{split}.tsv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, delimiter="\t", lineterminator="\n")
            table.writerow(["query-id", "corpus-id", "score"])
            unknown = {query: [""] for query, documents in qrels[split].items() if not documents}
            for score, judged in ((1, qrels[split]), (0, unknown), (0, (negatives or {}).get(split, {}))):
                table.writerows((query, document, score) for query, names in judged.items() for document in names)
    write_own(folder, own or {})
    manifest["fingerprint"] = _fingerprint(folder)
    text = json.dumps(manifest, indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    written: dict[str, Any] = json.loads(text)
    return written


def read_prepared(folder: PathLike) -> PreparedData:
    """Read a folder that ``prepare`` wrote; the texts of its documents stay in their file.

    Raises:
        PreparedDataError: a file is missing or malformed, or the content differs from the manifest.
    """
    folder = local_path(folder, PreparedDataError)
    if not (folder / MANIFEST).is_file():
        raise PreparedDataError(f"{folder}: no {MANIFEST} found: expected a folder that 'domain-router prepare' wrote")
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(manifest["counts"], dict):
            raise TypeError("counts")
        if manifest["fingerprint"] != _fingerprint(folder):
            raise PreparedDataError(f"{folder}: the files were changed after they were prepared: prepare them again")
        corpus = Corpus(*read_texts(folder / "corpus.jsonl"))
        queries = {row["_id"]: row["text"] for row in _read_lines(folder / "queries.jsonl")}
        judged = {split: _read_qrels(folder / "qrels" / f"{split}.tsv") for split in SPLITS}
        own = read_own(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PreparedDataError(f"{folder}: is damaged ({error}): prepare it again") from error
    qrels = {split: relevant for split, (relevant, _) in judged.items()}
    negatives = {split: others for split, (_, others) in judged.items() if others}
    return PreparedData(corpus, queries, qrels, manifest, negatives, own)


def _fingerprint(folder: Path) -> str:
    sha256 = hashlib.sha256()
    own = (OWN,) if (folder / OWN).is_file() else ()
    names = ("corpus.jsonl", "queries.jsonl", *(f"qrels/{split}.tsv" for split in SPLITS), *own)
    sizes = {name: (folder / name).stat().st_size for name in names}
    with byte_bar(f"checking {folder.name}", sum(sizes.values())) as advance:
        for name, size in sizes.items():
            sha256.update(f"{name} {size}\n".encode())
            with (folder / name).open("rb") as file:
                while block := file.read(_BLOCK):
                    sha256.update(block)
                    advance(len(block))
    return sha256.hexdigest()


def _write_lines(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _read_lines(path: Path) -> Iterable[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _read_qrels(path: Path) -> tuple[Qrels, Qrels]:
    """The documents that were judged relevant, and those that were judged not relevant."""
    relevant: Qrels = {}
    others: Qrels = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            relevant.setdefault(row["query-id"], [])
            if row["corpus-id"]:
                judged = relevant if int(row["score"]) > 0 else others
                judged.setdefault(row["query-id"], []).append(row["corpus-id"])
    return relevant, others

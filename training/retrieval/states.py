"""The states of a model's weights: what each encodes and how it ranks; every text is encoded once per state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from registry.model_folders.input_config import Kind
from registry.model_folders.variants import Backend
from training.retrieval.encoding import BlockEncoder, TorchBlocks, compiled_blocks, encode
from training.retrieval.metrics import mean_metrics, query_metrics
from training.retrieval.ranking import DEPTH, Embeddings, LeftOut, Ranked, Span, ranked, top_k
from training.retrieval.texts import Texts
from training.retrieval.vectors import StoredVectors
from training.runs.progress import track
from training.runs.run import Run

Indices = NDArray[np.int64]

BASE_STATE = "base"
"""The name of the base model's state."""


@dataclass(frozen=True)
class Sample:
    """A state's unit vectors of some queries and documents, and each query's relevant and own documents."""

    queries: NDArray[np.float32]
    documents: NDArray[np.float32]
    relevant: list[set[int]]
    spans: list[Span]
    own: Sequence[set[int]] = ()


class CorpusWork(Protocol):
    """Encodes and ranks a corpus elsewhere than in this process, with the same result."""

    def encode(self, weights: Path, texts: Sequence[str], batch_size: int, path: Path) -> None:
        """Write the vectors of documents; see :func:`encoding.encode`.

        Args:
            weights: model folder.
            texts: of the documents.
            batch_size: texts encoded at a time.
            path: of the ``.npy`` file.
        """

    def top_k(
        self, queries: Embeddings, documents: Embeddings, k: int, device: str = "cpu", left_out: LeftOut = ()
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """See :func:`ranking.top_k`."""


class State:
    """A named set of weights. Its embeddings and rankings are kept in ``folder``; nothing is computed twice."""

    def __init__(
        self,
        name: str,
        folder: Path,
        load: Callable[[], SentenceTransformer],
        texts: Texts,
        batch_size: int,
        device: str,
        documents_folder: Path | None = None,
        encoder: Callable[[State], BlockEncoder] | None = None,
        weights: Path | None = None,
        work: CorpusWork | None = None,
    ) -> None:
        self.name = name
        self._folder = folder
        self._load = load
        self.texts = texts
        self._batch_size = batch_size
        self._device = device
        self._documents_folder = documents_folder or folder
        self._weights = weights
        self._work = work
        self._encoder = encoder or (lambda state: TorchBlocks(state.model))
        folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def model(self) -> SentenceTransformer:
        """The model itself, loaded at first use."""
        return self._load()

    @cached_property
    def encoder(self) -> BlockEncoder:
        """What encodes with the model's weights."""
        return self._encoder(self)

    @cached_property
    def documents(self) -> StoredVectors:
        """Embeddings of the corpus, ``(n, d)``."""
        return self._embeddings(self._corpus, self.texts.documents, "document")

    @property
    def _corpus(self) -> Path:
        return self._documents_folder / "documents"

    def _queries(self, split: str) -> Path:
        return self._folder / f"{split}-queries"

    def query_embeddings(self, split: str) -> StoredVectors:
        """Embeddings of a split's queries, ``(q, d)``."""
        return self._embeddings(self._queries(split), self.texts.queries[split], "query")

    def encode_queries(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings of other queries, ``(n, d)``; they are not kept."""
        vectors: NDArray[np.float32] = self.model.encode_query(
            list(queries), normalize_embeddings=True, show_progress_bar=False
        )
        return vectors

    def ranked(self, split: str, dims: int | None = None) -> NDArray[np.int64]:
        """The first documents of every query of a split, from its own set, ``(q, 100)``; see :func:`ranking.ranked`."""
        return self._ranking(split, dims)[1]

    def ranked_with_scores(self, split: str) -> Ranked:
        """The same with scores."""
        documents, queries = self.documents, self.query_embeddings(split)
        scores, positions = self._ranking(split)
        best = [
            np.max(documents[sorted(right)] @ query, initial=-np.inf)
            for query, right in track(
                zip(queries[:], self.texts.relevant[split], strict=True), "scoring relevant documents", len(queries)
            )
        ]
        return Ranked(positions, scores, np.array(best, dtype=np.float32))

    def _ranking(self, split: str, dims: int | None = None) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and positions, computed once and kept with the embeddings that they were computed from."""
        path = self._folder / (f"{split}-ranking.npz" if dims is None else f"{split}-ranking-{dims}.npz")
        if not path.exists():
            queries, documents = self.query_embeddings(split), self.documents
            if dims is not None:
                queries, documents = queries.truncated(dims), documents.truncated(dims)
            scores, positions = ranked(
                queries,
                documents,
                DEPTH,
                self.texts.spans(split),
                self._device,
                self.texts.own[split],
                self._work.top_k if self._work else top_k,
            )
            partial = path.with_suffix(".partial.npz")
            np.savez(partial, scores=scores, positions=positions.astype(np.int32))
            partial.rename(path)
        with np.load(path, allow_pickle=False) as kept:
            return kept["scores"], kept["positions"].astype(np.int64)

    def metrics(self, split: str, dims: int | None = None) -> dict[str, float]:
        """Retrieval metrics on a split, with all or ``dims`` leading dimensions; of several sets the mean over sets."""
        return mean_metrics(self.query_metrics(split, dims), [queries for queries, _ in self.texts.spans(split)])

    def query_metrics(self, split: str, dims: int | None = None) -> dict[str, NDArray[np.float64]]:
        """The same metrics of every query of a split."""
        return query_metrics(self.ranked(split, dims), self.texts.relevant[split])

    def sample(self, split: str, queries: Indices, documents: Indices) -> Sample:
        """Some of a split's queries and some documents, which are encoded separately unless the corpus already is.

        Args:
            split: of the queries.
            queries: positions of queries in the split, ascending.
            documents: positions of documents, ascending, which include all documents relevant to the queries.
        """
        position = {int(document): index for index, document in enumerate(documents)}
        return Sample(
            self._some(self._queries(split), self.texts.queries[split], queries, "query"),
            self._some(self._corpus, self.texts.documents, documents, "document"),
            [{position[document] for document in self.texts.relevant[split][query]} for query in queries],
            [(_among(queries, rows), _among(documents, of)) for rows, of in self.texts.spans(split)],
            [{position[own] for own in self.texts.own[split][query] if own in position} for query in queries],
        )

    def over(self, what: str, texts: Texts, folder: str) -> State:
        """The same weights over other texts, whose embeddings are kept in a subfolder of this state's."""
        own, documents = self._folder / folder, self._documents_folder / folder
        name = f"{self.name}, {what}"
        load, encoder = (lambda: self.model), (lambda _: self.encoder)
        return State(
            name,
            own,
            load,
            texts,
            self._batch_size,
            self._device,
            documents,
            encoder,
            self._weights,
            self._work,
        )

    def free_model(self) -> None:
        """Free the weights; embeddings stay."""
        for name in ("model", "encoder"):
            self.__dict__.pop(name, None)

    def _some(self, file: Path, texts: Sequence[str], rows: Indices, kind: Kind) -> NDArray[np.float32]:
        if file.with_suffix(".npy").exists():
            return StoredVectors(file.with_suffix(".npy"))[rows]
        own = self._folder / f"{file.name}-sample"
        return self._embeddings(own, [texts[row] for row in rows], kind)[:]

    def _embeddings(self, file: Path, texts: Sequence[str], kind: Kind) -> StoredVectors:
        path = file.with_suffix(".npy")
        if not path.exists():
            partial = file.with_suffix(".partial.npy")
            if self._work and self._weights and file == self._corpus:
                self._work.encode(self._weights, texts, self._batch_size, partial)
            else:
                what = f"{file.name.replace('-', ' ')} ({self.name})"
                encode(self.encoder, texts, kind, self._batch_size, what, partial)
            partial.rename(path)
        return StoredVectors(path)


class States:
    """The states of a run by name: the base model's, and those of its results.

    At most two models are in memory: the base model, and that of the state accessed last.
    """

    def __init__(
        self,
        run: Run,
        base: Path,
        load: Callable[[Path], SentenceTransformer],
        texts: Texts,
        batch_size: int,
        device: str,
        same_documents: bool = False,
        backend: Backend | None = None,
        work: CorpusWork | None = None,
    ) -> None:
        """
        Args:
            run: keeps models and embeddings.
            base: folder of the base model.
            load: loads a model folder.
            texts: prepared data.
            batch_size: texts encoded at a time.
            device: where rankings are computed.
            same_documents: whether all states encode documents as the base model does: then they are encoded once.
            backend: the runtime that encodes; by default torch.
            work: encodes and ranks the corpus; by default this process does.
        """
        self._run = run
        self._base = base
        self._load = load
        self._texts = texts
        self._batch_size = batch_size
        self._device = device
        self._documents_folder = run.embeddings(BASE_STATE) if same_documents else None
        self._backend = backend
        self._work = work
        self._states: dict[str, State] = {}

    def __getitem__(self, name: str) -> State:
        """The state of that name."""
        if name not in self._states:
            weights = self._base if name == BASE_STATE else self._run.model_folder(name)
            self._states[name] = State(
                name,
                self._run.embeddings(name),
                partial(self._load, weights),
                self._texts,
                self._batch_size,
                self._device,
                self._documents_folder,
                self._compiled if self._backend else None,
                weights,
                self._work,
            )
        if name != BASE_STATE:
            self.free_models(but=name)
        return self._states[name]

    def free_models(self, but: str = BASE_STATE) -> None:
        """Free the models of all states but the base model's and perhaps one more."""
        for name, state in self._states.items():
            if name not in (BASE_STATE, but):
                state.free_model()

    def _compiled(self, state: State) -> BlockEncoder:
        assert self._backend is not None
        folder = "variant-base" if state.name == BASE_STATE else "variant"
        return compiled_blocks(state.model, self._backend, self._run.scratch / folder)


def _among(chosen: Indices, rows: slice) -> slice:
    """Which of some ascending positions are within some rows."""
    return slice(*np.searchsorted(chosen, [rows.start, rows.stop]).tolist())

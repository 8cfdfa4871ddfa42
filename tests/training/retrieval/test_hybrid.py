"""BM25 beside a model: each set over its own documents, and the comparison with the model alone."""

from __future__ import annotations

import numpy as np
import pytest

from registry.texts.bm25 import Bm25
from registry.texts.fusion import fuse
from tests.training.assessment.samples import data
from training import PreparedData
from training.prepared.joined import join
from training.retrieval.hybrid import compare_hybrid, fused_with, ranked_by_bm25
from training.retrieval.metrics import query_metrics
from training.retrieval.ranking import DEPTH, NOTHING
from training.retrieval.texts import Texts

CORPUS = ["the code x1 is red", "the code x2 is blue", "a boat", "of x3 the wheels"]
DEV = [("x1", [0]), ("the x2 please", [1]), ("unheard of", [2]), ("a boat", [0])]


class Alone:
    """A state that ranks every document of a query's set in the order of the corpus."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts

    def ranked(self, split: str) -> np.ndarray:
        ranked = np.full((len(self.texts.queries[split]), DEPTH), NOTHING)
        for queries, documents in self.texts.spans(split):
            ranked[queries, : documents.stop - documents.start] = np.arange(documents.start, documents.stop)
        return ranked

    def query_metrics(self, split: str) -> dict[str, np.ndarray]:
        return query_metrics(self.ranked(split), self.texts.relevant[split])


def joined() -> PreparedData:
    return join({"one": data(CORPUS, DEV), "two": data([*CORPUS[::-1], "x1 and x1"], DEV[:2])})


def rows(ranking: np.ndarray) -> list[list[int]]:
    return [[document for document in row if document != NOTHING] for row in ranking.tolist()]


def test_queries_are_ranked_over_the_documents_with_their_words() -> None:
    found = ranked_by_bm25(Texts(data(CORPUS, DEV)), "dev")
    assert found.shape == (len(DEV), DEPTH)
    wanted = [Bm25(CORPUS).ranking(text, DEPTH).tolist() for text, _ in DEV[:3]]
    assert rows(found) == [*wanted, []]  # the last query is itself a document


def test_each_of_several_sets_is_ranked_over_its_own_documents() -> None:
    texts = Texts(joined())
    one, two = (rows(ranked_by_bm25(Texts(part), "dev")) for part in joined().parts.values())
    together = rows(ranked_by_bm25(texts, "dev"))
    assert together == [*one, *([document + len(CORPUS) for document in row] for row in two)]


def test_fusion_goes_row_by_row_and_rows_end_where_nothing_is_left() -> None:
    one, two = np.array([[0, 2, NOTHING], [4, NOTHING, NOTHING]]), np.array([[1, 2, NOTHING], [NOTHING] * 3])
    assert rows(fused_with(one, two)) == [fuse(np.array([0, 2]), np.array([1, 2])).tolist(), [4]]


@pytest.mark.parametrize("several", [False, True])
def test_the_comparison_is_the_mean_over_sets_of_what_fusion_gains(several: bool) -> None:
    texts = Texts(joined() if several else data(CORPUS, DEV))
    state = Alone(texts)
    before = state.query_metrics("dev")["mrr@5"]
    after = query_metrics(fused_with(state.ranked("dev"), ranked_by_bm25(texts, "dev")), texts.relevant["dev"])["mrr@5"]
    wanted = np.mean([(after - before)[queries].mean() for queries, _ in texts.spans("dev")])
    found = compare_hybrid(state, 1)  # type: ignore[arg-type]
    assert set(found) == {"mrr@5", "recall@5", "ndcg@10"}
    assert found["mrr@5"]["difference"] == pytest.approx(wanted) != 0
    assert found == compare_hybrid(state, 1)  # type: ignore[arg-type]

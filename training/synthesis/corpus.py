"""Question-answer pairs of a whole corpus: documents read, divided into passages, asked about, and perhaps judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.paths import PathLike, local_path
from training.errors import SourceError, TrainingError
from training.judges.grades import RELEVANT, RelevanceJudge, checked_grades, is_relevant
from training.synthesis.documents import read_documents
from training.synthesis.extraction import extract_pairs
from training.synthesis.options import SynthesisOptions
from training.synthesis.passages import SyntheticPair, cut_passages
from training.tables.reading import BadRows

if TYPE_CHECKING:
    from training.llm.chat import ChatModel


@dataclass(frozen=True)
class Synthesis:
    """The pairs of a corpus.

    Attributes:
        pairs: in the order of their passages.
        documents: number of documents.
        without_passages: number of documents without a passage that is long enough and in no other document.
        passages: number of passages.
        skipped: one line for each bad file or row.
        left_out: pairs that a judge did not find good, with their grades.
    """

    pairs: list[SyntheticPair]
    documents: int
    without_passages: int
    passages: int
    skipped: list[str]
    left_out: list[SyntheticPair] = field(default_factory=list)


def synthesize(
    corpus: PathLike,
    options: SynthesisOptions | None = None,
    model: ChatModel | None = None,
    *,
    judge: RelevanceJudge | None = None,
    skip_bad: bool = False,
) -> Synthesis:
    """Make question-answer pairs from bare documents.

    Args:
        corpus: file or folder; see :func:`training.synthesis.documents.read_documents`.
        options: how documents are read and divided.
        model: a language model that asks questions; by default they are made from the documents' own words.
        judge: keeps a pair only if the answer is relevant to the question; by default all are kept.
        skip_bad: count bad files and rows instead of stopping at the first one.

    Raises:
        SourceError: the corpus cannot be read, something in it is bad, or no passage gives a question.
        TrainingError: the judge keeps no pair, or gives something else than grades.
        LanguageModelError: a model cannot be called, or the budget is used up.
    """
    corpus = local_path(corpus, SourceError)
    options = options or SynthesisOptions()
    bad = BadRows(skip_bad)
    documents = read_documents(corpus, bad, text=options.text, title=options.title)
    passages = cut_passages(documents, options.chunk_characters)
    if model is None:
        pairs = extract_pairs(passages, options.seed)
    else:
        from training.synthesis.llm_questions import ask_pairs

        pairs = ask_pairs(passages, model, options.questions)
    if not pairs:
        raise SourceError(f"{corpus}: no questions can be made from it: expected passages of at least a few sentences")
    kept, left_out = _judged(pairs, judge) if judge else (pairs, [])
    if not kept:
        raise TrainingError(
            f"{corpus}: the judge gave none of {len(pairs)} pairs a grade of at least {RELEVANT}: see whether it reads "
            "the language of the corpus, or take another `judge_model`"
        )
    without = len(documents) - len({passage.document for passage in passages})
    return Synthesis(kept, len(documents), without, len(passages), bad.lines, left_out)


def _judged(pairs: Sequence[SyntheticPair], judge: RelevanceJudge) -> tuple[list[SyntheticPair], list[SyntheticPair]]:
    """The pairs whose answers are relevant to their questions, and the others, all with their grades.

    Generated questions are filtered by a second model: by the round trip of Alberti et al., 2019, "Synthetic QA Corpora
    Generation with Roundtrip Consistency", which Promptagator took over, or by a reranker (Jeronymo et al., 2023,
    "InPars-v2"). GPL (Wang et al., 2022) trains on the reranker's scores instead.
    """
    grades = checked_grades(judge, [(pair.question, [pair.answer]) for pair in pairs])
    graded = [pair._replace(grade=grade) for pair, (grade,) in zip(pairs, grades, strict=True)]
    kept = [pair for pair in graded if is_relevant(pair.grade)]
    return kept, [pair for pair in graded if not is_relevant(pair.grade)]

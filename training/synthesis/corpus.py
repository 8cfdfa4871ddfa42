"""Question-answer pairs of a whole corpus: documents read, divided into passages, and asked about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.paths import PathLike, local_path
from training.errors import SourceError
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
    """

    pairs: list[SyntheticPair]
    documents: int
    without_passages: int
    passages: int
    skipped: list[str]


def synthesize(
    corpus: PathLike,
    options: SynthesisOptions | None = None,
    model: ChatModel | None = None,
    *,
    skip_bad: bool = False,
) -> Synthesis:
    """Make question-answer pairs from bare documents.

    Args:
        corpus: file or folder; see :func:`training.synthesis.documents.read_documents`.
        options: how documents are read and divided.
        model: a language model that asks questions; by default they are made from the documents' own words.
        skip_bad: count bad files and rows instead of stopping at the first one.

    Raises:
        SourceError: the corpus cannot be read, something in it is bad, or no passage gives a question.
        LanguageModelError: the model cannot be called, or the budget is used up.
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
    without = len(documents) - len({passage.document for passage in passages})
    return Synthesis(pairs, len(documents), without, len(passages), bad.lines)

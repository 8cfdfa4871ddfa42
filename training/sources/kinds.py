"""Kinds of sources: what each holds, how it is read, and which options its reader takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from training.errors import SourceError

if TYPE_CHECKING:
    from training.sources.judged import Judgements
    from training.sources.labels import Labels
    from training.sources.pairs import Pairs

    Content = Pairs | Labels | Judgements


@dataclass(frozen=True)
class SourceKind:
    """A kind of source that :func:`training.prepare_source` can prepare.

    Attributes:
        name: by which it is chosen.
        holds: what a source of this kind holds, in a few words.
        read: the reader. It is called with the source, with :class:`ReadOptions`, and with the options of the kind that
            are given, by name. It raises :class:`training.SourceError` for a source that it cannot read.
        content: what the reader returns: :class:`Pairs`, :class:`Labels` or :class:`Judgements`.
        options: the names of the further options of the reader; on the command line fields of :class:`SourceOptions`.
        hub: whether the source may be a Hugging Face data set.
    """

    name: str
    holds: str
    read: Callable[..., Content]
    content: Literal["pairs", "labels", "judgements"]
    options: tuple[str, ...] = ()
    hub: bool = True

    @property
    def has_chunks(self) -> bool:
        """Whether long documents are split into chunks; labelled texts are not."""
        return self.content != "labels"

    def check_options(self, given: Iterable[str]) -> None:
        """Make sure that every given option applies to this kind.

        Raises:
            SourceError: one does not.
        """
        hub = ("hub_split", "hub_config", "hub_revision") if self.hub else ()
        chunks = ("chunk_characters",) if self.has_chunks else ()
        for name in given:
            if name not in (*self.options, *hub, *chunks):
                raise SourceError(f"`{name}` cannot be used with `kind` {self.name}")


def _lazy(module: str, name: str) -> Callable[..., Any]:
    """A function that is imported when it is called."""

    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(import_module(module), name)(*arguments, **options)

    return call


BUILT_IN = (
    SourceKind(
        name="pairs",
        holds="questions and answers",
        read=_lazy("training.sources.pairs", "read_pairs"),
        content="pairs",
        options=("question", "answer", "unlabelled"),
    ),
    SourceKind(
        name="labels",
        holds="texts with a label each",
        read=_lazy("training.sources.labels", "read_labels"),
        content="labels",
        options=("text", "label", "where"),
    ),
    SourceKind(
        name="logs",
        holds="routed queries with feedback",
        read=_lazy("training.sources.logs", "read_logs"),
        content="labels",
        options=("text", "label", "accepted", "corrected", "where"),
    ),
    SourceKind(
        name="triplets",
        holds="questions, answers and wrong answers",
        read=_lazy("training.sources.triplets", "read_triplets"),
        content="judgements",
        options=("question", "answer", "negative"),
    ),
    SourceKind(
        name="beir",
        holds="a folder of documents, queries and judgements",
        read=_lazy("training.sources.beir", "read_beir"),
        content="judgements",
        hub=False,
    ),
)
"""The kinds that training knows. Plugins add others: see ``router_plugin.source_kinds``."""

"""What a source of ``domain-router prepare`` may hold: how each kind is read and written, and its options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import typer


class Kind(str, Enum):
    """What a source holds."""

    pairs = "pairs"
    labels = "labels"
    routes = "routes"
    logs = "logs"
    triplets = "triplets"
    beir = "beir"


class Prepared(NamedTuple):
    """The manifest of a prepared folder, and one line for each row that was skipped."""

    manifest: dict[str, Any]
    skipped: list[str]


@dataclass(frozen=True)
class KindOfSource:
    """How a kind is read and written.

    Attributes:
        read: the source, with ``skip_bad`` and those of the options that are given.
        write: what was read, into a folder.
        options: names of what says how it is read.
        said: what a count of the manifest is called, by the count's name, the rows first.
        left_out: what rows in no split are.
        chunks: whether long texts are cut.
    """

    read: Callable[..., Any]
    write: Callable[..., dict[str, Any]]
    options: tuple[str, ...]
    said: Mapping[str, str]
    left_out: str
    chunks: bool = True

    def summary(self, counts: Mapping[str, int]) -> str:
        """What was read, in words."""
        (first, rows), *others = self.said.items()
        aside = ", ".join(f"{counts[name]} {words}" for name, words in others)
        return f"{counts[first]} {rows.format(**counts)} ({aside})"


def check_options(kind: Kind, given: Mapping[str, Any]) -> None:
    """Make sure that only options are given that have a meaning for the kind."""
    known = KINDS[kind].options + (("chunk_characters",) if KINDS[kind].chunks else ())
    for name, value in given.items():
        if value is not None and name not in known:
            raise typer.BadParameter(f"--{name.replace('_', '-')} has no meaning for --kind {kind.value}: leave it out")


def prepare_kind(
    kind: Kind, source: str, out: Path, reading: Mapping[str, Any], splitting: Mapping[str, Any], overwrite: bool
) -> Prepared:
    """Read a source and write prepared data.

    Args:
        kind: of the source.
        source: file, folder or data set.
        out: folder to write.
        reading: what :attr:`KindOfSource.read` may be given, by name; None is not given.
        splitting: fields of :class:`training.PrepareOptions`, likewise.
        overwrite: replace an earlier folder.

    Raises:
        DomainRouterError: the source cannot be read or prepared.
    """
    from training.prepared.preparation import PrepareOptions, check_target
    from training.prepared.split_options import SplitOptions

    chosen = KINDS[kind]
    options = (PrepareOptions if chosen.chunks else SplitOptions)(**_given(splitting, splitting))
    check_target(out, overwrite)
    found = chosen.read(source, **_given(reading, (*chosen.options, "skip_bad")))
    return Prepared(chosen.write(found, out, options, overwrite), found.skipped)


def _given(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if values[name] is not None}


def _lazy(module: str, name: str) -> Callable[..., Any]:
    """A function, imported when it is called."""

    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(import_module(module), name)(*arguments, **options)

    return call


_ROWS = ("columns", "hub_split", "hub_config", "hub_revision")
_LABELS = {
    "texts": "texts of {labels} labels",
    "skipped": "skipped",
    "repeated": "repeated",
    "out_of_scope": "without a label",
}
_FEEDBACK = {
    "without_feedback": "without feedback",
    "rejected": "rejected without another route",
    "at_odds": "with feedback at odds",
    "undecided": "undecided",
}
_JUDGED = {"skipped": "skipped", "judged_negatives": "judged negatives", "judged_both_ways": "judged both ways"}

_write_labels = _lazy("training.prepared.labelled", "prepare_labels")
_write_judged = _lazy("training.prepared.judged", "prepare_judged")

_TEXTS_LEFT_OUT = "texts are near-duplicates of held-out ones, or of a label without training texts,"
_QUERIES_LEFT_OUT = "queries are near-duplicates of held-out ones"

KINDS: dict[Kind, KindOfSource] = {
    Kind.pairs: KindOfSource(
        _lazy("training.sources.pairs", "read_pairs"),
        _lazy("training.prepared.preparation", "prepare"),
        ("question", "answer", "unlabelled", *_ROWS),
        {"pairs": "pairs", "skipped": "skipped"},
        "pairs are near-duplicates of held-out ones",
    ),
    Kind.labels: KindOfSource(
        _lazy("training.sources.labels", "read_labels"),
        _write_labels,
        ("text", "label", "where", *_ROWS),
        _LABELS,
        _TEXTS_LEFT_OUT,
        chunks=False,
    ),
    Kind.routes: KindOfSource(
        _lazy("router_plugin.cli.labelled", "read_route_labels"),
        _write_labels,
        ("where",),
        _LABELS,
        _TEXTS_LEFT_OUT,
        chunks=False,
    ),
    Kind.logs: KindOfSource(
        _lazy("training.sources.logs", "read_logs"),
        _write_labels,
        ("text", "label", "accepted", "corrected", "where", *_ROWS),
        _LABELS | _FEEDBACK,
        _TEXTS_LEFT_OUT,
        chunks=False,
    ),
    Kind.triplets: KindOfSource(
        _lazy("training.sources.triplets", "read_triplets"),
        _write_judged,
        ("question", "answer", "negative", *_ROWS),
        {"rows": "triplets", **_JUDGED},
        _QUERIES_LEFT_OUT,
    ),
    Kind.beir: KindOfSource(
        _lazy("training.sources.beir", "read_beir"),
        _write_judged,
        ("columns",),
        {"rows": "queries over {documents} documents", **_JUDGED, "without_relevant": "without a relevant document"},
        _QUERIES_LEFT_OUT,
    ),
}

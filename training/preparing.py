"""Prepares a source of any kind: reads it, and writes a folder of prepared data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from registry.paths import PathLike
from training.errors import SourceError
from training.grouping import open_grouping
from training.prepared.judged import prepare_judged
from training.prepared.labelled import prepare_labels
from training.prepared.options import PrepareOptions
from training.prepared.preparation import check_target, prepare
from training.sources.judged import Judgements
from training.sources.kinds import SourceKind
from training.sources.labels import Labels
from training.sources.pairs import Pairs
from training.splitting.near_duplicates import Grouping
from training.splitting.options import SplitOptions
from training.tables.options import DEFAULTS, ReadOptions


@dataclass(frozen=True)
class PreparedSource:
    """What was prepared.

    Attributes:
        manifest: of the prepared folder.
        skipped: one line for each bad row.
    """

    manifest: dict[str, Any]
    skipped: list[str]


def prepare_source(
    kind: SourceKind,
    source: PathLike,
    out: PathLike,
    *,
    reading: ReadOptions = DEFAULTS,
    splitting: PrepareOptions | None = None,
    overwrite: bool = False,
    ray: str | None = None,
    **options: Any,
) -> PreparedSource:
    """Prepare a source of any kind.

    Args:
        kind: of the source: one of ``router_plugin.source_kinds()``.
        source: file, folder or Hub data set.
        out: folder to write.
        reading: options for reading. The columns that rows are held out by are kept in any case.
        splitting: how the rows are split, and documents divided where the kind has long ones.
        overwrite: replace an earlier folder.
        ray: address of a cluster that finds near-duplicates, see :class:`training.splitting.options.GroupingOptions`;
            its machines must reach ``out`` at the same path.
        options: those of the kind, by name; see :class:`training.SourceOptions`.

    Raises:
        SourceError: an option does not apply to the kind, or the source cannot be read or split.
        OutputError: the folder exists.
        TrainingError: the cluster cannot be reached, or fails.
    """
    splitting = splitting or PrepareOptions()
    kind.check_options([*options, *reading.hub(), *({"chunk_characters"} & splitting.model_fields_set)])
    check_target(out, overwrite)
    filters = (*splitting.hold_out, *splitting.hold_out_dev)
    columns = (*reading.columns, *(each.column for each in filters))
    with open_grouping(ray, out) as grouping:
        content = kind.read(source, reading.replace(columns=tuple(dict.fromkeys(columns))), **options)
        return PreparedSource(_write(kind, content, out, splitting, overwrite, grouping), content.skipped)


def _write(
    kind: SourceKind, content: object, out: PathLike, options: PrepareOptions, overwrite: bool, grouping: Grouping
) -> dict[str, Any]:
    if isinstance(content, Labels):
        split = SplitOptions(**{name: getattr(options, name) for name in SplitOptions.model_fields})
        return prepare_labels(content, out, split, overwrite, grouping)
    if isinstance(content, Pairs):
        return prepare(content, out, options, overwrite, grouping)
    if isinstance(content, Judgements):
        return prepare_judged(content, out, options, overwrite, grouping)
    raise SourceError(f"source kind {kind.name}: its reader returned {type(content).__name__}, expected {kind.content}")

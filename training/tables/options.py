"""Options for reading tables of rows."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from registry.shared.options import Options, Shown
from training.errors import SourceError


class ReadOptions(Options):
    """Options for reading a source of any kind.

    Attributes:
        columns: additional columns to keep, as text. A row without one, or with neither text nor a number in it, is
            kept without that column.
    """

    error = SourceError

    columns: tuple[str, ...] = ()
    hub_split: Annotated[str | None, Field(description="Split of a Hub data set."), Shown(default="train")] = None
    hub_config: Annotated[str | None, Field(description="Configuration of a Hub data set.")] = None
    hub_revision: Annotated[str | None, Field(description="Revision of a Hub data set.")] = None
    skip_bad: Annotated[bool, Field(description="Skip and count bad rows instead of stopping at the first one.")] = (
        False
    )

    def hub(self) -> list[str]:
        """The names of the given options that choose a part of a Hub data set."""
        return [name for name in ("hub_split", "hub_config", "hub_revision") if getattr(self, name) is not None]


DEFAULTS = ReadOptions()

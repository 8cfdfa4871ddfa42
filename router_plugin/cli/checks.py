"""What options are checked for before a command does anything."""

from __future__ import annotations

import typer


def existing_registry(url: str | None) -> str | None:
    """The registry that an option names, for a command that only reads it; None for the default one.

    Raises:
        typer.BadParameter: there is none.
    """
    from registry.location import is_there

    if url is not None and not is_there(url):
        raise typer.BadParameter(f"{url}: there is no registry: 'models add' and 'train --register' make one")
    return url

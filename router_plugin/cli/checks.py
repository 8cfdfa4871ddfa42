"""What options are checked for before a command does anything."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from router_plugin.settings import RANGES


def check_meaning(context: typer.Context, names: Iterable[str], where: str) -> None:
    """Make sure that none of these options is given.

    Args:
        context: of the command.
        names: of its parameters.
        where: they have no meaning, like ``without --llm``.

    Raises:
        typer.BadParameter: one is given.
    """
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"--{name.replace('_', '-')} has no meaning {where}: leave it out")


def check_single_domain(context: typer.Context) -> None:
    """Make sure that ``--single-domain`` is given only where it counts.

    Raises:
        typer.BadParameter: it is given with another strategy.
    """
    if context.params["strategy"] != "single":
        check_meaning(context, ("single_domain",), "without --strategy single")


def existing_registry(url: str | None) -> str | None:
    """The registry that an option names, for a command that only reads it; None for the default one.

    Raises:
        typer.BadParameter: there is none.
    """
    from registry.storage.location import is_there

    if url is not None and not is_there(url):
        raise typer.BadParameter(f"{url}: there is no registry: 'models add' and 'train --register' make one")
    return url


def known_backend(name: str) -> str:
    """What models shall run on.

    Raises:
        typer.BadParameter: there is no such backend.
    """
    from registry.model_folders.variants import BACKENDS
    from router_plugin.encoders.selection import AUTO, TORCH

    if name not in (AUTO, TORCH, *BACKENDS):
        raise typer.BadParameter(f"{name}: expected {', '.join((AUTO, TORCH, *BACKENDS))}")
    return name


def usable_device(name: str | None) -> str | None:
    """A device that torch can use here; None for its own choice.

    Raises:
        typer.BadParameter: it cannot.
    """
    if name is None or name == "cpu":
        return name
    if not _is_usable(name):
        known = ("cpu", *filter(_is_usable, ("cuda", "mps")))
        raise typer.BadParameter(f"{name}: cannot be used on this machine: expected {' or '.join(known)}")
    return name


def _is_usable(device: str) -> bool:
    try:
        import torch

        module = torch.get_device_module(device)
        return bool(module.is_available() and (torch.device(device).index or 0) < module.device_count())
    except (ImportError, RuntimeError, AttributeError):  # no torch, or no such kind of device
        return False


def named_path(text: str) -> Path:
    """A path from the command line.

    Raises:
        typer.BadParameter: it is empty.
    """
    if not str(text).strip():
        raise typer.BadParameter("is empty: expected a path")
    return Path(text)


def ranged(setting: str, help: str) -> Any:
    """The option of a setting that is a number in a range, as :data:`router_plugin.settings.RANGES` has it."""
    least, most = RANGES[setting]

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise typer.BadParameter(f"{text}: expected a number from {least:g} to {most:g}")
        return value

    return typer.Option(help=help, parser=read, metavar=f"<{least:g} to {most:g}>")

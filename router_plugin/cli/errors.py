"""Error messages in terms of the command line: a parameter that a message names becomes the flag that sets it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup
from typer.exceptions import TyperException

from registry import DomainRouterError
from router_plugin.cli.terminal.help import write_commands, write_examples
from router_plugin.cli.terminal.style import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typer.core import TyperArgument, TyperOption

_NAME = re.compile(r"`(\w+)`")
_PARAMETERS = "router_plugin.cli.parameters"


class CommandError(DomainRouterError):
    """A user's mistake, in terms of the command that was run."""


class CommandGroup(TyperGroup):
    """Commands that are listed by task, and whose errors name flags.

    Errors of the library name parameters, in backticks.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command to run, whose parameters are kept beyond the end of its context."""
        name, command, rest = super().resolve_command(ctx, args)
        ctx.meta[_PARAMETERS] = command.params if command else ()
        return name, command, rest

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by task, then examples."""
        write_commands(self, formatter)
        write_examples(self, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            CommandError: in place of a :class:`registry.DomainRouterError`.
            typer.BadParameter: as the command or the reader of its options raised it, as every usage error.
        """
        try:
            return super().invoke(ctx)
        except TyperException as error:  # which may be the help, of many lines
            lines = with_flags(error.message, ctx.meta.get(_PARAMETERS, ())).split("\n")
            error.message = "\n".join(map(visible, lines))
            raise
        except DomainRouterError as error:
            raise CommandError(with_flags(str(error), ctx.meta.get(_PARAMETERS, ()))) from error


def with_flags(message: str, parameters: Iterable[TyperOption | TyperArgument]) -> str:
    """A message in which a parameter in backticks is replaced by its flag, or by its name if it is an argument.

    Names of other things, such as the parameters of another command, stay as they are.
    """
    flags = {parameter.name: _flag(parameter) for parameter in parameters}
    return _NAME.sub(lambda found: flags.get(found[1], found[0]), message)


def _flag(parameter: TyperOption | TyperArgument) -> str:
    long = [name for name in parameter.opts if name.startswith("--")]
    return long[0] if long else str(parameter.name)

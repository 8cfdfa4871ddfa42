"""``domain-router models``: promotes versions as the policy decides, and goes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import JsonOption, RegistryOption
from router_plugin.cli.printing import print_json, say
from router_plugin.cli.registry_commands.models import Reference, WhyOption, print_champion, summary
from router_plugin.cli.terminal.completion import complete_domain

if TYPE_CHECKING:
    from registry import Registry

app = typer.Typer()
"""Commands that belong to those of ``models``."""

KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        parser=named_path,
        metavar=PATH,
        help="File of the key that opens protected aliases; default: $DOMAIN_ROUTER_PROMOTE_KEY.",
        show_default=False,
    ),
]
AnnounceOption = Annotated[
    bool, typer.Option("--announce-vector-space", help="The vectors change in kind on purpose: rule same_space.")
]


def opened(registry: str | None, key_file: Path | None) -> Registry:
    """The registry, with the key of a file.

    Raises:
        CommandError: the file cannot be read.
    """
    from router_plugin.cli.errors import CommandError
    from router_plugin.plugins.registries import open_registry

    store = open_registry(registry)
    if key_file:
        try:
            store.use_key(key_file.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{key_file}: the key cannot be read: {error}") from error
    return store


@app.command(epilog="Example: domain-router models gate medical@2")
def gate(
    reference: Reference,
    announce_vector_space: AnnounceOption = False,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Show what the policy says of promoting a version: nothing is promoted; exit status 2 if a line fails."""
    from router_plugin.plugins.registries import open_registry

    version, decision = open_registry(registry).gate(reference, announce_vector_space)
    _print_lines(version.name, [dict(verdict) for verdict in decision.verdicts], json, not decision.failed)
    if not json and not decision.verdicts:
        say(f"no rule applies to {version.domain}")
    if decision.failed:
        raise typer.Exit(2)


@app.command(epilog="Example: domain-router models promote medical@2 --why 'better on real questions'")
def promote(
    reference: Reference,
    why: WhyOption = None,
    force: Annotated[bool, typer.Option("--force", help="Promote against the policy; needs --why.")] = False,
    announce_vector_space: AnnounceOption = False,
    key_file: KeyFileOption = None,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Make a version the champion, if the policy lets it; for a bare domain, its candidate."""
    from registry import CHAMPION
    from registry.errors import GateError

    store = opened(registry, key_file)
    try:
        version = store.promote(reference, why, force=force, announce_vector_space=announce_vector_space)
    except GateError as error:
        lines = [dict(verdict) for verdict in error.verdicts]
        _print_lines(error.name, lines, json, passed=False)
        raise
    last = store.history(version.domain, CHAMPION)[-1]
    if json:
        print_json({**summary(version), "gate": last.gate, "forced": last.forced})
        return
    _print_lines(version.name, last.gate, json)
    if last.forced:
        say("promoted by force; the history says so, and why")
    print_champion(version, json)


@app.command(epilog="Example: domain-router models rollback medical --why 'worse on short questions'")
def rollback(
    domain: Annotated[str, typer.Argument(help="Name of the domain.", autocompletion=complete_domain)],
    why: WhyOption = None,
    key_file: KeyFileOption = None,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Make the previous champion the champion again. No policy is asked."""
    name, separator, _ = domain.partition("@")
    if separator:
        raise typer.BadParameter(f"{domain} is a version: give the domain: {name}")
    print_champion(opened(registry, key_file).rollback(domain, why), json)


def _print_lines(name: str | None, lines: Sequence[Mapping[str, Any]], json: bool, passed: bool = True) -> None:
    """The lines of a gate's decision."""
    if json:
        print_json({"name": name, "passed": passed, "verdicts": lines})
    for line in () if json else lines:
        text = f"{line['rule']}: {line['text']}"
        if line["passed"]:
            say(f"passed  {text}")
        else:
            say(f"FAILED  {text}", "red")

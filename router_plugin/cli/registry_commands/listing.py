"""``domain-router models list``: the versions of a registry, and which of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from router_plugin.cli.options import JsonOption, RegistryOption
from router_plugin.cli.printing import print_json, print_table, say, shown
from router_plugin.cli.registry_commands.models import app
from router_plugin.cli.terminal.completion import complete_domain

if TYPE_CHECKING:
    from registry.catalog.listing import Filter, Listed

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


@app.command("list", epilog="Example: domain-router models list medical --min-score 0.6")
def list_models(
    domain: Annotated[str | None, typer.Argument(help="Only this domain.", autocompletion=complete_domain)] = None,
    alias: Annotated[str | None, typer.Option(help="Only versions that this alias points to.")] = None,
    base_model: Annotated[str | None, typer.Option(help="Only versions of this base model.")] = None,
    min_score: Annotated[float | None, typer.Option(help="Only versions with at least this MRR@5 on test.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=_DATES, help="Only versions created then or later.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=_DATES, help="Only versions created before then.")] = None,
    parent: Annotated[
        str | None, typer.Option(help="Only versions published while this one was the champion.", metavar="MODEL")
    ] = None,
    ancestors: Annotated[
        str | None, typer.Option(help="Only this version, its parent, and so on.", metavar="MODEL")
    ] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted versions that can still be restored.")] = False,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """List versions with their aliases and measured gain. Times are in UTC."""
    from registry.catalog.listing import Filter
    from registry.names import Reference, check_alias, check_domain
    from router_plugin.plugins.registries import open_registry

    store = open_registry(registry)

    def version(reference: str | None) -> Reference | None:
        if reference is None:
            return None
        found = store.get(reference)
        return Reference(found.domain, found.version)

    wanted = Filter(
        domain=domain and check_domain(domain),
        alias=alias and check_alias(alias),
        base_model=base_model,
        min_score=min_score,
        since=since,
        until=until,
        parent=version(parent),
        ancestors=version(ancestors),
        deleted=deleted,
    )
    versions = store.listed(wanted)
    if json:
        print_json([_as_json(version) for version in versions])
    elif versions:
        _print(store.url, versions, deleted)
    else:
        say(_nothing(wanted, store.url))


def _print(title: str, versions: list[Listed], deleted: bool) -> None:
    columns = ("model", "alias", "base mrr@5", "adapted mrr@5", "size", "created (UTC)")
    rows = [
        (
            version.name,
            ", ".join((*version.aliases, *(["retired"] if version.retired else []))),
            shown(version.base_score, 4),
            shown(version.adapted_score, 4),
            f"{version.size / 1e6:.1f} MB",
            f"{version.created:%Y-%m-%d %H:%M}",
            *([f"{version.expires:%Y-%m-%d %H:%M}"] if deleted else []),
        )
        for version in versions
    ]
    print_table(title, (*columns, *(["kept until (UTC)"] if deleted else [])), rows)


def _as_json(version: Listed) -> dict[str, object]:
    times = {name: time.isoformat() for name, time in version._asdict().items() if isinstance(time, datetime)}
    return {**version._asdict(), **times}


def _nothing(wanted: Filter, url: str) -> str:
    """Why a list is empty."""
    from registry.catalog.listing import Filter

    if wanted == Filter(domain=wanted.domain):
        return f"nothing is registered {f'for {wanted.domain} ' if wanted.domain else ''}in {url}"
    return f"no such version in {url}"

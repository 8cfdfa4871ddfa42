"""``domain-router index``: candidates in Qdrant or pgvector are built, looked at and removed."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_plugin.cli.errors import CommandGroup
from router_plugin.cli.model_options import fields_of, with_fields
from router_plugin.cli.options import (
    GeneralBaseOption,
    JsonOption,
    RegistryOption,
    router_parts,
    usable_device,
)
from router_plugin.cli.printing import print_json, print_table, say
from router_plugin.settings import Settings
from router_plugin.tuning.opening import RouterParts

if TYPE_CHECKING:
    from router_plugin.serving.index.contract import Space

app = typer.Typer(
    cls=CommandGroup,
    help="Keep the candidates of routes in Qdrant or pgvector.",
    no_args_is_help=True,
)

Store = Annotated[
    str,
    typer.Argument(help="Qdrant's URL, the folder of an embedded one, or postgresql://... with pgvector."),
]
IndexedParts = Annotated[RouterParts, router_parts("routes", "extra_domains", "base_model", "registry")]
IndexSettings = Annotated[
    Settings,
    fields_of(
        Settings,
        *("strategy", "single_domain", "backend", "device", "trust_remote_code", "index_timeout_s"),
        callbacks={"device": usable_device},
    ),
]


@app.command(epilog="Example: domain-router index build http://localhost:6333 --routes examples/routes.yaml")
@with_fields
def build(
    store: Store,
    *,
    parts: IndexedParts,
    model: Annotated[
        str | None,
        typer.Option(
            help="A version that does not serve yet, like medical@3 or medical@candidate, before it is promoted.",
            show_default="the champions",
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove candidates that these routes do not have, or no longer.")
    ] = False,
    settings: IndexSettings,
    json: JsonOption = False,
) -> None:
    """Embed and store the candidates that are missing, beside those of other models. Run it again to go on."""
    from router_plugin.serving.index.upkeep import build as build_index

    with parts.router(settings.replace(index=store)) as router:
        state = router.state
        if model is not None:
            domains = router.served_domains
            state = state.moved_to(domains.with_version(domains.registered(model)))
        built = list(build_index(state, prune))
    if json:
        print_json([{**_named(each.space), **each._asdict(), "space": each.space.identifier} for each in built])
        return
    rows = [(*_named(each.space).values(), each.candidates, each.made, each.removed) for each in built]
    print_table(store, ("domain", "model", "runs on", "space", "candidates", "made", "removed"), rows)


@app.command(epilog="Example: domain-router index status http://localhost:6333 --routes examples/routes.yaml")
@with_fields
def status(
    store: Store,
    *,
    parts: IndexedParts,
    settings: IndexSettings,
    json: JsonOption = False,
) -> None:
    """Show what the index holds, and what it lacks for these routes."""
    from router_plugin.serving.index.upkeep import listed

    with parts.router(settings.replace(index=store)) as router:
        index = router.served_domains.index
        found = listed(router.state, index) if index else []
    if json:
        print_json([{**_named(each.space), **each._asdict(), "space": each.space.identifier} for each in found])
        return
    rows = [(*_named(each.space).values(), each.entries, each.missing, each.status) for each in found]
    print_table(store, ("domain", "model", "runs on", "space", "entries", "missing", "status"), rows)


@app.command(epilog="Example: domain-router index drop http://localhost:6333 --old")
def drop(
    store: Store,
    spaces: Annotated[
        list[str] | None, typer.Argument(help="Spaces, as 'index status' shows them.", show_default=False)
    ] = None,
    old: Annotated[
        bool, typer.Option("--old", help="Those of all models but champions, candidates and the base model.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Also spaces of models that serve.")] = False,
    base_model: GeneralBaseOption = None,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Remove candidates of models that no longer serve."""
    from router_plugin.serving.domains import ServedDomains
    from router_plugin.serving.index.opening import open_index
    from router_plugin.serving.index.upkeep import drop_named, drop_old, needed

    if bool(spaces) == old:
        raise typer.BadParameter("give either spaces or `old`")
    if old and force:
        raise typer.BadParameter("`force` cannot be used with `old`")
    with ServedDomains(registry, base_model=base_model) as domains:
        keep = set() if force else needed(domains)
    with closing(open_index(store, Settings().index_timeout_s)) as index:
        removed = drop_old(index, keep) if old else drop_named(index, spaces or [], keep)
    if json:
        print_json([{**_named(each.space), "entries": each.entries} for each in removed])
        return
    for each in removed:
        say(f"removed {each.entries} candidates of {each.space}")
    if not removed:
        say("there was nothing to remove")


def _named(space: Space) -> dict[str, Any]:
    return {"domain": space.domain, "model": space.model, "runtime": space.runtime, "space": space.identifier}

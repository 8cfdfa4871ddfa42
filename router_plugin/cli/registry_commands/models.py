"""``domain-router models``: lists and administers registered models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from router_plugin.cli.errors import CommandGroup
from router_plugin.cli.options import HybridOption, JsonOption, NewRegistryOption, RegistryOption
from router_plugin.cli.printing import print_fields, print_json, print_table, say
from router_plugin.cli.terminal.completion import complete_reference

if TYPE_CHECKING:
    from registry import ModelVersion

app = typer.Typer(
    cls=CommandGroup,
    help="List, compare, promote, verify and exchange registered models.",
    no_args_is_help=True,
)

WhyOption = Annotated[str | None, typer.Option(help="Why, for the history.", show_default=False)]
Reference = Annotated[
    str, typer.Argument(help="medical, medical@3 or medical@candidate.", autocompletion=complete_reference)
]


@app.command(epilog="Example: domain-router models show medical@champion")
def show(reference: Reference, registry: RegistryOption = None, json: JsonOption = False) -> None:
    """Show the record of a version: lineage, metrics, files."""
    from router_plugin.plugins.registries import open_registry
    from training.reporting.verdicts import EVALUATION_COLUMNS, broken_limits, evaluation_rows, hybrid_line

    store = open_registry(registry)
    version = store.get(reference)
    if json:
        print_json(version.model_dump(mode="json"))
        return
    aliases = [alias for alias, number in store.aliases(version.domain).items() if number == version.version]
    fields = {name: value for name, value in version.model_dump(mode="json").items() if name not in _TABLES}
    print_fields(version.name, {"aliases": aliases or "none", **fields})
    print_table("test sets", EVALUATION_COLUMNS, evaluation_rows(version))
    for line in filter(None, [*broken_limits(version), hybrid_line(version)]):
        say(line)
    metrics = [
        (split, name, version.base_metrics[split][name], value)
        for split, values in version.adapted_metrics.items()
        for name, value in values.items()
    ]
    print_table("metrics", ("split", "metric", "base", "adapted"), metrics)
    print_fields("options", version.options)
    print_table("files", ("path", "bytes", "sha256"), [(file.path, file.size, file.sha256) for file in version.files])


@app.command(epilog="Example: domain-router models verify")
def verify(
    reference: Annotated[
        str | None, typer.Argument(help="A version; by default all.", autocompletion=complete_reference)
    ] = None,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Recompute the digest of every file; exit status 1 if one is wrong."""
    from registry.progress import track
    from router_plugin.plugins.registries import open_registry

    store = open_registry(registry)
    versions = [store.get(reference)] if reference else store.versions()
    shown = len(versions) > 1
    problems = {version.name: store.verify(version) for version in track(versions, "verifying", shown=shown)}
    if json:
        print_json(problems)
    for name, found in problems.items() if not json else ():
        say(f"{name}: {'; '.join(found) or 'all files have their recorded digest'}")
    if any(problems.values()):
        raise typer.Exit(1)


@app.command(epilog="Example: domain-router models add work/legal-model")
def add(
    model: Annotated[str, typer.Argument(help="Model folder that train wrote, or name of a ready-made domain.")],
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Also if it gains nothing, breaks a --max-loss, is registered already, or --hybrid does not win.",
        ),
    ] = False,
    hybrid: HybridOption = False,
    why: WhyOption = None,
    registry: NewRegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Register a trained model folder or a ready-made domain: as the next version of its domain."""
    from router_plugin.plugins.registries import open_registry
    from training.publishing import find_registered, publish, try_folder
    from training.ready_made import find_model, ready_made_domains

    folder = find_model(model)
    store = open_registry(registry)
    same = None if force else find_registered(folder, store, hybrid)
    if not same and folder not in ready_made_domains().values():
        try_folder(folder)
    version = same or publish(folder, store, force, why, hybrid=hybrid)
    if json:
        print_json({**summary(version), "added": same is None})
    elif same:
        say(f"{version.name} has exactly these files already: nothing added (--force adds them again)")
    else:
        say(f"registered as {version.name}")


_TABLES = {
    *("base_metrics", "adapted_metrics", "comparison", "max_loss", "lost_too_much", "extra_test_sets"),
    *("hybrid", "options", "files"),
}


def summary(version: ModelVersion) -> dict[str, object]:
    """A version without what is long."""
    return {
        "name": version.name,
        **version.model_dump(mode="json", exclude={"files", "options"}),
        "size": version.size,
    }


def print_champion(version: ModelVersion, json: bool) -> None:
    """That a version is the champion of its domain now."""
    if json:
        print_json(summary(version))
    else:
        say(f"{version.name} is the champion of {version.domain}; running routers serve it after a reload")

"""``domain-router joint-space``: exports all domains as one SentenceTransformer folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router_plugin.cli.model_options import fields_of, with_fields
from router_plugin.cli.named_values import named_path
from router_plugin.cli.options import ExtraDomainsOption, JsonOption, RegistryOption
from router_plugin.cli.printing import print_json, print_table, say
from router_plugin.settings import Runtime, Settings

EXAMPLE = "Example: domain-router joint-space work/joint-space --registry quickstart/registry"


class ExportSettings(Settings):
    """Settings of an export: every machine gets the same vectors of the same runtime."""

    backend: Runtime = "torch"


@with_fields
def joint_space(
    out: Annotated[Path, typer.Argument(parser=named_path, help="Folder to write.")],
    *,
    top: Annotated[
        int,
        typer.Option(min=1, help="Number of most probable domains that a text is embedded by."),
    ] = 1,
    dims: Annotated[
        int | None, typer.Option(min=1, help="Leading dimensions of each domain's vectors to keep.", show_default="all")
    ] = None,
    extra_domains: ExtraDomainsOption = None,
    base_model: Annotated[
        str | None,
        typer.Option(help="Encoder of the general domain.", show_default="the champions' base model"),
    ] = None,
    settings: Annotated[ExportSettings, fields_of(ExportSettings, "min_confidence", "target_precision", "backend")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Export all domains as one SentenceTransformer folder: its vectors are in the joint space."""
    from router_plugin.joint_space.export import check_target, export_joint_space
    from router_plugin.joint_space.space import JointSpace
    from router_plugin.serving.domains import ServedDomains

    check_target(out, overwrite)
    served = ServedDomains(registry, base_model=base_model, extra_domains=extra_domains or (), settings=settings)
    space = JointSpace(served, top, dims)
    export_joint_space(space, out, overwrite)
    if json:
        summary = {"folder": out, "identifier": space.identifier, "dimension": space.dimension}
        print_json({**summary, **space.record.model_dump(mode="json")})
    else:
        rows = [(each.domain, each.model, each.runtime) for each in space.record.blocks]
        print_table(str(out), ("domain", "model", "runs on"), rows)
        say(f"joint space {space.identifier}: {space.dimension} dimensions, {space.block} for each domain")

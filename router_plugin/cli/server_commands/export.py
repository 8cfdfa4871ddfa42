"""``domain-router export``: configurations with which other routers ask a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router_plugin.cli.errors import CommandGroup
from router_plugin.cli.model_options import fields_of, with_fields
from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import (
    JsonOption,
    PartsOptions,
    SettingsOptions,
    check_settings,
)
from router_plugin.cli.printing import print_json, say
from router_plugin.exports.litellm_options import LitellmOptions
from router_plugin.exports.vsr_options import VsrOptions

VSR = "Example: domain-router export vsr --server http://domain-router:8700 --routes examples/routes.yaml --out vsr"
LITELLM = (
    "Example: domain-router export litellm --server http://domain-router:8700 --routes examples/routes.yaml "
    "--model-ref symptoms=medical-model"
)
_FLAGS = {"model_refs": "--model-ref"}

app = typer.Typer(cls=CommandGroup, help="Write configurations for other routers.", no_args_is_help=True)


@app.command(epilog=VSR)
@with_fields
def vsr(
    context: typer.Context,
    *,
    options: Annotated[VsrOptions, fields_of(VsrOptions, flags=_FLAGS)],
    parts: PartsOptions,
    out: Annotated[Path, typer.Option(parser=named_path, metavar=PATH, help="Folder to write.")] = Path("vsr"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
    settings: SettingsOptions,
    json: JsonOption = False,
) -> None:
    """Write a configuration for vLLM Semantic Router (VSR), which asks a server of the same routes and settings."""
    from router_plugin.exports.config_file import check_target
    from router_plugin.exports.vsr import write_vsr

    check_settings(context)
    check_target(out, "vsr", overwrite)
    with parts.router(settings) as router:
        files = write_vsr(router.state, options, out, overwrite)
        names = [route.name for route in router.routes]
    if json:
        print_json({"files": files, "routes": names, "signals": options.kind})
        return
    for path in files:
        say(f"wrote {path}")
    if options.kind == "classifiers":
        say(f"start the server with --listen classify-routes=:{options.routes_port}")


@app.command(epilog=LITELLM)
@with_fields
def litellm(
    context: typer.Context,
    *,
    options: Annotated[LitellmOptions, fields_of(LitellmOptions, flags=_FLAGS)],
    parts: PartsOptions,
    out: Annotated[Path, typer.Option(parser=named_path, metavar=PATH, help="Folder to write.")] = Path("litellm"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
    settings: SettingsOptions,
    json: JsonOption = False,
) -> None:
    """Write a configuration for LiteLLM's proxy, which asks a server of the same routes and settings."""
    from router_plugin.exports.config_file import check_target
    from router_plugin.exports.litellm import COMMAND, write_litellm

    check_settings(context)
    check_target(out, COMMAND, overwrite)
    with parts.router(settings) as router:
        files = write_litellm(router.state, options, out, overwrite)
        names = [route.name for route in router.routes]
    if json:
        print_json({"files": files, "routes": names, "tiers": options.tiers})
        return
    for path in files:
        say(f"wrote {path}")

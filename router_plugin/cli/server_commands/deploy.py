"""``domain-router deploy``: serves a router on a Ray cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from router_plugin.cli.model_options import fields_of, with_fields
from router_plugin.cli.opening import check_installed
from router_plugin.cli.options import (
    JsonOption,
    PartsOptions,
    SettingsOptions,
    check_settings,
)
from router_plugin.cli.printing import print_json, say
from router_plugin.deployment.deployed import SERVED_WITH, Deployed
from router_plugin.deployment.options import RayOptions
from router_plugin.server.options import ServerOptions

EXAMPLE = "Example: domain-router deploy --ray local --registry quickstart/registry --routes examples/routes.yaml"


@with_fields
def deploy(
    context: typer.Context,
    *,
    ray: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Cluster: the address of its head, auto for that of this machine, or local for a Ray that is started "
            "here and ends with this command.",
        ),
    ],
    parts: PartsOptions,
    scale: Annotated[RayOptions, fields_of(RayOptions)],
    options: Annotated[ServerOptions, fields_of(ServerOptions, *SERVED_WITH)],
    settings: SettingsOptions,
    json: JsonOption = False,
) -> None:
    """Serve a router on Ray Serve: requests and encoders in replicas, which are added and removed with the load."""
    check_settings(context)
    check_installed("ray", "ray")
    check_installed("server", "fastapi", "orjson", "prometheus_client", "uvicorn")
    from router_plugin.deployment.running import deploy as run

    anywhere = {**dict(parts), "registry": _from_any_folder(parts.registry)}
    deployed = Deployed(**anywhere, settings=settings, server=options, ray=scale)
    run(
        deployed,
        ray,
        ready=lambda url: print_json({"url": url}) if json else say(f"serving on {url}"),
        heard=lambda line: typer.echo(line, err=True),
    )


def _from_any_folder(registry: str | None) -> str:
    """The registry that this machine would take, by a name that does not depend on its folder or environment."""
    from registry.paths import local_path
    from registry.storage.location import is_folder, registry_url

    url = registry_url(registry)
    return str(local_path(url).absolute()) if is_folder(url) else url

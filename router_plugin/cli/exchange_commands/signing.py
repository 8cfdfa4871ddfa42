"""``domain-router models sign`` and ``verify-signature``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import JsonOption, RegistryOption
from router_plugin.cli.printing import print_json, say
from router_plugin.cli.registry_commands.models import Reference

SIGN_EXAMPLE = "Example: domain-router models sign medical@3 --key signing.pem"
VERIFY_EXAMPLE = "Example: domain-router models verify-signature medical@3 --key signing.pub.pem"


def sign(
    reference: Reference,
    key: Annotated[
        Path,
        typer.Option(help="Private key of P-256, P-384 or P-521 in PEM.", parser=named_path, metavar=PATH),
    ],
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Sign a version's record and files: in place of an earlier signature."""
    from router_plugin.plugins.registries import open_registry

    store = open_registry(registry)
    version = store.get(reference)
    bundle = store.signatures.sign(version, key)
    if json:
        print_json({"name": version.name, "bundle": bundle})
    else:
        say(f"{version.name} is signed")


def verify_signature(
    reference: Reference,
    key: Annotated[
        Path | None,
        typer.Option(
            help="Public key in PEM.",
            parser=named_path,
            metavar=PATH,
            show_default="those that $DOMAIN_ROUTER_TRUSTED_KEYS names",
        ),
    ] = None,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Check the signature of a version, and every file."""
    from router_plugin.plugins.registries import open_registry

    store = open_registry(registry)
    version = store.get(reference)
    signer = store.signatures.verify(version, [key] if key else None)
    if json:
        print_json({"name": version.name, "key": str(signer)})
    else:
        say(f"{version.name} is signed with {signer}, and all files have their recorded digest")

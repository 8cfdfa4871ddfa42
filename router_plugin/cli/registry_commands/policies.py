"""``domain-router models policy`` and ``models keys``: what versions are promoted by, and who may move aliases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router_plugin.cli.errors import CommandGroup
from router_plugin.cli.named_values import named_path
from router_plugin.cli.options import JsonOption, NewRegistryOption, RegistryOption
from router_plugin.cli.printing import print_json, print_table, say
from router_plugin.cli.registry_commands.promotion import KeyFileOption, opened

app = typer.Typer(
    cls=CommandGroup, help="Set, show and remove rules that promotions must hold to.", no_args_is_help=True
)
keys_app = typer.Typer(
    cls=CommandGroup, help="Manage keys that protected aliases are moved with.", no_args_is_help=True
)

DomainOption = Annotated[
    str | None, typer.Option(help="Of this domain alone.", show_default="of the whole registry", metavar="DOMAIN")
]
NameArgument = Annotated[str, typer.Argument(help="Name of the key.")]


@app.command("set", epilog="Example: domain-router models policy set policy.yaml --domain medical")
def set_policy(
    file: Annotated[Path, typer.Argument(parser=named_path, metavar="FILE", help="YAML file of rules.")],
    domain: DomainOption = None,
    key_file: KeyFileOption = None,
    registry: NewRegistryOption = None,
) -> None:
    """Set the policy of a domain, or of every domain that has none of its own."""
    from registry.policies.policy import read_policy

    policy = read_policy(file)
    store = opened(registry, key_file)
    store.policies.set(policy, domain)
    say(f"{domain or 'every domain without a policy of its own'} is promoted by {file} from now on")


@app.command("show", epilog="Example: domain-router models policy show --domain medical")
def show_policy(domain: DomainOption = None, registry: RegistryOption = None, json: JsonOption = False) -> None:
    """Show every policy; with a domain, the one that it is promoted by."""
    from registry.names import check_domain
    from registry.policies.policy import policy_text
    from router_plugin.plugins.registries import open_registry

    store = open_registry(registry)
    found = {each.domain: each for each in store.policies.all()}
    if domain is not None:
        check_domain(domain)
        scope = domain if domain in found else None
        found = {scope: found[scope]} if scope in found else {}
    if json:
        print_json([{**each._asdict(), "policy": each.policy.model_dump(mode="json")} for each in found.values()])
        return
    if not found:
        say(f"no policy in {store.url}: every version may be promoted")
    for each in found.values():
        say(f"# of {each.domain or 'the registry'}, set by {each.author} at {each.set_at:%Y-%m-%d %H:%M} UTC")
        for line in policy_text(each.policy).splitlines():
            say(line)


@app.command("remove", epilog="Example: domain-router models policy remove --domain medical")
def remove_policy(domain: DomainOption = None, key_file: KeyFileOption = None, registry: RegistryOption = None) -> None:
    """Remove the policy of a domain, or of the whole registry."""
    store = opened(registry, key_file)
    removed = store.policies.remove(domain)
    say(f"{'removed' if removed else 'there is no'} policy of {domain or 'the registry'}")


@keys_app.command(epilog="Example: domain-router models keys add release")
def add(name: NameArgument, registry: NewRegistryOption = None, json: JsonOption = False) -> None:
    """Make a key and print it. It cannot be printed again: the registry holds its digest only."""
    from router_plugin.plugins.registries import open_registry

    secret = open_registry(registry).policies.add_key(name)
    if json:
        print_json({"name": name, "key": secret})
        return
    typer.echo(f"key {name}, which is shown only now:", err=True)
    typer.echo(secret)


@keys_app.command("list", epilog="Example: domain-router models keys list")
def list_keys(registry: RegistryOption = None, json: JsonOption = False) -> None:
    """List the keys, without the keys themselves."""
    from router_plugin.plugins.registries import open_registry

    store = open_registry(registry)
    found = store.policies.keys()
    if json:
        print_json([{"name": name, "made": made} for name, made in found.items()])
        return
    print_table(store.url, ("key", "made (UTC)"), [(name, f"{made:%Y-%m-%d %H:%M}") for name, made in found.items()])


@keys_app.command(epilog="Example: domain-router models keys remove release")
def remove(name: NameArgument, registry: RegistryOption = None) -> None:
    """Remove a key that no policy names."""
    from router_plugin.plugins.registries import open_registry

    open_registry(registry).policies.remove_key(name)
    say(f"{name} was removed")

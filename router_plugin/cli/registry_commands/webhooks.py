"""``domain-router models webhooks``: URLs that are notified of changes in the registry, and the log of deliveries."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from router_plugin.cli.errors import CommandGroup
from router_plugin.cli.options import JsonOption, NewRegistryOption, RegistryOption
from router_plugin.cli.printing import print_json, print_line, print_table, say

if TYPE_CHECKING:
    from registry import Registry
    from registry.webhooks.sending import Sent
    from registry.webhooks.webhooks import Webhook

app = typer.Typer(cls=CommandGroup, help="Tell URLs of changes in the registry.", no_args_is_help=True)

EVENTS = ("version-published", "alias-moved", "vector-space-changed")
ROUND_SECONDS = 1.0

Name = Annotated[str, typer.Argument(help="Name of the webhook.")]


@app.command(
    epilog="Example: domain-router models webhooks add index https://example.com/hook --secret-variable HOOK_SECRET"
)
def add(
    name: Name,
    url: Annotated[str, typer.Argument(help="Where events are posted to, by http or https.")],
    secret_variable: Annotated[
        str, typer.Option(help="Environment variable with the secret, set wherever events are sent from.")
    ],
    event: Annotated[
        list[str] | None,
        typer.Option(help=f"What to tell: {', '.join(EVENTS)}. Repeatable.", show_default="all"),
    ] = None,
    registry: NewRegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Tell a URL of events from now on. The secret itself is not stored."""
    store = _opened(registry)
    store.create()
    added = store.webhooks.add(name, url, secret_variable, event or EVENTS)
    if json:
        print_json(added.model_dump(mode="json"))
    else:
        say(f"{added.url} is told of {', '.join(added.events)}; try it: domain-router models webhooks test {name}")


@app.command("list", epilog="Example: domain-router models webhooks list")
def list_webhooks(registry: RegistryOption = None, json: JsonOption = False) -> None:
    """List the webhooks."""
    every: list[Webhook] = _opened(registry).webhooks.all()
    if json:
        print_json([each.model_dump(mode="json") for each in every])
        return
    rows = [(each.name, each.url, ", ".join(each.events), each.secret_variable) for each in every]
    print_table("webhooks", ("name", "url", "events", "secret in"), rows)


@app.command(epilog="Example: domain-router models webhooks remove index")
def remove(name: Name, registry: RegistryOption = None, json: JsonOption = False) -> None:
    """Tell a webhook nothing any more. The log of its deliveries stays."""
    _opened(registry).webhooks.remove(name)
    if json:
        print_json({"removed": name})
    else:
        say(f"{name} is told nothing any more")


@app.command(epilog="Example: domain-router models webhooks test index")
def test(name: Name, registry: RegistryOption = None, json: JsonOption = False) -> None:
    """Send a test event now; exit status 1 if it is not taken."""
    delivery = _opened(registry).webhooks.test(name)
    outcome = delivery.outcome or "not sent: the variable of its secret is not set here"
    if json:
        print_json({**delivery.model_dump(mode="json"), "outcome": outcome})
    else:
        say(f"{name}: {outcome}")
    if delivery.delivered is None:
        raise typer.Exit(1)


@app.command(epilog="Example: domain-router models webhooks deliveries index")
def deliveries(
    name: Annotated[str | None, typer.Argument(help="Only of this webhook.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of deliveries.")] = 20,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Show the log of deliveries, newest first."""
    found = _opened(registry).webhooks.deliveries(name, limit)
    if json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    rows = [
        (
            f"{each.made:%Y-%m-%d %H:%M:%S}",
            each.webhook,
            each.event["event"],
            "delivered" if each.delivered else f"next {each.due:%H:%M:%S}" if each.due else "given up",
            each.attempts,
            each.outcome or "",
        )
        for each in found
    ]
    print_table("deliveries", ("made (UTC)", "webhook", "event", "state", "attempts", "outcome"), rows)


@app.command(epilog="Example: domain-router models webhooks deliver --watch")
def deliver(
    watch: Annotated[bool, typer.Option("--watch", help="Go on until the process is ended.")] = False,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Send what is due: what a change could not send at once, and retries."""
    store = _opened(registry)
    sent = store.webhooks.deliver()
    _print_sent(sent, json, quiet=watch)
    if not watch:
        return
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    _deliver_until(ended, store, json, sent.without_secret)


def _deliver_until(ended: threading.Event, store: Registry, json: bool, told: tuple[str, ...]) -> None:
    """Send what becomes due, at once where a change enqueued it. A database that is away is waited for."""
    from registry import RegistryError

    with store.watch() as watcher:
        while not ended.is_set():
            try:
                watcher.wait(ROUND_SECONDS)
                sent = store.webhooks.deliver()
            except RegistryError as error:
                typer.echo(f"trying again: {error}", err=True)
                ended.wait(ROUND_SECONDS)
                continue
            if sent.delivered or sent.failed or sent.without_secret != told:
                _print_sent(sent, json, quiet=False)
            told = sent.without_secret


def _print_sent(sent: Sent, json: bool, quiet: bool) -> None:
    if json:
        print_line(sent._asdict())
    elif not quiet or any(sent):
        say(f"{sent.delivered} delivered, {sent.failed} failed")
        for variable in sent.without_secret:
            say(f"{variable} is not set here: what is signed with it was not sent")


def _opened(registry: str | None) -> Registry:
    from router_plugin.plugins.registries import open_registry

    return open_registry(registry)

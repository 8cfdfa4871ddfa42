"""The command line ``domain-router``."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from registry import DomainRouterError
from router_plugin.cli.errors import CommandGroup
from router_plugin.cli.exchange_commands import exchange, hub, import_model, signing
from router_plugin.cli.index_commands import index, reindex
from router_plugin.cli.printing import quiet_libraries
from router_plugin.cli.registry_commands import deleting as deleting
from router_plugin.cli.registry_commands import history, models, policies, promotion, webhooks
from router_plugin.cli.registry_commands import listing as listing
from router_plugin.cli.server_commands import canary, deploy, export, keys, mcp, serve
from router_plugin.cli.serving_commands import classifier, compare, joint_space, plugins, route, routes
from router_plugin.cli.setup_commands import doctor, init
from router_plugin.cli.terminal.completion import ASKED, without_at_sign
from router_plugin.cli.terminal.style import toned, visible
from router_plugin.cli.training_commands import (
    assess,
    encode,
    prepare,
    quickstart,
    synthesize,
    train,
    train_many,
    variants,
)
from router_plugin.plugins.manager import plugins as load_plugins

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EPIPE, errno.EIO, errno.EBADF)
"""What the system says of a full disk, or of a standard output that is closed."""


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"domain-router {version('domain-router')}")
        raise typer.Exit


app = typer.Typer(
    cls=CommandGroup,
    name="domain-router",
    help="Train, register and route with one embedding model per domain.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options of the command line itself."""


app.command("prepare", epilog=prepare.EXAMPLE, cls=prepare.PrepareCommand)(prepare.prepare)
app.command("assess", epilog=assess.EXAMPLE)(assess.assess)
app.command("synthesize", epilog=synthesize.EXAMPLE)(synthesize.synthesize)
app.command("train", epilog=train.EXAMPLE)(train.train)
app.command("train-many", epilog=train_many.EXAMPLE)(train_many.train_many)
app.command("encode", epilog=encode.EXAMPLE)(encode.encode)
app.command("variants", epilog=variants.EXAMPLE)(variants.variants)
models.app.command("export", epilog=exchange.EXPORT_EXAMPLE)(exchange.export_model)
models.app.command("import", epilog=exchange.IMPORT_EXAMPLE)(exchange.import_model_file)
models.app.command("bom", epilog=exchange.BOM_EXAMPLE)(exchange.bom)
models.app.command("push", epilog=hub.PUSH_EXAMPLE)(hub.push)
models.app.command("pull", epilog=hub.PULL_EXAMPLE)(hub.pull)
models.app.command("import-model", epilog=import_model.EXAMPLE)(import_model.import_model)
models.app.command("sign", epilog=signing.SIGN_EXAMPLE)(signing.sign)
models.app.command("verify-signature", epilog=signing.VERIFY_EXAMPLE)(signing.verify_signature)
models.app.add_typer(webhooks.app, name="webhooks")
app.add_typer(models.app, name="models")
models.app.add_typer(history.app)
models.app.add_typer(promotion.app)
models.app.add_typer(policies.app, name="policy")
models.app.add_typer(policies.keys_app, name="keys")
app.command("route", epilog=route.EXAMPLE)(route.route)
app.add_typer(routes.app, name="routes")
app.command("serve", epilog=serve.EXAMPLE)(serve.serve)
app.command("deploy", epilog=deploy.EXAMPLE)(deploy.deploy)
app.command("mcp", epilog=mcp.EXAMPLE)(mcp.mcp)
app.add_typer(keys.app, name="keys")
app.add_typer(canary.app, name="canary")
app.add_typer(export.app, name="export")
app.command("compare", epilog=compare.EXAMPLE)(compare.compare)
app.command("joint-space", epilog=joint_space.EXAMPLE)(joint_space.joint_space)
app.add_typer(index.app, name="index")
app.add_typer(reindex.app, name="reindex")
app.add_typer(classifier.app, name="classifier")
app.command("plugins", epilog=plugins.EXAMPLE)(plugins.plugins)
app.command("doctor", epilog=doctor.EXAMPLE)(doctor.doctor)
app.command("init", epilog=init.EXAMPLE)(init.init)
app.command("quickstart", epilog=quickstart.EXAMPLE)(quickstart.quickstart)


def main() -> None:
    """Run the command line; a user's mistake ends with one line on standard error and exit status 2."""
    quiet_libraries()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an argument may hold bytes that are no text
    without_at_sign()
    level = logging.CRITICAL if ASKED in os.environ else logging.WARNING
    logging.basicConfig(level=level, format=toned("%(message)s", "yellow", sys.stderr))
    try:
        load_plugins().notify("register_commands", app=app)
        app()
    except SystemExit:
        _end_if_broken()
        raise
    except DomainRouterError as error:
        _end(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            raise
        _end(_cannot_be_written(error))


def _end_if_broken() -> None:
    """End with an error if what was printed cannot be written."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _end(_cannot_be_written(error))


def _cannot_be_written(error: OSError) -> str:
    return "" if error.errno == errno.EPIPE else f"the output cannot be written: {error.strerror}"


def _end(message: str) -> NoReturn:
    """End like a user's mistake, with one line on standard error; whatever cannot be written is dropped."""
    if message and sys.stderr is not None:
        with suppress(OSError):
            print(f"{toned('error:', 'red', sys.stderr)} {visible(message)}", file=sys.stderr)  # noqa: T201
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # where Python writes the rest when it ends
    sys.exit(2)

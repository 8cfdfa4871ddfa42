"""Errors of the library name parameters; the command line puts the flags of the running command in their place."""

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from registry import DomainRouterError
from router_plugin.cli.errors import CommandError, CommandGroup, with_flags


@pytest.fixture
def app():
    """A command line of two commands, one of them in a group, that end with the message they are given."""
    app, group = typer.Typer(cls=CommandGroup), typer.Typer(cls=CommandGroup)

    @app.command()
    def train(
        message: str,
        mixed: Annotated[list[str] | None, typer.Option("--mix", "-m")] = None,
        max_loss: float = 0.0,
        check: bool = False,
    ) -> None:
        raise typer.BadParameter(message) if check else DomainRouterError(message)

    @group.command()
    def add(message: str, force: Annotated[bool, typer.Option("--force")] = False) -> None:
        raise DomainRouterError(message)

    app.add_typer(group, name="models")
    return app


def error_of(app, *arguments):
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, CommandError)
    return str(done.exception)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("`max_loss` 2: out of range", "--max-loss 2: out of range"),
        ("`mixed` and `max_loss` exclude each other", "--mix and --max-loss exclude each other"),
        ("`message` is empty", "message is empty"),
        ("`force` is of another command", "`force` is of another command"),
        ("run `pip install x`; force, 'mixed' and mixed", "run `pip install x`; force, 'mixed' and mixed"),
        ("no parameter", "no parameter"),
    ],
)
def test_a_parameter_in_backticks_becomes_its_flag(app, message, said):
    assert error_of(app, "train", message) == said


def test_the_flags_are_those_of_the_command_that_ran(app):
    assert error_of(app, "models", "add", "`force` or `mixed`") == "--force or `mixed`"


def test_a_usage_error_names_flags_too(app):
    done = CliRunner().invoke(app, ["train", "--check", "`mixed` cannot be used without `max_loss`"])
    assert done.exit_code == 2 and "--mix cannot be used without --max-loss" in " ".join(done.output.split())


def test_a_message_without_a_command_stays_as_it_is():
    assert with_flags("`mixed` is empty", ()) == "`mixed` is empty"


def test_a_mistake_that_the_library_finds_is_one_line_about_the_flag(cli, tmp_path, pairs_file):
    arguments = ("prepare", pairs_file, "--out", tmp_path / "out", "--split", "test", "--hold-out", "a=b", "--json")
    status, out, err = cli(*arguments)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("error: --hold-out cannot be used with --split test")

"""Options that are derived from models, and files of options."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BeforeValidator, Field
from typer.testing import CliRunner

from registry.shared.options import Options, Shown, numbers_by_name
from router_plugin.cli.errors import CommandGroup
from router_plugin.cli.model_options import Fields, fields_of, with_fields


class Cup(Options):
    size: Annotated[int, Field(ge=1, description="Size; see `warmth`.")] = 3
    warmth: Annotated[float, Field(ge=0, le=1, description="How warm.")] = 0.5
    lid: Annotated[bool, Field(description="With a lid.")] = False
    colour: Annotated[Literal["red", "blue"], Field(description="Colour.")] = "red"
    weight: Annotated[float | None, Field(gt=0, description="Weight."), Shown(default="what it weighs")] = None
    marks: Annotated[tuple[int, ...], Field(description="Marks.")] = ()
    shares: Annotated[
        dict[str, Annotated[float, Field(le=1)]],
        Field(description="Shares."),
        BeforeValidator(numbers_by_name),
        Shown(default="even", metavar="NAME=SHARE"),
    ] = Field(default_factory=dict)


class Plain(Options):
    size: Annotated[int, Field(ge=1, description="Size.")] = 1
    handle: Annotated[float, Field(ge=0, description="Handle.")] = 0.1


class Fancy(Options):
    size: Annotated[int, Field(ge=1, description="Size.")] = 2


def run(app, *arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def app():
    """Commands that print the model that they were given."""
    app = typer.Typer(cls=CommandGroup, rich_markup_mode=None)

    @app.command()
    @with_fields
    def fill(
        drink: str,
        out: Annotated[Path, typer.Option()],
        *,
        cup: Annotated[Cup, fields_of(Cup, flags={"marks": "--mark"})],
        times: int = 1,
    ) -> None:
        typer.echo(f"{drink} {out} {times} {cup!r}")

    both = Fields({"plain": Plain, "fancy": Fancy}, lambda others, values: KINDS[others["kind"]](**values))

    @app.command()
    @with_fields
    def make(context: typer.Context, *, kind: str = "plain", made: Annotated[Options, both]) -> None:
        typer.echo(f"{context.params['kind']} {made!r}")

    return app


KINDS = {"plain": Plain, "fancy": Fancy}


def test_an_option_has_its_field_s_type_range_default_and_description(app):
    shown = " ".join(run(app, "fill", "--help").output.split())
    for part in (
        "--size <int> Size; see --warmth. [default: 3]",
        "--warmth <0 to 1> How warm. [default: 0.5]",
        "--lid With a lid.",
        "--colour <red|blue> Colour. [default: red]",
        "--weight <float> Weight. [default: (what it weighs)]",
        "--mark <list[int]> Marks. Repeatable.",
        "--shares NAME=SHARE Shares. Repeatable. [default: (even)]",
    ):
        assert part in shown


def test_the_command_gets_the_model(app):
    options = ("--size", 2, "--lid", "--mark", 1, "--mark", 2)
    done = run(app, "fill", "tea", "--out", "there", *options)
    assert done.output.strip() == f"tea there 1 {Cup(size=2, lid=True, marks=(1, 2))!r}"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--mark", "x", "x: expected a whole number"),
        ("--size", 0, "0: expected a whole number of at least 1"),
        ("--warmth", "hot", "hot: expected a number from 0 to 1"),
        ("--colour", "pink", "pink: expected red or blue"),
        ("--weight", 0, "0: expected a number greater than 0"),
    ],
)
def test_a_value_out_of_range_is_refused_in_the_words_of_the_model(app, option, value, said):
    done = run(app, "fill", "tea", "--out", "there", option, value)
    assert done.exit_code == 2 and f"Invalid value for '{option}': {said}" in " ".join(done.output.split())


def test_an_option_of_several_models_shows_what_is_each_one_s(app):
    shown = " ".join(run(app, "make", "--help").output.split())
    assert "--size <int> Size. [default: (plain 1, fancy 2)]" in shown
    assert "--handle <float> plain: Handle. [default: (0.1)]" in shown
    assert run(app, "make", "--kind", "fancy").output.strip() == f"fancy {Fancy()!r}"
    assert run(app, "make", "--handle", 3).output.strip() == f"plain {Plain(handle=3)!r}"


CUPS = st.builds(
    Cup,
    size=st.integers(1, 10**9),
    warmth=st.floats(0, 1),
    lid=st.booleans(),
    colour=st.sampled_from(["red", "blue"]),
    weight=st.none() | st.floats(1e-300, 1e300),
    marks=st.lists(st.integers(-5, 5), max_size=3).map(tuple),
    shares=st.dictionaries(st.sampled_from("abc"), st.floats(0, 1)),
)


@settings(max_examples=30)
@given(cup=CUPS, drink=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1), times=st.integers(0, 9))
def test_a_printed_file_gives_the_same_run(app, tmp_path_factory, cup, drink, times):
    folder = tmp_path_factory.mktemp("config")
    given = ("--size", cup.size, "--warmth", cup.warmth, "--colour", cup.colour, *(["--lid"] if cup.lid else []))
    given += tuple(f"--shares={name}={share}" for name, share in cup.shares.items())
    given += tuple(f"--mark={mark}" for mark in cup.marks) + (() if cup.weight is None else ("--weight", cup.weight))
    command = ("fill", "--out", "x", "--times", times, *given, "--", drink)
    printed = run(app, command[0], "--print-config", *command[1:])
    assert printed.exit_code == 0, printed.output
    (folder / "a.yaml").write_text(printed.output, encoding="utf-8")
    again = run(app, "fill", "--config", folder / "a.yaml")
    assert again.output == run(app, *command).output
    assert run(app, "fill", "--config", folder / "a.yaml", "--print-config").output == printed.output


def test_a_printed_file_has_every_option_that_the_chosen_model_has(app):
    assert yaml.safe_load(run(app, "make", "--print-config").output) == {"kind": "plain", "size": 1, "handle": 0.1}
    assert yaml.safe_load(run(app, "make", "--kind", "fancy", "--print-config").output) == {"kind": "fancy", "size": 2}


def test_flags_win_over_the_file_and_null_is_not_given(app, tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("drink: tea\nout: there\nsize: 5\nweight: null\nmark: [1, 2]\nshares: {a: 0.5}\n")
    done = run(app, "fill", "--config", file, "--size", 7, "--mark", 3, "milk")
    assert done.output.strip() == f"milk there 1 {Cup(size=7, marks=(3,), shares={'a': 0.5})!r}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drink: tea\nsise: 3\n", "line 2: unknown option 'sise': expected colour, drink, lid"),
        ("drink: tea\nmarks: [1]\n", "line 2: unknown option 'marks'"),
        ("config: a.yaml\n", "line 1: unknown option 'config'"),
        ("drink: tea\n\nsize: 0\n", "line 3: size 0: expected a whole number of at least 1"),
        ("size: '3'\n", "line 1: size '3': expected a whole number of at least 1"),
        ("size: true\n", "line 1: size True: expected a whole number of at least 1"),
        ("warmth: .nan\n", "line 1: warmth nan: expected a number from 0 to 1"),
        ("lid: 1\n", "line 1: lid 1: expected true or false"),
        ("times: 1.5\n", "line 1: times 1.5: expected a whole number"),
        ("out: 3\n", "line 1: out 3: expected a path"),
        ("drink: [tea]\n", "line 1: drink ['tea']: expected text"),
        ("mark: 1\n", "line 1: mark 1: expected a list of values, each a whole number"),
        ("drink: no\n", "line 1: drink False: expected text: YAML reads 'no' as false: put it in quotes"),
        ("drink: 42\n", "line 1: drink 42: expected text: YAML reads '42' as the number 42: put it in quotes"),
        ("drink: 2024-01-31\n", "YAML reads '2024-01-31' as the date 2024-01-31: put it in quotes"),
        ("drink: with: milk\n", "line 1: mapping values are not allowed here: put a text with ': ' in quotes"),
        ("drink: tea #5\n", "line 1: YAML reads 'tea' and takes '#5' for a comment: put the whole text in quotes"),
        ("out: 3\n", "line 1: out 3: expected a path: YAML reads '3' as the number 3: put it in quotes"),
        ("size: 010\n", "line 1: YAML reads '010' as the number 8: write the number so, or the text in quotes"),
        ("times: 1:30\n", "line 1: YAML reads '1:30' as the number 90: write the number so"),
        ("drink: a\x07b\n", "line 1: the character U+0007 is not allowed"),
        ("shares: [a=2]\n", "line 1: shares ['a=2']: expected values by name, each a number of at most 1"),
        ("shares: [a=b]\n", "line 1: shares ['a=b']: expected values by name, each a number of at most 1"),
        ("shares: [a]\n", "line 1: shares ['a']: expected NAME=NUMBER"),
        ("shares: [a=1, a=0]\n", "line 1: shares ['a=1', 'a=0']: duplicate name 'a'"),
        ("size: 1\nsize: 2\n", "line 2: "),
        ("- size\n", "line 1: expected options, like 'name: value'"),
        ("", "Missing"),
    ],
)
def test_a_mistake_in_a_file_is_reported_with_its_line(app, tmp_path, text, message):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    done = run(app, "fill", "--config", file)
    said = f"{done.output} {done.exception}"
    assert done.exit_code != 0 and message in " ".join(said.split()) and ("Missing" in message or str(file) in said)

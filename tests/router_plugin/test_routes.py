"""Routes files: what a good one gives, and that every mistake names file, line and what was expected."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from router_plugin import Route, RoutesError, load_routes
from router_plugin.routes import check_routes
from tests.conftest import EXAMPLES

GOOD = "routes:\n  - name: a\n    utterances: [x]\n"


def refused(tmp_path, text):
    """The message with which a file of this text is refused."""
    path = tmp_path / "routes.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RoutesError) as error:
        load_routes(path)
    assert str(path) in str(error.value)
    return str(error.value).removeprefix(str(path))


def test_a_good_file_gives_its_routes_in_order(tmp_path):
    path = tmp_path / "routes.yaml"
    path.write_text(
        "# comment\nroutes:\n  - name: rent\n    domain: legal\n    threshold: 0.4\n    description: Renting.\n"
        "    metadata: {owner: me, level: 2}\n    utterances:\n      - deposit kept\n      - Küche kaputt\n"
        "  - name: human\n    utterances: [call me]\n",
        encoding="utf-8",
    )
    assert load_routes(path) == [
        Route(
            name="rent",
            domain="legal",
            threshold=0.4,
            description="Renting.",
            metadata={"owner": "me", "level": 2},
            utterances=("deposit kept", "Küche kaputt"),
        ),
        Route(name="human", utterances=("call me",)),
    ]


@pytest.mark.parametrize("name", ["routes.yaml", "legal_routes.yaml"])
def test_the_example_files_are_good(name):
    assert len(load_routes(EXAMPLES / name)) >= 4


@pytest.mark.parametrize("text", ["\ufeff" + GOOD, GOOD.replace("\n", "\r\n")], ids=["byte-order mark", "CRLF"])
def test_files_of_other_editors_are_read(tmp_path, text):
    path = tmp_path / "routes.yaml"
    path.write_bytes(text.encode())
    assert [route.name for route in load_routes(path)] == ["a"]


def test_the_general_domain_may_have_routes(tmp_path):
    path = tmp_path / "routes.yaml"
    path.write_text(GOOD + "    domain: general\n", encoding="utf-8")
    assert load_routes(path)[0].domain == "general"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("[legal, general]", ("legal", "general")),
        ("[legal]", ("legal",)),
        ("[legal, legal]", ("legal",)),
        ("legal", ("legal",)),
        ("null", ()),
    ],
)
def test_a_route_may_be_of_several_domains(tmp_path, written, read):
    path = tmp_path / "routes.yaml"
    path.write_text(f"{GOOD}    domain: {written}\n", encoding="utf-8")
    (route,) = load_routes(path)
    assert route.domains == read
    assert Route.model_validate_json(route.model_dump_json()) == route


ROUTE = "routes:\n  - name: first\n    utterances: [x]\n  - name: second\n"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (ROUTE + "    utterances: [y]\n    treshold: 0.3\n", 6, ("treshold", "did you mean 'threshold'")),
        (ROUTE + "    utterences: [y]\n", 5, ("utterences", "did you mean 'utterances'")),
        ("routs:\n  - name: a\n", 1, ("routs", "did you mean 'routes'")),
        (GOOD + "encoder: minilm\n", 4, ("encoder", "unknown key", "routes")),
        ("routes:\n  - utterances: [x]\n", 2, ("name", "required")),
        ("routes:\n  - name: a\n", 2, ("utterances", "required")),
        ("routes:\n  - name: a\n    utterances: []\n", 3, ("utterances", "expected at least one")),
        ("routes:\n  - name: a\n    utterances:\n      - x\n      - '  '\n", 5, ("utterances.1",)),
        ("routes:\n  - name: ' '\n    utterances: [x]\n", 2, ("name",)),
        ("routes:\n  - name: a\n    utterances:\n      - x\n      - 5\n", 5, ("utterances.1", "string")),
        ("routes:\n  - name: 5\n    utterances: [x]\n", 2, ("name", "string")),
        ("routes:\n  - name: a\n    utterances: hello\n", 3, ("utterances",)),
        ("routes:\n  - name: a\n    name: b\n    utterances: [x]\n", 3, ("duplicate key 'name'",)),
        (GOOD + "  - name: a\n    utterances: [y]\n", 4, ("duplicate route name 'a'",)),
        (GOOD + "    threshold: 1.5\n", 4, ("threshold", "less than or equal to 1")),
        (GOOD + "    threshold: -2\n", 4, ("threshold", "greater than or equal to -1")),
        (GOOD + "    threshold: .nan\n", 4, ("threshold",)),
        (GOOD + "    threshold: high\n", 4, ("threshold", "number")),
        (GOOD + "    threshold: yes\n", 4, ("threshold", "number")),
        (GOOD + "    domain: Bad Name\n", 4, ("Bad Name", "lower-case")),
        (GOOD + "    domain: ../legal\n", 4, ("../legal", "lower-case")),
        (GOOD + "    domain: 7\n", 4, ("domain", "string")),
        (GOOD + "    domain: [legal, 7]\n", 4, ("domain", "list of strings")),
        (GOOD + "    domain: []\n", 4, ("domain", "list of strings")),
        (GOOD + "    domain: [legal, Bad Name]\n", 4, ("Bad Name", "lower-case")),
        ("routes:\n\t- name: a\n", 2, ("\\t",)),
        ("routes: [a\n  b: c", 2, ("expected",)),
        (GOOD + "---\n" + GOOD, 4, ("another document",)),
        ("routes:\n", 1, ("routes", "list")),
        ("routes: []\n", 1, ("expected at least one",)),
        ("routes:\n  - hello\n", 2, ("routes.0",)),
        ("", 1, ("routes",)),
        ("# nothing yet\n", 1, ("routes",)),
        ("hello", 1, ("routes",)),
        ("? [a]\n: b\n", 1, ("key",)),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, text, line, said):
    message = refused(tmp_path, text)
    assert message.startswith(f", line {line}: ")
    for part in said:
        assert part in message


@pytest.mark.parametrize("text", ["", "hello", "- a", "routes:\n  - hello\n"])
def test_messages_speak_of_mappings_and_not_of_our_classes(tmp_path, text):
    message = refused(tmp_path, text)
    assert "instance of" not in message
    assert "_RoutesFile" not in message


@pytest.mark.parametrize(
    "text", ["routes:\n  - name: a\n    utterances: ['  ']\n", GOOD.replace("name: a", "name: ' '")]
)
def test_a_blank_text_is_called_blank(tmp_path, text):
    assert "blank" in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff\xfe\x00", "UTF-8"), (b"routes:\n  - name: \xe9\n", "UTF-8")],
)
def test_a_file_that_is_not_utf_8_is_refused(tmp_path, content, said):
    assert said in refused(tmp_path, content)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "missing.yaml", tmp_path):
        with pytest.raises(RoutesError, match="cannot be read") as error:
            load_routes(path)
        assert str(path) in str(error.value)


def test_an_alias_bomb_is_refused_at_its_first_alias(tmp_path):
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
    assert ", line 2: aliases are not allowed" in refused(tmp_path, "l0: &l0 [x, x]\n" + levels)


def test_a_text_that_contains_itself_is_refused(tmp_path):
    assert "aliases are not allowed" in refused(tmp_path, "routes: &x [*x]\n")


@pytest.mark.parametrize(
    "tag", ["object/apply:os.system ['touch {}']", "object:os.system {{}}", "name:os.system ''", "module:os ''"]
)
def test_python_tags_are_refused_and_run_nothing(tmp_path, tag):
    touched = tmp_path / "touched"
    message = refused(tmp_path, f"routes:\n  - !!python/{tag.format(touched)}\n")
    assert ", line 2: " in message
    assert not touched.exists()


@pytest.mark.parametrize(
    "text",
    [
        "routes: 2020-99-99\n",
        "routes: 0b_\n",
        "routes: !!int foo\n",
        "routes: !!float foo\n",
        "routes: !!bool foo\n",
        "routes: !!timestamp foo\n",
        "routes: !!map foo\n",
        "routes: !!set foo\n",
        "routes: " + "9" * 5000 + "\n",
        'routes: "\\U00110000"\n',
    ],
    ids=lambda text: text[8:30].strip(),
)
def test_a_value_that_yaml_cannot_make_is_named_with_its_line(tmp_path, text):
    assert refused(tmp_path, text).startswith(", line 1: ")


@pytest.mark.parametrize("text", ["routes:\x00", "routes: \x07\n"], ids=["NUL", "bell"])
def test_control_characters_are_refused(tmp_path, text):
    refused(tmp_path, text)


@pytest.mark.parametrize("text", ["[" * 5000, "{a: " * 5000, "- " * 5000], ids=["lists", "mappings", "blocks"])
def test_text_nested_too_deeply_is_refused(tmp_path, text):
    refused(tmp_path, text)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "routes.yaml"
    with path.open("wb") as file:
        file.truncate(33 << 20)
    with pytest.raises(RoutesError, match="larger than 32 MiB"):
        load_routes(path)


PIECES = [
    *("routes", "name", "utterances", "domain", "threshold", "metadata", "a", "0.5", "é", "true", "null"),
    *(":", ": ", "-", "- ", " ", "\n", "\n  ", "\t", "[", "]", "{", "}", ",", "'", '"', "|", ">", "#", "---", "%", "?"),
    *("&x", "*x", "<<", "=", "~", "\\", "!!int ", "!!map ", "!!python/name:os", "0x_", "1:2", "2020-13-01", "\x00"),
]
YAML_LIKE = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.one_of(st.text(max_size=60), YAML_LIKE, YAML_LIKE.map(GOOD.__add__)))
@example("=")
@example("0x_")
def test_any_text_gives_routes_or_a_routes_error(tmp_path, text):
    path = tmp_path / "routes.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        routes = load_routes(path)
    except RoutesError as error:
        assert str(path) in str(error)
    else:
        assert routes and all(route.name.strip() and route.utterances for route in routes)


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40))
def test_any_bytes_give_routes_or_a_routes_error(tmp_path, content):
    path = tmp_path / "routes.yaml"
    path.write_bytes(content)
    try:
        load_routes(path)
    except RoutesError as error:
        assert str(path) in str(error)


def test_routes_of_several_sources_must_differ_in_name():
    routes = [Route(name="a", utterances=("x",)), Route(name="a", utterances=("y",))]
    with pytest.raises(RoutesError, match="duplicate route name 'a'"):
        check_routes(routes, ["general"])


def test_an_unknown_domain_is_refused_naming_the_known_ones():
    with pytest.raises(RoutesError, match=r"'rent'.*'law'.*general, legal"):
        check_routes([Route(name="rent", domain=("legal", "law"), utterances=("x",))], ["general", "legal"])


@pytest.mark.parametrize("wrong", [{"utterances": ()}, {"name": ""}, {"threshold": 2}, {"domain": "A B"}, {"x": 1}])
def test_a_route_in_python_is_checked_like_one_in_a_file(wrong):
    with pytest.raises(ValidationError):
        Route(**({"name": "a", "utterances": ("x",)} | wrong))

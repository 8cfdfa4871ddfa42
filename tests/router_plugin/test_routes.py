"""Routes files: what a good one gives, and that every mistake names file, line and what was expected."""

import json

import pytest
import yaml
from hypothesis import example, given, settings
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


LIST = "routes:\n  - name: a\n    utterances:\n      - sure\n      - {}\n"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        *((word, word.lower() if word in ("true", "false") else value) for word, value in (
            ("yes", "true"), ("Yes", "true"), ("on", "true"), ("true", "true"), ("no", "false"), ("off", "false"),
        )),
        ("42", "the number 42"),
        ("-7", "the number -7"),
        ("3.14", "the number 3.14"),
        ("1_000", "the number 1000"),
        ("0x1F", "the number 31"),
        (".inf", "the number inf"),
        ("1.0e+3", "the number 1000.0"),
        ("2024-01-31", "the date 2024-01-31"),
        ("~", "null, which is no text"),
        ("null", "null, which is no text"),
        ("Null", "null, which is no text"),
        ("I want: a refund", "a mapping, because of the ':'"),
        ("refund:", "a mapping, because of the ':'"),
        ("{name}", "a mapping"),
        ("[a, b]", "a list"),
        ("- twice", "a list"),
    ],
)  # fmt: skip
def test_a_text_that_yaml_reads_otherwise_is_told_as_it_was_read(tmp_path, written, read):
    said = refused(tmp_path, LIST.format(written))
    assert (
        said
        == f", line 5: routes.0.utterances.1: expected a string: YAML reads {written!r} as {read}: put it in quotes"
    )
    path = tmp_path / "routes.yaml"
    path.write_text(LIST.format(f'"{written}"'), encoding="utf-8")
    assert load_routes(path)[0].utterances == ("sure", written)


@pytest.mark.parametrize(("written", "number"), [("010", 8), ("-0755", -493), ("12:30", 750), ("1:00:00", 3600)])
@pytest.mark.parametrize("place", [LIST, GOOD + "    metadata: {{code: {}}}\n", GOOD + "    threshold: {}\n"])
def test_a_number_in_another_base_is_refused_wherever_it_stands(tmp_path, written, number, place):
    said = refused(tmp_path, place.format(written))
    assert f"YAML reads {written!r} as the number {number}: write the number so, or the text in quotes" in said


@pytest.mark.parametrize("written", ["1e-1", "1E-1", "+1e-1", ".1e0"])
def test_a_number_with_an_exponent_is_a_number_or_a_text_as_is_expected(tmp_path, written):
    path = tmp_path / "routes.yaml"
    path.write_text(f"{LIST.format(written)}    threshold: {written}\n", encoding="utf-8")
    (route,) = load_routes(path)
    assert (route.utterances, route.threshold) == (("sure", written), 0.1)


@pytest.mark.parametrize("written", ["", "# later", "#123 is late"])
def test_an_utterance_that_is_all_comment_is_told(tmp_path, written):
    said = refused(tmp_path, LIST.format(written))
    assert said.startswith(", line 5: routes.0.utterances.1: expected a string: YAML reads null")
    assert (f"as {written!r} is a comment" in said) == bool(written)


@pytest.mark.parametrize(
    ("written", "text", "comment"),
    [
        ("my order #123 is late", "my order", "#123 is late"),
        ("press #️⃣ to go on", "press", "#️⃣ to go on"),
        ("where is # 5", "where is", "# 5"),
        ("what is C #", "what is C", "#"),
        ("late  # from the log", "late", "# from the log"),
    ],
)
def test_a_comment_behind_an_unquoted_utterance_is_refused_with_its_line(tmp_path, written, text, comment):
    said = refused(tmp_path, LIST.format(written))
    assert said.startswith(
        f", line 5: YAML reads {text!r} and takes {comment!r} for a comment: put the whole text in quotes"
    )


def test_a_comment_in_a_text_of_several_lines_and_in_a_list_on_one_line_is_refused(tmp_path):
    assert ", line 6: YAML reads 'my order is' and takes '#5'" in refused(
        tmp_path, LIST.format("my order\n        is #5")
    )
    assert "put a text with ' #' or ': ' in quotes" in refused(tmp_path, GOOD.replace("[x]", "[my order #5]"))


@pytest.mark.parametrize("key", ["name", "description"])
def test_a_name_that_goes_on_behind_a_number_sign_is_refused_and_a_remark_is_not(tmp_path, key):
    text = GOOD if key == "name" else f"{GOOD}    description: a\n"
    said = refused(tmp_path, text.replace(f"{key}: a\n", f"{key}: ticket #5\n"))
    assert "YAML reads 'ticket' and takes '#5' for a comment" in said
    path = tmp_path / "routes.yaml"
    path.write_text(text.replace(f"{key}: a\n", f"{key}: a  # a remark\n"), encoding="utf-8")
    assert load_routes(path)[0].name == "a"


@pytest.mark.parametrize("written", ["'my order #123'", '"my order #123"', "|\n        my order #123", "a#b", "C#"])
def test_a_number_sign_that_is_part_of_the_text_stays(tmp_path, written):
    path = tmp_path / "routes.yaml"
    path.write_text(LIST.format(written), encoding="utf-8")
    assert "#" in load_routes(path)[0].utterances[1]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("&ampersand text", "begins with '&' in quotes"),
        ("*star", "begins with '*' in quotes"),
        ("!important", "begins with '!'"),
        ("@home", "begins with it in quotes"),
        ("`code`", "begins with it in quotes"),
        ("| bar", "begins with '|' or '>' in quotes"),
        ("> more", "begins with '|' or '>' in quotes"),
        ('"yes" or no', "put the whole text in quotes"),
        ("a: b: c", "put a text with ': ' in quotes"),
        ("=", "or is '=' or '<<' in quotes"),
    ],
)
def test_a_text_that_begins_with_a_sign_of_yaml_is_told_what_to_do(tmp_path, written, said):
    message = refused(tmp_path, LIST.format(written))
    assert message.startswith(", line 5: ") and said in message


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{a: b}", "expected a list of texts, not dict"),
        ("one text", "expected a list of texts, not one text"),
        ("5", "expected a list of texts, not int"),
        ("yes", "expected a list of texts, not bool"),
    ],
)
def test_utterances_that_are_no_list_are_told(tmp_path, written, said):
    assert refused(tmp_path, GOOD.replace("[x]", written)) == f", line 3: routes.0.utterances: {said}"


@pytest.mark.parametrize("written", ["no", "[legal, no]", "5"])
def test_a_domain_that_yaml_reads_otherwise_is_told(tmp_path, written):
    said = refused(tmp_path, f"{GOOD}    domain: {written}\n")
    assert said.startswith(", line 4: routes.0.domain: expected a string, or a list of strings: YAML reads ")
    assert said.endswith(": put it in quotes")


def test_an_unknown_key_is_told_in_a_sentence(tmp_path):
    known = "name, utterances, domain, threshold, description, metadata"
    assert refused(tmp_path, f"{GOOD}    qqq: 1\n") == f", line 4: routes.0.qqq: unknown key: expected {known}"
    assert refused(tmp_path, f"{GOOD}    treshold: 1\n") == (
        f", line 4: routes.0.treshold: unknown key, did you mean 'threshold'? expected {known}"
    )


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20).filter(str.strip)


@settings(max_examples=60)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.booleans(), st.sampled_from([None, 2, "\t"]))
@example(["\U0001f680 to the moon", "\x07", "a\u2028b", "a\tb", "#5", "yes", "12:30", "\x7f"], True, None)
@example(["\U0001f680"], False, "\t")
def test_json_is_read_as_json(tmp_path, texts, escaped, indent):
    path = tmp_path / "routes.json"
    routes = [{"name": "a", "utterances": texts, "threshold": 1e-05, "metadata": {"text": texts[0]}}]
    path.write_text(json.dumps({"routes": routes}, ensure_ascii=escaped, indent=indent), encoding="utf-8")
    (route,) = load_routes(path)
    assert route.utterances == tuple(texts)
    assert (route.threshold, route.metadata) == (1e-05, {"text": texts[0]})


@settings(max_examples=60)
@given(st.lists(TEXTS.filter(str.isprintable), min_size=1, max_size=4))
@example(["yes", "12:30", "010", "1e3", "a # b", "#5", "x: y", "2024-01-01", "~", "*x", "&x", "-", "- x", "'", '"'])
def test_what_a_yaml_library_writes_is_read_back(tmp_path, texts):
    path = tmp_path / "routes.yaml"
    content = {"routes": [{"name": "a", "utterances": texts}]}
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    assert load_routes(path)[0].utterances == tuple(texts)


@pytest.mark.parametrize("indent", [None, 1, "\t"])
def test_mistakes_in_json_have_their_lines(tmp_path, indent):
    def written(routes):
        text = json.dumps({"routes": routes}, indent=indent)
        return text, text.count("\n", 0, text.index("42")) + 1

    text, line = written([{"name": "a", "utterances": ["x", 42]}])
    assert refused(tmp_path, text) == (
        f", line {line}: routes.0.utterances.1: expected a string: JSON reads '42' as the number 42: put it in quotes"
    )
    text, line = written([{"name": "a", "utterances": ["x"], "treshold": 42}])
    assert refused(tmp_path, text).startswith(f", line {line}: routes.0.treshold: unknown key")


@pytest.mark.parametrize("text", ['{"routes": [{"name": "a", "name": "b"}]}', '{"routes": ["\\ud83d"]}', '{"a": }'])
def test_what_is_no_sound_json_is_refused_with_a_line(tmp_path, text):
    assert refused(tmp_path, text).startswith(", line 1: ")


@pytest.mark.parametrize("escape", [r"\ud83d\ude80", r"\U0001F680"])
def test_the_halves_of_a_character_are_joined_in_yaml(tmp_path, escape):
    path = tmp_path / "routes.yaml"
    path.write_text(LIST.format(f'"{escape}"'), encoding="utf-8")
    assert load_routes(path)[0].utterances[1] == "\U0001f680"


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


@pytest.mark.parametrize("code", [0x00, 0x07, 0x1B, 0x7F, 0x9B, 0xFFFE])
def test_a_control_character_is_refused_in_one_line_with_its_line(tmp_path, code):
    said = refused(tmp_path, LIST.format(f"a{chr(code)}b"))
    assert said.startswith(f", line 5: the character U+{code:04X} is not allowed: ") and "\n" not in said
    path = tmp_path / "routes.yaml"
    path.write_text(LIST.format(f'"a\\u{code:04x}b"'), encoding="utf-8")
    assert load_routes(path)[0].utterances[1] == f"a{chr(code)}b"


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


@settings(max_examples=150)
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


@settings(max_examples=50)
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

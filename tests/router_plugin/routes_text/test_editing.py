"""Changes of the text of a routes file: what comes out are the wanted routes, and comments and layout stay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from router_plugin import Route, RoutesError, load_routes
from router_plugin.routes_text.editing import RouteChange, with_change, with_utterances
from router_plugin.routes_text.reading import RoutesText

READABLE = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=12)
TEXTS = st.one_of(
    READABLE.filter(str.strip),
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8).filter(str.strip),
    st.sampled_from(
        [
            "where is my card",
            "yes",
            "12:30",
            "a: b",
            "no #1",
            "- x",
            "it's",
            '"so"',
            "null",
            "\u00fcber \u5361",
            "[a]",
            "0x1F",
        ]
    ),
)
THRESHOLDS = st.one_of(st.none(), st.integers(-1000, 1000).map(lambda number: number / 1000))


def single(text: str) -> str:
    """In single quotes, where that can hold it."""
    plain = text.isprintable() and all(character not in text for character in "\u00a0\u2028\u2029\ufeff")
    return "'" + text.replace("'", "''") + "'" if plain else json.dumps(text)


def folded(text: str) -> str:
    """Over two lines, where that can hold it."""
    return (
        "|-\n          " + text if text.isprintable() and text == text.strip() and text.isascii() else json.dumps(text)
    )


def plain(text: str) -> str:
    """Without quotes, where that reads as the text."""
    return text if text.isalpha() and text.isascii() and yaml.safe_load(text) == text else json.dumps(text)


SCALARS = st.sampled_from([single, folded, plain, json.dumps, lambda text: json.dumps(text, ensure_ascii=True)])


@st.composite
def known_routes(draw: st.DrawFn) -> list[Route]:
    """Routes with distinct names."""
    names = draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
    texts = st.lists(TEXTS, min_size=1, max_size=4)
    return [Route(name=name, utterances=tuple(draw(texts)), threshold=draw(THRESHOLDS)) for name in names]


@st.composite
def block_style(draw: st.DrawFn, routes: list[Route]) -> str:
    """With a key and an item on each line, comments between them, and one of several indents."""
    comment = st.sampled_from(["", "", "# a comment: with [signs]\n", "\n", "    # deep\n"])
    indent = draw(st.sampled_from(["", "  "]))
    deeper = draw(st.sampled_from(["", "  ", "    "]))
    lines = ["routes:  # all\n"]
    for route in routes:
        keys = [f"name: {draw(SCALARS.filter(lambda way: way is not folded))(route.name)}\n"]
        if route.threshold is not None:
            keys.append(f"threshold: {route.threshold}  # tuned\n")
        items = [f"{draw(comment)}{indent}  {deeper}- {draw(SCALARS)(text)}\n" for text in route.utterances]
        keys.append("utterances:\n" + "".join(items))
        keys = draw(st.permutations(keys))
        lines += [f"{draw(comment)}{indent}- {keys[0]}", *(f"{draw(comment)}{indent}  {key}" for key in keys[1:])]
    return "".join(lines) + draw(comment)


@st.composite
def flow_style(draw: st.DrawFn, routes: list[Route]) -> str:
    """In brackets, on one line or several, with or without a comma at the end."""
    scalars = st.sampled_from([single, json.dumps])
    comma, gap = draw(st.sampled_from(["", ","])), draw(st.sampled_from([" ", "\n      ", " # more\n      "]))
    entries = []
    for route in routes:
        texts = f",{gap}".join(draw(scalars)(text) for text in route.utterances)
        keys = [f"name: {draw(scalars)(route.name)}", f"utterances: [{texts}{comma}]"]
        if route.threshold is not None:
            keys.append(f"threshold: {route.threshold}")
        entries.append("{" + f",{gap}".join(draw(st.permutations(keys))) + "}")
    if draw(st.booleans()):
        return "routes:\n" + "".join(f"  - {entry}\n" for entry in entries)
    return "routes: [" + ",\n  ".join(entries) + comma + "]\n"


def json_style(routes: list[Route]) -> st.SearchStrategy[str]:
    """As JSON, on one line or several."""
    content = {"routes": [route.model_dump(mode="json", exclude_defaults=True) for route in routes]}
    return st.sampled_from([None, 2, "\t"]).map(lambda indent: json.dumps(content, indent=indent))


@st.composite
def files(draw: st.DrawFn) -> tuple[str, list[Route]]:
    """The text of a routes file, with and without an end of its last line, and its routes."""
    routes = draw(known_routes())
    style = draw(st.sampled_from([block_style, flow_style, json_style]))
    text = draw(style(routes))
    text = text.rstrip("\n") if draw(st.booleans()) else text
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"]))), routes


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, list[Route], list[Route]]:
    """A file, its routes, and wanted ones."""
    text, routes = draw(files())
    wanted = []
    for route in routes:
        new = draw(st.lists(TEXTS, max_size=2))
        threshold = route.threshold if draw(st.booleans()) else draw(THRESHOLDS.filter(lambda value: value is not None))
        wanted.append(route.model_copy(update={"utterances": (*route.utterances, *new), "threshold": threshold}))
    return text, routes, wanted


@pytest.mark.slow
@given(changes())
@settings(max_examples=100)
def test_the_changed_text_holds_the_wanted_routes_and_all_comments(tmp_path: Path, case: tuple) -> None:  # type: ignore[type-arg]
    text, routes, wanted = case
    path = tmp_path / "routes.yaml"
    path.write_bytes(text.encode())
    assert load_routes(path) == routes
    changed = with_utterances(path, text, wanted)
    assert (changed == text) == (wanted == routes)
    path.write_bytes(changed.encode())
    assert load_routes(path) == wanted
    assert changed.count("#") >= text.count("#")
    assert changed.endswith("\r\n") == text.endswith("\r\n") or not text.endswith("\n")


@st.composite
def edits(draw: st.DrawFn) -> tuple[str, list[Route], list[Route]]:
    """A file, its routes, and wanted ones whose utterances, threshold and domain may all be others."""
    text, routes = draw(files())
    wanted = []
    for route in routes:
        kept = [each for each in route.utterances if draw(st.booleans())]
        new = draw(st.lists(TEXTS, min_size=0 if kept else 1, max_size=3))
        changed = {
            "utterances": tuple(draw(st.permutations([*kept, *new]))),
            "threshold": draw(THRESHOLDS),
            "domain": draw(st.sampled_from([None, "medical", ("law", "finance")])),
        }
        wanted.append(route.model_copy(update=changed))
    return text, routes, wanted


@pytest.mark.slow
@given(edits())
@settings(max_examples=100)
def test_utterances_can_be_removed_and_thresholds_and_domains_changed(tmp_path: Path, case: tuple) -> None:  # type: ignore[type-arg]
    text, _, wanted = case
    path = tmp_path / "routes.yaml"
    changed = with_utterances(path, text, wanted)
    path.write_bytes(changed.encode())
    assert load_routes(path) == wanted


def test_what_is_edited_leaves_all_comments(tmp_path: Path) -> None:
    text = (
        "# ours\nroutes:\n- name: a  # first\n  threshold: 0.5  # tuned\n  utterances:\n  # asked often\n  - one\n"
        "  - two\n  # rare\n  - three\n- name: b  # second\n  domain: law\n  utterances: [x, y]\n"
    )
    wanted = [
        Route(name="a", utterances=("zero", "one", "2", "four")),
        Route(name="b", utterances=("x",), domain=("law", "finance"), threshold=0.25),
    ]
    assert with_utterances(tmp_path / "routes.yaml", text, wanted) == (
        "# ours\nroutes:\n- name: a  # first\n  utterances:\n  # asked often\n  - zero\n  - one\n"
        '  - "2"\n  - four\n  # rare\n- name: b  # second\n  domain: ["law", "finance"]\n  threshold: 0.25\n'
        '  utterances: ["x"]\n'
    )


def test_unusual_yaml_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text("routes:\n- ? name\n  : a\n  ? utterances\n  : - b\n", encoding="utf-8")
    wanted = [Route(name="a", utterances=("b", "c"), threshold=0.5)]
    path.write_text(with_utterances(path, path.read_text(), wanted), encoding="utf-8")
    assert load_routes(path) == wanted


@st.composite
def single_changes(draw: st.DrawFn) -> tuple[str, list[Route], RouteChange]:
    """A file, its routes, and a change of one of them: a rename with other values, a removal, or an addition."""
    text, routes = draw(files())
    names = TEXTS.filter(lambda name: all(name != route.name for route in routes))
    texts = tuple(draw(st.lists(TEXTS, min_size=1, max_size=3)))
    wanted = Route(name=draw(names), utterances=texts, domain=draw(st.sampled_from([None, "law", ("law", "finance")])))
    before = draw(st.sampled_from(routes))
    kinds = [RouteChange(None, wanted), RouteChange(before, wanted)]
    return text, routes, draw(st.sampled_from([*kinds, RouteChange(before, None)] if len(routes) > 1 else kinds))


@pytest.mark.slow
@given(single_changes())
@settings(max_examples=150)
def test_one_route_is_renamed_removed_or_added_and_the_others_stay(tmp_path: Path, case: tuple) -> None:  # type: ignore[type-arg]
    text, routes, change = case
    path = tmp_path / "routes.yaml"
    path.write_bytes(with_change(RoutesText(path, text), change).encode())
    assert load_routes(path) == list(change.of(routes))


TEXT = (
    "# ours\nroutes:  # all\n# the first\n- name: a  # first\n  utterances:\n  - one  \n\n# the second\n"
    "- name: b\n  utterances: [x]\n# the end\n"
)
ONE, TWO = Route(name="a", utterances=("one",)), Route(name="b", utterances=("x",))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (RouteChange(ONE, ONE.model_copy(update={"name": "yes"})), TEXT.replace("name: a ", 'name: "yes" ')),
        (RouteChange(ONE, None), TEXT.replace("- name: a  # first\n  utterances:\n  - one  \n", "")),
        (RouteChange(TWO, None), TEXT.replace("- name: b\n  utterances: [x]\n", "")),
        (
            RouteChange(None, Route(name="cc", utterances=("yy", "no"), domain="law", threshold=0.5)),
            f'{TEXT}- name: cc\n  domain: law\n  threshold: 0.5\n  utterances:\n    - yy\n    - "no"\n',
        ),
    ],
)
def test_comments_stay_where_they_are(tmp_path: Path, change: RouteChange, expected: str) -> None:
    assert with_change(RoutesText(tmp_path / "routes.yaml", TEXT), change) == expected


def test_the_only_route_of_a_file_is_not_removed(tmp_path: Path) -> None:
    with pytest.raises(RoutesError, match=r"routes\.yaml: this is its only route"):
        with_change(
            RoutesText(tmp_path / "routes.yaml", "routes:\n- name: b\n  utterances: [x]\n"), RouteChange(TWO, None)
        )

"""A changed routes file is read as if it were parsed as a whole, and only what changed is parsed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_plugin import Route, RoutesError
from router_plugin.routes_text import reading
from router_plugin.routes_text.reading import RoutesText

from .test_editing import files

PATH = Path("routes.yaml")
LINES = st.sampled_from(
    ["- name: new\n  utterances: [x]\n", "  - name: new\n    utterances: [x]\n", "- ", "  - ", "routes:\n", "# ours\n"]
)
SIGNS = st.sampled_from(["\n", "'", '"', "- ", "[", "]", "{", "#", ": ", "|", "---\n", "...\n", " ", "\t", "&a ", "*a"])


def read(text: str) -> tuple[Route, ...] | str:
    """The routes of a text that is parsed as a whole, or what is wrong with it."""
    try:
        return RoutesText(PATH, text).routes
    except RoutesError as error:
        return str(error)


def read_again(before: str, text: str) -> tuple[Route, ...] | str:
    """The routes of a text in place of another one, or what is wrong with it."""
    try:
        return RoutesText(PATH, before).with_text(text).routes
    except RoutesError as error:
        return str(error)


@st.composite
def edited(draw: st.DrawFn) -> tuple[str, str]:
    """A file, and the file with lines moved, removed or added, or with a sign inserted or removed anywhere."""
    text, _ = draw(files())
    lines = text.splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(lines) - 1)) if lines else 0
        kind = draw(st.sampled_from(["add", "remove", "move", "sign", "cut"]))
        if kind == "add":
            lines.insert(place, draw(LINES))
        elif lines and kind == "remove":
            del lines[place]
        elif lines and kind == "move":
            lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(place))
        elif lines:
            line, at = lines[place], draw(st.integers(0, len(lines[place])))
            lines[place] = line[:at] + (draw(SIGNS) + line[at:] if kind == "sign" else line[at + 1 :])
    return text, "".join(lines)


@pytest.mark.slow
@given(edited())
@settings(max_examples=300)
def test_a_changed_file_reads_as_a_new_one_and_has_the_same_faults(case: tuple[str, str]) -> None:
    before, text = case
    assert read_again(before, text) == read(text)


ROUTES = [Route(name=f"route {number}", utterances=(f"thing {number}",)) for number in range(50)]
TEXT = "routes:\n" + "".join(
    f"  - name: {each.name}\n    utterances:\n      - thing {each.name[6:]}\n" for each in ROUTES
)


def test_only_the_lines_of_changed_routes_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []

    def parse(path: Path, text: str, kind: type[RoutesError]) -> object:
        parsed.append(text)
        return real(path, text, kind)

    real = reading.parse_yaml
    monkeypatch.setattr(reading, "parse_yaml", parse)
    file = RoutesText(PATH, TEXT, ROUTES)
    found = file.with_text(TEXT.replace("- thing 7\n", "- another\n") + "  - name: last\n    utterances: [x]\n")
    assert found.routes[7].utterances == ("another",) and found.routes[-1].name == "last" and len(found.routes) == 51
    assert [found.routes[number] for number in range(7)] == ROUTES[:7]
    assert len(parsed) == 2 and all("thing 8" not in text for text in parsed)


def test_a_route_with_the_name_of_another_is_refused_with_its_line() -> None:
    with pytest.raises(RoutesError, match=r"routes\.yaml, line 5: duplicate route name 'route 0'"):
        RoutesText(PATH, TEXT, ROUTES).with_text(TEXT.replace("route 1\n", "route 0\n"))

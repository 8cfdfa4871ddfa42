"""Templates: whatever a value holds, a reader of the page or the card sees just that."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from huggingface_hub import ModelCardData
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markdown_it import MarkdownIt

from registry.pages.templates import (
    SHARED,
    code_span,
    escape_markdown,
    markdown_table,
    one_line,
    render_card,
    render_html,
)

ANY_TEXT = st.text(st.one_of(st.sampled_from("`*_[]()<>#|\\&!~{}\n -+.1x"), st.characters()))


def inline(markdown: str) -> list:
    (token,) = (each for each in MarkdownIt().parse(f"x {markdown} x") if each.type == "inline")
    return token.children


@given(ANY_TEXT)
@example("__0__")
def test_escaped_markdown_shows_the_text_and_nothing_else(text):
    shown = inline(escape_markdown(text))
    assert {token.type for token in shown} <= {"text", "text_special"}
    assert one_line("".join(token.content for token in shown)) == one_line(f"x {text} x")


@given(ANY_TEXT.filter(str.strip))
def test_a_code_span_holds_the_text_whatever_backticks_are_in_it(text):
    (code,) = (token for token in inline(code_span(text)) if token.type == "code_inline")
    assert code.content == one_line(text)


@given(ANY_TEXT, ANY_TEXT)
def test_a_cell_of_a_markdown_table_cannot_leave_it(name, value):
    read = MarkdownIt().enable("table").parse(markdown_table(("name", "value"), [(name, value)]))
    cells = [token.content for token in read if token.type == "inline"]
    assert len(cells) == 4 and cells[:2] == ["name", "value"]


@given(ANY_TEXT)
def test_html_shows_the_text_and_nothing_else(text):
    class Reader(HTMLParser):
        title = ""

        def handle_data(self, data):
            if self.get_starttag_text() == "<title>":
                self.title += data

    page = render_html(SHARED / "page.html", title=text)
    reader = Reader()
    reader.feed(page.split("<style>")[0])
    reader.close()
    assert reader.title == text.encode("utf-8", "replace").decode()
    assert re.findall(r"<(\w+)", page) == re.findall(r"<(\w+)", render_html(SHARED / "page.html", title=""))


def test_a_value_that_a_template_lacks_is_an_error(tmp_path):
    (tmp_path / "card.md").write_text("{{ there }} {{ missing }}", encoding="utf-8")
    with pytest.raises(UndefinedError, match="missing"):
        render_card(tmp_path / "card.md", ModelCardData(), there=1)


def test_a_page_with_half_a_character_can_be_written(tmp_path):
    page = render_html(SHARED / "page.html", title="caf\udce9 <b>")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    assert "caf? &lt;b&gt;" in page

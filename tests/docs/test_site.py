"""The documentation site builds and can be read and searched without a network, and its links lead somewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import pytest
import typer.main

from docs_build import terms
from docs_build.python_api import PACKAGES, public_names
from router_plugin import hookspecs
from router_plugin.cli import app
from tests.conftest import ROOT

pytestmark = pytest.mark.docs

OFFLINE = """
import socket, sys

def refuse(*_, **__):
    raise OSError("the build of the site asked for the network")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse

from mkdocs.__main__ import cli
cli()
"""
"""Builds the site in a process that has no network."""

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "srcset", "use": "href"}
"""What a browser loads by itself, by tag and attribute."""


class HtmlPage(HTMLParser):
    """The links of a page, what it loads, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag refers to."""
        found = {name: value for name, value in attrs if value}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in LOADED and LOADED[tag] in found and found.get("rel") != "canonical":
            self.loaded.append(found[LOADED[tag]])


class Site(NamedTuple):
    """A built site and its pages."""

    folder: Path
    pages: dict[Path, HtmlPage]

    def text(self, name: str) -> str:
        """The HTML of a page."""
        return (self.folder / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site, built strictly: a broken link is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-c", OFFLINE, "build", "--strict", "--quiet", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {path: HtmlPage(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}
    assert pages
    return Site(folder, pages)


def test_pages_load_nothing_from_another_host(site: Site) -> None:
    for path, page in site.pages.items():
        assert not [each for each in page.loaded if urlsplit(each).netloc], path
    for path in site.folder.rglob("*.css"):
        assert "url(http" not in path.read_text(encoding="utf-8"), path


def test_links_and_anchors_lead_somewhere(site: Site) -> None:
    broken = [f"{path.relative_to(site.folder)}: {link}" for path, link in _links(site) if not _leads(site, path, link)]
    assert not broken


def _links(site: Site) -> Iterator[tuple[Path, str]]:
    for path, page in site.pages.items():
        if path.name != "404.html":  # its links are from the root of a host
            yield from ((path, link) for link in [*page.links, *page.loaded])


def _leads(site: Site, page: Path, link: str) -> bool:
    """Whether what a link of a page refers to is there."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return False
    return not parts.fragment or target not in site.pages or unquote(parts.fragment) in site.pages[target].anchors


@pytest.mark.parametrize(
    ("term", "page"),
    [("joint space", "joint-space"), ("--max-negative-ratio", "reference/"), ("verify_webhook", "reference/")],
)
def test_the_search_works_without_a_server_and_finds_what_is_there(site: Site, term: str, page: str) -> None:
    index = (site.folder / "search" / "search_index.js").read_text(encoding="utf-8")
    found = json.loads(index.removeprefix("var __index = "))["docs"]
    assert any(each["location"].startswith(page) for each in found if term in each["title"] + each["text"])
    assert any("iframe-worker" in each for each in site.pages[site.folder / "index.html"].loaded)


def test_every_page_is_in_the_navigation(site: Site) -> None:
    home = site.pages[site.folder / "index.html"].links
    for path in (ROOT / "docs").glob("*.md"):
        assert f"{path.stem}.html" in home


def test_the_reference_has_every_command_hook_endpoint_and_public_name(site: Site) -> None:
    commands = site.pages[site.folder / "reference" / "commands.html"].anchors
    for name, each in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        names = [f"{name}-{part}" for part in each.commands] if hasattr(each, "commands") else [name]
        assert any(anchor == each or anchor.startswith(f"{each}-") for each in names for anchor in commands), name
    hooks = site.pages[site.folder / "reference" / "hooks.html"].anchors
    assert {name for name, hook in vars(hookspecs).items() if hasattr(hook, f"{hookspecs.PROJECT}_spec")} <= hooks
    endpoints = site.text("reference/http-api.html")
    assert all(path in endpoints for path in ("POST /v1/route", "POST /v1/embeddings", "POST /classify"))
    for package in PACKAGES:
        anchors = site.pages[site.folder / "reference" / f"python-{package.replace('_', '-')}.html"].anchors
        assert {f"{package}.{name}" for name in public_names(package)} <= anchors


def test_a_term_is_linked_to_the_glossary_where_a_page_uses_it_first() -> None:
    html = (
        '<h1>The joint\nspace</h1>\n<p><code>qrels</code> and <a href="x">champions</a>: a joint\nspace of Champions, '
        "joint spaces &lt;qrels&gt; and sub-champions</p>"
    )
    assert terms.with_links(html, "g.html") == (
        '<h1>The joint\nspace</h1>\n<p><code>qrels</code> and <a href="x">champions</a>: a '
        '<a href="g.html#joint-space">joint\nspace</a> of <a href="g.html#champion">Champions</a>, joint spaces &lt;'
        '<a href="g.html#qrels">qrels</a>&gt; and sub-champions</p>'
    )


def test_the_glossary_has_all_linked_terms(site: Site) -> None:
    glossary = site.pages[site.folder / "glossary.html"]
    assert {terms.anchor_of(term) for term in terms.TERMS} <= glossary.anchors
    assert "glossary.html#champion" in site.pages[site.folder / "console.html"].links
    assert not [link for link in glossary.links if link.startswith("glossary.html#")]

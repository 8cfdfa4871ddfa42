"""What mkdocs calls to build the site: generated pages, files from outside of ``docs/``, and links between them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent.parent))

from docs_build import commands, http_api, notebook, plugin_hooks, python_api, settings, terms
from docs_build.links import PAGES, ROOT, relinked, site_path, targets

GENERATED: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands.page,
    settings.PAGE: settings.page,
    "reference/hooks.md": plugin_hooks.page,
    "reference/http-api.md": http_api.page,
    "reference/python-training.md": lambda: python_api.page("training"),
    "reference/python-registry.md": lambda: python_api.page("registry"),
    "reference/python-router-plugin.md": lambda: python_api.page("router_plugin"),
}
"""Pages that are made of the code."""

_ROLE = re.compile(r":[a-z]+:<code>~?([^<]*)</code>")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in ``docs/``, and the files to which pages link."""
    for page, make in GENERATED.items():
        files.append(File.generated(config, page, content=make()))
    for file, page in PAGES.items():
        files.append(File.generated(config, page, content=_source(file)))
    for file in sorted(set(_linked())):
        if files.get_file_from_path(site_path(file)) is not None:
            continue
        if (ROOT / file).is_dir():
            files.append(File.generated(config, site_path(file), content=_listing(ROOT / file)))
        elif (ROOT / file).is_file():  # mkdocs itself reports links to missing files
            files.append(File.generated(config, site_path(file), abs_src_path=str(ROOT / file)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links between files of the repository lead to where those are in the site."""
    path = page.file.src_uri
    sources = {site: file for file, site in PAGES.items()}
    if path in GENERATED or path.startswith("files/"):
        return markdown
    return relinked(markdown, sources.get(path, f"docs/{path}"), path)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show names in docstrings as code, without the roles that docstrings give them, and link terms to the glossary."""
    html, path = _ROLE.sub(r"<code>\1</code>", html), page.file.src_uri
    if path == terms.GLOSSARY:
        return terms.with_anchors(html)
    if not (ROOT / "docs" / path).is_file():  # it was made of the code, or comes from elsewhere
        return html
    glossary = files.get_file_from_path(terms.GLOSSARY)
    assert glossary is not None
    return terms.with_links(html, glossary.url_relative_to(page.file))


def _source(file: str) -> str:
    return notebook.page(file) if file.endswith(".ipynb") else (ROOT / file).read_text(encoding="utf-8")


def _linked() -> Iterator[str]:
    """The files of the repository to which pages link, and those in linked folders."""
    pages = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")]
    for file in [*pages, *PAGES]:
        for target in targets(_source(file), file):
            yield target
            if (ROOT / target).is_dir():
                yield from (path.relative_to(ROOT).as_posix() for path in (ROOT / target).iterdir() if path.is_file())


def _listing(folder: Path) -> str:
    """A page that links to the files of a folder."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    return "\n".join([f"# {folder.relative_to(ROOT)}", "", *(f"- [{name}]({name})" for name in names)]) + "\n"

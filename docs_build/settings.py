"""The page of all settings and options, with the tables that the pages on tasks have."""

from __future__ import annotations

from docs_build.links import ROOT, relinked
from tests.docs.tables import TABLES

PAGE = "reference/settings.md"

INTRODUCTION = """# Settings and options

All that can be set, in one place; generated from the models that declare it. In a file for `--config`, a name has no
`--`, and `_` in place of `-`. What a router is made with in Python stands under [settings](#settings).
"""

TITLES = {
    "settings": "Settings",
    "recipes": "Recipes of training",
    "training": "Training",
    "prepare": "Prepared data",
    "synthesize": "Synthetic pairs",
    "language model": "Language models",
    "serve": "The server",
    "improve": "Improving routes",
    "vsr": "Exports for vLLM Semantic Router",
    "litellm": "Exports for LiteLLM",
}
"""Of the tables, in the order of the page; others follow."""


def page() -> str:
    """The page, in Markdown."""
    names = dict.fromkeys([*(name for name in TITLES if name in TABLES), *TABLES])
    return "\n".join([INTRODUCTION, *map(_section, names)])


def _section(name: str) -> str:
    file = _page_of(name)
    title = (ROOT / file).read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
    explained = f"Explained in [{title}](../{file.removeprefix('docs/')}).\n\n"
    return f"## {TITLES.get(name, name.capitalize())}\n\n{explained}{relinked(TABLES[name](), file, PAGE)}"


def _page_of(name: str) -> str:
    """The file of the page that has a table."""
    for path in sorted((ROOT / "docs").glob("*.md")):
        if f"<!-- options: {name} -->" in path.read_text(encoding="utf-8"):
            return path.relative_to(ROOT).as_posix()
    raise LookupError(f"no page in docs/ has the table {name!r}")

"""Where each file of the repository is in the site, and links rewritten accordingly."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

HOME = "README.md"

PAGES = {
    HOME: "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/RESULTS.md": "results.md",
    "examples/custom_plugin/README.md": "custom-plugin.md",
    "models/README.md": "models/index.md",
    "examples/tour.ipynb": "tour.md",
    **{
        path.relative_to(ROOT).as_posix(): f"models/{path.parent.name}.md"
        for path in sorted(ROOT.glob("models/*/README.md"))
    },
}
"""Files outside of ``docs/`` that are pages of the site."""

_FENCED = re.compile(r"(^ {0,3}(```+|~~~+).*?^ {0,3}\2[ \t]*$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?P<before>\]\(|\b(?:src|href|srcset)=\")(?P<target>[^)\s\"]+)(?P<after>[)\s\"])")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|/", re.IGNORECASE)


def site_path(file: str) -> str:
    """The path in the site's sources of a file or folder of the repository."""
    if file in PAGES:
        return PAGES[file]
    if file.startswith("docs/"):
        return file.removeprefix("docs/")
    if f"{file}/README.md" in PAGES:
        return PAGES[f"{file}/README.md"]
    return f"files/{file}/index.md" if (ROOT / file).is_dir() else f"files/{file}"


def targets(text: str, file: str) -> Iterator[str]:
    """The files of the repository to which a Markdown file links."""
    for found in _LINK.finditer(_FENCED.sub("", text)):
        if not _ELSEWHERE.match(found["target"]):
            yield _resolved(found["target"], file)[0]


def relinked(text: str, file: str, page: str) -> str:
    """The text of a Markdown file whose links lead to where their targets are in the site.

    Args:
        text: of the file.
        file: where the text stands in the repository, which its links are relative to.
        page: where it stands in the site's sources.
    """

    def link(found: re.Match[str]) -> str:
        if found["target"].startswith("#") and site_path(file) != page:
            target, anchor = file, found["target"]
        elif _ELSEWHERE.match(found["target"]):
            return found[0]
        else:
            target, anchor = _resolved(found["target"], file)
        path = posixpath.relpath(site_path(target), posixpath.dirname(page) or ".")
        return f"{found['before']}{path}{anchor}{found['after']}"

    return _changed(text, lambda part: _LINK.sub(link, part))


def _resolved(target: str, file: str) -> tuple[str, str]:
    """The file of a relative link, and its anchor with ``#``."""
    path, hash_, anchor = target.partition("#")
    return posixpath.normpath(posixpath.join(posixpath.dirname(file), path)), hash_ + anchor


def _changed(text: str, change: Callable[[str], str]) -> str:
    """A text that is changed outside of its blocks of code."""
    done, position = [], 0
    for block in _FENCED.finditer(text):
        done += [change(text[position : block.start()]), block[0]]
        position = block.end()
    return "".join([*done, change(text[position:])])

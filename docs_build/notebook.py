"""A notebook as a page: its text and its code."""

from __future__ import annotations

import json

from docs_build.links import ROOT


def page(file: str) -> str:
    """The page, in Markdown."""
    cells = json.loads((ROOT / file).read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(_cell(cell["cell_type"], "".join(cell["source"])) for cell in cells) + "\n"


def _cell(kind: str, source: str) -> str:
    return source if kind == "markdown" else f"```python\n{source}\n```"

"""What our HTML pages share: a look, and tables. Each page is one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse }
td, th { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #e3e8ee }
td.text, th.text { text-align: left } th { font-weight: 600 }
.figures { display: flex; flex-wrap: wrap; gap: 0 3rem } figure { margin: 1.5rem 0 0 } figcaption { color: #5b6b7b }
.scroll { overflow-x: auto }
svg { overflow: visible } svg text { font-size: 11px; fill: #5b6b7b }
"""


def page(title: str, body: str) -> str:
    """A whole page under a heading."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style></head><body>
<h1>{escape(title)}</h1>
{body}
</body></html>
"""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], text: int = 1) -> str:
    """A table whose first ``text`` columns are text, and the others numbers."""

    def line(cells: Sequence[str], tag: str) -> str:
        classes = ['class="text"' if number < text else "" for number in range(len(cells))]
        return "".join(f"<{tag} {kind}>{escape(cell)}</{tag}>" for kind, cell in zip(classes, cells, strict=True))

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f"<table><thead><tr>{line(columns, 'th')}</tr></thead><tbody>{body}</tbody></table>"

"""What our HTML pages share: a look, and tables. Each page is one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1c2733; --soft: #5b6b7b; --rule: #e3e8ee; --frame: #cbd5df;
  --before: #98a5b3; --after: #2b6cb0; --good: #2f855a; --bad: #c53030 }
@media (prefers-color-scheme: dark) { :root { --ground: #14191f; --ink: #dde4ec; --soft: #93a1b1; --rule: #29323c;
  --frame: #3b4754; --before: #6f7d8c; --after: #63a4e8; --good: #5fbf8f; --bad: #f07878 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2.5rem } h3 { font-size: 1rem; margin-top: 1.5rem }
table { border-collapse: collapse }
td, th { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--rule); vertical-align: top }
td { font-variant-numeric: tabular-nums } td.text, th.text { text-align: left; overflow-wrap: anywhere }
td.text { min-width: 8rem }
th { font-weight: 600; vertical-align: bottom } p, figcaption { max-width: 46rem } .soft { color: var(--soft) }
.warning { border-left: 4px solid var(--bad); padding: .25rem .8rem }
.figures { display: flex; flex-wrap: wrap; gap: 0 1.5rem } figure { margin: 1.5rem 0 0 }
figcaption { color: var(--soft) }
.scroll { overflow-x: auto }
svg { overflow: visible } svg text { font-size: 11px; fill: var(--soft) }
"""
"""Colours are variables, so that a page follows the reader's choice of light or dark."""


def page(title: str, body: str) -> str:
    """A whole page under a heading; the browser is told to load nothing for it and to run nothing in it."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(title)}</title><style>{STYLE}</style></head><body>
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

"""``domain-router canary``: what a candidate would change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router_plugin.cli.errors import CommandGroup
from router_plugin.cli.named_values import named_path
from router_plugin.cli.options import JsonOption
from router_plugin.cli.printing import print_json, print_table

REPORT = "Example: domain-router canary report shadow.jsonl"
ROWS = 20
"""Differences that are printed."""

app = typer.Typer(cls=CommandGroup, help="See what a candidate would change.", no_args_is_help=True)


@app.command(epilog=REPORT)
def report(
    file: Annotated[Path, typer.Argument(parser=named_path, help="Log that 'serve --shadow-log' wrote.")],
    json: JsonOption = False,
) -> None:
    """Say where a champion and a candidate, which decided the same queries, differ."""
    from router_plugin.server.versions.report import read_report

    found = read_report(file)
    if json:
        print_json([each.to_dict() for each in found])
        return
    for each in found:
        champion, candidate = each.confidence
        print_table(
            f"{each.candidate}: {each.queries} queries, {each.same:.1%} to the same route, mean confidence "
            f"{candidate:.3f}, the champion's {champion:.3f}",
            ("champion", "candidate", "queries", "such as"),
            [
                (
                    row.champion or "none",
                    row.candidate or "none",
                    row.queries,
                    "; ".join(each.query for each in row.examples),
                )
                for row in each.differences[:ROWS]
            ],
        )

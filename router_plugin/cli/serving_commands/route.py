"""``domain-router route``: routes one query, or a file of queries."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry import DomainRouterError
from router_plugin.cli.model_options import with_fields
from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import (
    JsonOption,
    PartsOptions,
    SettingsOptions,
    check_settings,
)
from router_plugin.cli.printing import print_json, print_line, print_table, shown
from router_plugin.conversations import load_history
from router_plugin.decision import Decision

if TYPE_CHECKING:
    from router_plugin.explanation import Explanation

EXAMPLE = 'Example: domain-router route "can my landlord keep the deposit" --routes examples/routes.yaml'
BATCH = 256


@with_fields
def route(
    context: typer.Context,
    query: Annotated[str | None, typer.Argument(help="The query.", show_default=False)] = None,
    *,
    parts: PartsOptions,
    batch: Annotated[
        Path | None,
        typer.Option(parser=named_path, metavar=PATH, help="Text file with a query on each line.", show_default=False),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(
            parser=named_path,
            metavar=PATH,
            help="JSON file of the earlier messages of the conversation, each with `role` and `content`.",
            show_default=False,
        ),
    ] = None,
    settings: SettingsOptions,
    explain: Annotated[bool, typer.Option("--explain", help="Explain the decision.")] = False,
    json: JsonOption = False,
) -> None:
    """Route a query, or every line of a file, and print the decision. With --json, one object a line."""
    if (query is None) == (batch is None):
        raise typer.BadParameter("give either `query` or `batch`")
    for name, other in (("explain", explain), ("history", history)):
        if other and batch:
            raise typer.BadParameter(f"`{name}` cannot be used with `batch`")
    if explain and history:
        raise typer.BadParameter("`history` cannot be used with `explain`")
    check_settings(context)
    messages = load_history(history) if history else []
    router = parts.router(settings)
    if explain:
        from router_plugin.tuning.explainer import explain as explain_route

        explanation = explain_route(router, query or "")
        print_json(explanation.to_dict()) if json else print_explanation(explanation)
        return
    if query is not None:
        print_all([router.route(query, messages)], json)
        return
    lines = read_queries(batch) if batch else iter(())
    while block := list(islice(lines, BATCH)):
        print_all(router.route_many(block), json)


def print_all(decisions: list[Decision], json: bool) -> None:
    """Decisions as JSON, one on each line, or as a table."""
    if not json:
        print_decisions(decisions)
        return
    for decision in decisions:
        print_line(decision.to_dict())


def print_decisions(decisions: list[Decision]) -> None:
    """A table of decisions."""
    print_table(
        f"{len(decisions)} queries" if len(decisions) > 1 else "decision",
        ("query", "domain", "probability", "route", "score", "model", "ms"),
        [
            (
                _shorten(decision.query) + _flaws(decision),
                decision.domain,
                f"{decision.domains.get(decision.domain, 0):.2f}",
                decision.route or f"none: {decision.reason}",
                shown(decision.score, 2),
                decision.model_version,
                f"{decision.timings_ms['total'] - decision.timings_ms['load']:.1f}",
            )
            for decision in decisions
        ],
    )


def print_explanation(explanation: Explanation) -> None:
    """Tables of the evidence for a decision."""
    print_decisions([explanation.decision])
    if explanation.evidence:
        rows = [
            (
                name,
                f"{explanation.decision.domains.get(name, 0):.3f}",
                ", ".join(found.features),
                shown(found.similarity, 2),
            )
            for name, found in explanation.evidence.domains.items()
        ]
        columns = ("domain", "probability", "strongest features", "similarity of the nearest queries")
        print_table(f'Evidence for the domains, from the text "{explanation.evidence.text}"', columns, rows)
    for space, candidates in (("its domain", explanation.nearest), ("the base model", explanation.nearest_in_general)):
        near = [(each.route, each.utterance, f"{each.cosine:.3f}") for each in candidates]
        if near:
            print_table(f"Nearest candidates in the space of {space}", ("route", "utterance", "cosine"), near)
    if explanation.hybrid:
        columns = ("route", "cosine", "rank", "rank by words")
        ranked = [(each.route, f"{each.score:.3f}", each.rank, each.rank_by_words or "") for each in explanation.hybrid]
        print_table("First routes by cosine and words together", columns, ranked)
    if explanation.threshold is not None:
        print_table("Threshold of the route", ("threshold",), [(explanation.threshold,)])


def read_queries(path: Path) -> Iterator[str]:
    """The lines of a text file.

    Raises:
        DomainRouterError: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in file:
                yield line.rstrip("\r\n")
    except OSError as error:
        raise DomainRouterError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DomainRouterError(f"{path}: is not UTF-8 text") from error


def _flaws(decision: Decision) -> str:
    """What the model did not read of a query that it decided."""
    said = ["truncated"] if decision.truncated else []
    if 0 < decision.unread < 1:
        said.append(f"{decision.unread:.0%} unread")
    return f" ({', '.join(said)})" if said else ""


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."

"""The playground: a query, or a conversation, through all stages, and what another version would have said."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import Response

from registry.catalog.listing import Filter
from registry.pages.charts import bar
from router_plugin.conversations import Turn
from router_plugin.decision import Decision
from router_plugin.explanation import Explanation, Neighbour
from router_plugin.server.console.asking import listed_versions
from router_plugin.server.console.guard import ROOT
from router_plugin.server.console.rendering import page, service_of
from router_plugin.server.errors import LimitError
from router_plugin.server.service import Service
from router_plugin.server.versions.others import OtherVersions

router = APIRouter()

PATH = f"{ROOT}/playground"
LONGEST = 8000
"""Characters of a query and its conversation: they stand in the address of the page."""
CANDIDATES = 10
"""Nearest candidates that are shown in each space."""
DOMAINS = 12
"""Domains that are shown, the likeliest first."""
VERSIONS = 50
"""Versions that can be chosen, the newest first."""

_ROLE = re.compile(r"\s*(user|assistant|system)\s*:\s*(.*)", re.IGNORECASE | re.DOTALL)


class DomainBar(NamedTuple):
    """A domain and what spoke for it."""

    name: str
    probability: float
    bar: Markup
    words: list[tuple[str, float]]
    similarity: float | None


class Near(NamedTuple):
    """A candidate near the query."""

    route: str
    utterance: str
    cosine: float
    bar: Markup


class Space(NamedTuple):
    """The nearest candidates in a space: those that reach the threshold, and the others."""

    title: str
    model: str
    reached: list[Near]
    below: list[Near]


class Stage(NamedTuple):
    """The time of a stage, in milliseconds."""

    name: str
    ms: float
    bar: Markup


Given = Annotated[str, Query()]


@router.get(PATH)
async def show(request: Request, query: Given = "", history: Given = "", version: Given = "") -> Response:
    """The form, and what came of the query.

    Raises:
        LimitError: the texts are too long for an address.
        UnknownModelError: there is no such version.
    """
    if len(query) + len(history) > LONGEST:
        raise LimitError(f"a query and its conversation have together at most {LONGEST} characters here")
    values: dict[str, Any] = {"query": query, "history": history, "version": version, "longest": LONGEST}
    if query.strip():
        values |= await _answer(request, query, history, version)
    return page(request, "playground.html", title="Playground", asked=bool(query.strip()), **values)


async def _answer(request: Request, query: str, history: str, version: str) -> dict[str, Any]:
    service, turns = service_of(request), read_conversation(history)
    found = await service.explain(query, CANDIDATES, turns)
    others: OtherVersions = request.app.state.others
    other = await _by_version(service, others, version, query, turns) if version else None
    return {
        "found": found,
        "decision": found.decision,
        "domains": _domains(found)[:DOMAINS],
        "left_out": _left_out(found.decision),
        "spaces": _spaces(found, service),
        "stages": _stages(found.decision),
        "other": other,
        "other_spaces": _spaces(other, service)[:1] if other else [],
        "versions": (await asyncio.to_thread(listed_versions, service, Filter(domain=found.decision.domain)))[
            :VERSIONS
        ],
        "permalink": _permalink(query, history, version),
        "curl": curl(str(request.base_url), query, turns, keys=not request.app.state.sessions.local),
    }


async def _by_version(
    service: Service, others: OtherVersions, version: str, query: str, turns: Sequence[Turn]
) -> Explanation:
    trial = await asyncio.to_thread(others.load, version)
    return await service.explain(query, CANDIDATES, turns, trial.state)


def read_conversation(text: str) -> list[Turn]:
    """Earlier messages, one a line that begins with ``user:`` or ``assistant:``; other lines go on with the one before.

    A first line without a role is the user's.
    """
    turns: list[dict[str, str]] = []
    for line in text.splitlines():
        if found := _ROLE.fullmatch(line):
            turns.append({"role": found[1].lower(), "content": found[2]})
        elif turns:
            turns[-1]["content"] += f"\n{line}"
        elif line.strip():
            turns.append({"role": "user", "content": line})
    return list(turns)


def curl(base: str, query: str, turns: Sequence[Turn], *, keys: bool) -> str:
    """A command that decides the query over the API.

    Args:
        base: URL of the server.
        query: the query.
        turns: earlier messages.
        keys: whether the server needs a key.
    """
    body = json.dumps({"query": query, **({"history": list(turns)} if turns else {})})
    parts = ["curl", "--silent", shlex.quote(f"{base}v1/route"), "--header", "'Content-Type: application/json'"]
    if keys:
        parts += ["--header", '"Authorization: Bearer $DOMAIN_ROUTER_KEY"']
    return " ".join([*parts, "--data", shlex.quote(body)])


def _permalink(query: str, history: str, version: str) -> str:
    given = {"query": query, "history": history, "version": version}
    return f"{PATH}?{urlencode({name: value for name, value in given.items() if value}, errors='replace')}"


def _domains(found: Explanation) -> list[DomainBar]:
    """The domains, the likeliest first."""
    evidence = found.evidence.domains if found.evidence else {}
    rows = []
    for name, probability in sorted(found.decision.domains.items(), key=lambda each: -each[1]):
        spoke = evidence.get(name)
        words = [*spoke.features.items()] if spoke else []
        drawn = bar(probability, f"{name}: {probability:.3f}")
        rows.append(DomainBar(name, probability, drawn, words, spoke.similarity if spoke else None))
    return rows


def _left_out(decision: Decision) -> tuple[int, float]:
    """How many domains are not shown, and how probable they are together."""
    others = sorted(decision.domains.values(), reverse=True)[DOMAINS:]
    return len(others), sum(others)


def _spaces(found: Explanation, service: Service) -> list[Space]:
    base, decision = service.router.served_domains.base.name, found.decision
    return [
        _space(f"Space of {decision.domain}", decision.model_version, found.nearest, found.threshold),
        _space("Space of the base model", base, found.nearest_in_general, found.threshold),
    ]


def _space(title: str, model: str, nearest: Sequence[Neighbour], threshold: float | None) -> Space:
    rows = [
        Near(each.route, each.utterance, each.cosine, bar(each.cosine, f"{each.cosine:.3f}", threshold))
        for each in nearest
    ]
    least = -1.0 if threshold is None else threshold
    return Space(
        title, model, [row for row in rows if row.cosine >= least], [row for row in rows if row.cosine < least]
    )


def _stages(decision: Decision) -> list[Stage]:
    total = max(decision.timings_ms.get("total", 0.0), 1e-9)
    return [Stage(name, ms, bar(ms / total, f"{name}: {ms} ms")) for name, ms in decision.timings_ms.items()]

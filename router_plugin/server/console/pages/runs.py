"""Training runs that report to this server: how far they are, their results, and several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from router_plugin.server.console.guard import POLICY, ROOT
from router_plugin.server.console.rendering import page, service_of
from router_plugin.server.errors import RequestError
from router_plugin.server.runs.comparing import (
    compared_metrics,
    dev_chart,
    dev_metrics,
    differing,
    loss_chart,
    settings_of,
    test_metrics,
)
from router_plugin.server.runs.endpoints import runs_of
from router_plugin.server.runs.reports import Run, RunId

router = APIRouter()

RUNS = f"{ROOT}/runs"
MOST = 4
"""Runs that are shown side by side."""
WITH_FRAMES = {"Content-Security-Policy": f"{POLICY}; frame-src 'self'"}
"""Of pages that show reports, each in a frame of its own."""
REPORT = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'"}
"""Of a report, which comes from outside: it runs no script, loads nothing, leads nowhere, and is of no origin."""

Id = Annotated[RunId, Path(alias="id")]


@router.get(RUNS)
def show(request: Request) -> Response:
    """All runs."""
    store = service_of(request).runs
    return page(request, "runs.html", title="Training runs", most=MOST, kept=store is not None, **_listed(request))


@router.get(f"{RUNS}/live")
def live(request: Request, seen: str = "") -> Response:
    """What changes in the list, for a page that has it already.

    Args:
        request: that is answered.
        seen: the states that the page shows.
    """
    return page(request, "runs_live.html", seen=seen, **_listed(request))


@router.get(f"{RUNS}/compare")
def compare(request: Request, run: Annotated[list[RunId], Query()] = []) -> Response:  # noqa: B006
    """Some runs side by side.

    Raises:
        RequestError: not two to four runs.
    """
    if not 2 <= len(set(run)) <= MOST:
        raise RequestError(f"choose 2 to {MOST} runs to compare")
    store = runs_of(service_of(request))
    runs = [store.get(each) for each in dict.fromkeys(run)]
    labels = [f"{number}. {each.report.name}" for number, each in enumerate(runs, 1)]
    reports = [each.report for each in runs]
    found = page(
        request,
        "compare_runs.html",
        title="Training runs compared",
        runs=list(zip(labels, runs, strict=True)),
        states=_states(runs),
        options=differing(reports),
        charts={name: dev_chart(dict(zip(labels, reports, strict=True)), name) for name in dev_metrics(reports)[:3]},
        measured=compared_metrics(runs),
    )
    found.headers.update(WITH_FRAMES)
    return found


@router.get(f"{RUNS}/{{id}}")
def show_run(request: Request, run: Id) -> Response:
    """One run."""
    found = runs_of(service_of(request)).get(run)
    answer = page(request, "run.html", title=found.report.name or "Training run", **_one(found))
    answer.headers.update(WITH_FRAMES)
    return answer


@router.get(f"{RUNS}/{{id}}/live")
def live_run(request: Request, run: Id, state: str = "") -> Response:
    """What changes of a run while it goes on, for a page that has it already.

    Args:
        request: that is answered.
        run: its identifier.
        state: that the page shows.
    """
    found = runs_of(service_of(request)).get(run)
    values = _one(found)
    answer = page(request, "run_live.html", seen=state, **values)
    if values["state"] not in ("running", "silent"):
        answer.headers["HX-Refresh"] = "true"
    return answer


@router.get(f"{RUNS}/{{id}}/report")
def report(request: Request, run: Id) -> Response:
    """The report page that a run sent."""
    return HTMLResponse(runs_of(service_of(request)).page(run), headers=REPORT)


@router.post(f"{RUNS}/{{id}}/delete")
def delete(request: Request, run: Id) -> Response:
    """Delete all that is kept of a run."""
    runs_of(service_of(request)).remove(run)
    return RedirectResponse(RUNS, 303)


def _listed(request: Request) -> dict[str, Any]:
    """What the list is made of."""
    store = service_of(request).runs
    runs = store.all() if store else []
    states = _states(runs)
    return {"runs": runs, "states": states, "summary": _summary(list(states.values()))}


def _summary(states: Sequence[str]) -> str:
    """How many runs are in which state, in words."""
    known = [(state, states.count(state)) for state in ("running", "silent", "finished", "failed", "interrupted")]
    return ", ".join(f"{count} {state}" for state, count in known if count) or "none"


def _states(runs: Sequence[Run]) -> dict[str, str]:
    """The state of each run by its identifier."""
    now = datetime.now(timezone.utc)
    return {run.id: run.state(now) for run in runs}


def _one(run: Run) -> dict[str, Any]:
    """What the page of a run is made of."""
    metrics = dev_metrics([run.report])
    return {
        "run": run,
        "state": _states([run])[run.id],
        "metrics": metrics,
        "loss": loss_chart(run.report),
        "charts": {name: dev_chart({run.report.name: run.report}, name) for name in metrics[:1]},
        "settings": settings_of(run.report),
        "tests": test_metrics(run.report),
    }

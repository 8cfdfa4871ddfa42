"""What training runs with ``--report-to`` send to."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from router_plugin.server.endpoints.of_service import ServiceNow
from router_plugin.server.errors import NotServingError
from router_plugin.server.reporting.answers import ErrorAnswer, documented
from router_plugin.server.runs.reports import MAX_PAGE, RunId, RunReport
from router_plugin.server.runs.store import RunStore
from router_plugin.server.service import Service

router = APIRouter(prefix="/v1/runs", tags=["training runs"], responses=documented(ErrorAnswer))

IdInPath = Annotated[RunId, Path(alias="id", description="Chosen at random by the run.")]


class Kept(BaseModel):
    """It is kept."""

    status: Literal["kept"] = "kept"


class ReportPage(BaseModel):
    """The report page of a run."""

    html: str = Field(max_length=MAX_PAGE)


@router.put("/{id}")
def put_run(run: IdInPath, report: RunReport, service: ServiceNow) -> Kept:
    """Keep the state of a training run, in place of the earlier one."""
    runs_of(service).put(run, report)
    return Kept()


@router.put("/{id}/page")
def put_page(run: IdInPath, page: ReportPage, service: ServiceNow) -> Kept:
    """Keep the report page of a training run that has finished."""
    runs_of(service).put_page(run, page.html)
    return Kept()


def runs_of(service: Service) -> RunStore:
    """The runs that a server keeps.

    Raises:
        NotServingError: it keeps none.
    """
    if service.runs is None:
        raise NotServingError("this server keeps no training runs: start it with --runs FOLDER")
    return service.runs

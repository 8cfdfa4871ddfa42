"""The page of a route: its utterances, threshold and domain, what a change would do, and how it is saved."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Form, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from registry import DomainRouterError
from registry.shared.wording import first_fault
from router_plugin.errors import RoutesError
from router_plugin.evaluation.confusions import Effect
from router_plugin.routes import Route, check_routes
from router_plugin.routes_text.writing import routes_text
from router_plugin.server.console.guard import ROOT
from router_plugin.server.console.rendering import page, service_of
from router_plugin.server.editing.lines import from_lines, to_lines
from router_plugin.server.editing.route_files import BACKUP, RouteFile, changed_lines, given_route
from router_plugin.server.editing.workshop import Workshop
from router_plugin.server.errors import NotFoundError, NotServingError, RequestError
from router_plugin.server.service import Service

router = APIRouter()

PATH = f"{ROOT}/routes/edit"
CHANGES = 100
"""Changed decisions that are shown."""

Text = Annotated[str, Form()]


class Draft(NamedTuple):
    """What stands in the form."""

    utterances: str
    threshold: str
    domain: str
    digest: str

    @classmethod
    def of(cls, route: Route, file: RouteFile | None) -> Draft:
        """The form of a route as it is."""
        threshold = "" if route.threshold is None else f"{route.threshold:g}"
        return cls(to_lines(route.utterances), threshold, ", ".join(route.domains), file.digest if file else "")

    def applied(self, route: Route) -> Route:
        """A route with what stands in the form.

        Raises:
            RoutesError: that is no route.
        """
        changed = {
            "utterances": from_lines(self.utterances),
            "threshold": _number(self.threshold),
            "domain": [name for name in map(str.strip, self.domain.split(",")) if name] or None,
        }
        try:
            return Route.model_validate({**route.model_dump(), **changed})
        except ValidationError as error:
            raise RoutesError(first_fault(error)) from error


@router.get(PATH)
def show(request: Request, name: str = "", saved: bool = False) -> Response:
    """The form.

    Raises:
        NotFoundError: there is no such route.
    """
    service = service_of(request)
    route = _route(service, name)
    return _page(request, service, route, Draft.of(route, _file(service, route)), saved=saved)


@router.post(f"{ROOT}/routes/effect")
def show_effect(
    request: Request, name: Text, utterances: Text = "", threshold: Text = "", domain: Text = "", digest: Text = ""
) -> Response:
    """The form with what a change would do."""
    service, draft = service_of(request), Draft(utterances, threshold, domain, digest)
    route, workshop = _route(service, name), request.app.state.workshop
    try:
        wanted = draft.applied(route)
        check_routes([wanted], service.router.domains)
        file = _file(service, route)
        lines = changed_lines(file.text, file.changed(route, wanted)) if file else []
        return _page(request, service, route, draft, wanted=wanted, lines=lines, **_effect(workshop, route, wanted))
    except DomainRouterError as error:
        return _failed(request, service, route, draft, error)


def _effect(workshop: Workshop, route: Route, wanted: Route) -> dict[str, Any]:
    if wanted == route:
        return {}
    try:
        found: Effect | None = workshop.effect(wanted) if workshop.file else None
    except DomainRouterError as error:  # the change can be saved nevertheless
        return {"fault": str(error)}
    return {"effect": found}


@router.post(f"{ROOT}/routes/save")
def save(
    request: Request, name: Text, utterances: Text = "", threshold: Text = "", domain: Text = "", digest: Text = ""
) -> Response:
    """Save the route in its file, and serve it."""
    service, draft = service_of(request), Draft(utterances, threshold, domain, digest)
    route = _route(service, name)
    try:
        if service.route_files is None:
            raise NotServingError("this server does not know the file of its routes: download it, and change it there")
        service.route_files.save(draft.applied(route), digest, service.router)
    except DomainRouterError as error:
        return _failed(request, service, route, draft, error)
    return RedirectResponse(f"{PATH}?{urlencode({'name': name, 'saved': '1'})}", 303)


@router.post(f"{ROOT}/routes/download")
def download(request: Request, name: Text, utterances: Text = "", threshold: Text = "", domain: Text = "") -> Response:
    """The file with the changed route; where it is not known, all routes in a new one."""
    service, draft = service_of(request), Draft(utterances, threshold, domain, "")
    route = _route(service, name)
    try:
        wanted = draft.applied(route)
        file = _file(service, route)
        if file:
            text, called = file.changed(route, wanted), file.path.name
        else:
            given = service.router.state.given
            text, called = routes_text([wanted if each.name == name else each for each in given]), "routes.yaml"
    except DomainRouterError as error:
        return _failed(request, service, route, draft, error)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(called, errors='replace')}"}
    return Response(text, media_type="application/yaml", headers=headers)


def _page(request: Request, service: Service, route: Route, draft: Draft, status: int = 200, **values: Any) -> Response:
    """The form, and what is known of its change."""
    state, file = service.router.state, _file(service, route)
    served = next(each for each in state.served.routes if each.name == route.name)
    known: dict[str, Any] = {"saved": False, "fault": "", "effect": None, "lines": [], "wanted": None}
    return page(
        request,
        "route.html",
        status,
        title=route.name,
        route=route,
        draft=draft,
        threshold=state.threshold if served.threshold is None else served.threshold,
        fitted=route.name in state.fitted.thresholds,
        domains=service.router.domains,
        file=file,
        backup=f"{file.path.name}{BACKUP}" if file else "",
        labelled=request.app.state.workshop.file,
        workers=service.options.workers,
        shown=CHANGES,
        **{**known, **values},
    )


def _failed(request: Request, service: Service, route: Route, draft: Draft, error: DomainRouterError) -> Response:
    status = error.status if isinstance(error, RequestError) else 400
    return _page(request, service, route, draft, status, fault=str(error))


def _route(service: Service, name: str) -> Route:
    try:
        return given_route(service.router.state, name)
    except RoutesError as error:
        raise NotFoundError(str(error), "name") from error


def _file(service: Service, route: Route) -> RouteFile | None:
    return service.route_files.holding(route) if service.route_files else None


def _number(text: str) -> float | None:
    try:
        return float(text) if text.strip() else None
    except ValueError:
        raise RoutesError(f"threshold {text!r}: expected a number from -1 to 1, or nothing") from None

"""The page of a route, there or new: what it has, what a change or its removal would do, and how that is saved."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Form, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from registry import DomainRouterError
from registry.shared.wording import first_fault
from router_plugin.errors import RoutesError
from router_plugin.evaluation.confusions import Effect
from router_plugin.routes import Route, check_routes
from router_plugin.routes_text.editing import RouteChange
from router_plugin.routes_text.writing import routes_text
from router_plugin.server.console.guard import ROOT
from router_plugin.server.console.rendering import page, service_of
from router_plugin.server.editing.lines import from_lines, to_lines
from router_plugin.server.editing.route_files import BACKUP, RouteFile, changed_lines, check_names, given_route
from router_plugin.server.editing.workshop import Workshop
from router_plugin.server.errors import NotFoundError, NotServingError, RequestError
from router_plugin.server.service import Service

router = APIRouter()

PATH = f"{ROOT}/routes/edit"
CHANGES = 100
"""Changed decisions that are shown."""

Text = Annotated[str, Form()]


class Draft(NamedTuple):
    """What stands in the form.

    Attributes:
        route: name of the route that is changed; empty for a new one.
        name: that it gets.
        utterances: one a line.
        threshold: a number, or nothing.
        domain: several are separated by commas.
        digest: of the file when the form was made.
        remove: whether the route is to be removed.
    """

    route: str = ""
    name: str = ""
    utterances: str = ""
    threshold: str = ""
    domain: str = ""
    digest: str = ""
    remove: bool = False

    @classmethod
    def of(cls, route: Route, file: RouteFile | None) -> Draft:
        """The form of a route as it is."""
        threshold = "" if route.threshold is None else f"{route.threshold:g}"
        domains, digest = ", ".join(route.domains), file.digest if file else ""
        return cls(route.name, route.name, to_lines(route.utterances), threshold, domains, digest)

    def change(self, route: Route | None) -> RouteChange:
        """What stands in the form, of a route that is there or None.

        Raises:
            RoutesError: that is no route.
        """
        if self.remove:
            return RouteChange(route, None)
        changed = {
            "name": self.name,
            "utterances": from_lines(self.utterances),
            "threshold": _number(self.threshold),
            "domain": [name for name in map(str.strip, self.domain.split(",")) if name] or None,
        }
        try:
            return RouteChange(route, Route.model_validate({**(route.model_dump() if route else {}), **changed}))
        except ValidationError as error:
            raise RoutesError(first_fault(error)) from error


def _draft(
    route: Text = "",
    name: Text = "",
    utterances: Text = "",
    threshold: Text = "",
    domain: Text = "",
    digest: Text = "",
    remove: Annotated[bool, Form()] = False,
) -> Draft:
    return Draft(route, name, utterances, threshold, domain, digest, remove)


FromForm = Annotated[Draft, Depends(_draft)]


class Edited(NamedTuple):
    """A form, and what it is about.

    Attributes:
        draft: what stands in it.
        route: that it changes; None for a new one.
        file: that this route stands in, or is added to; None where that is not known.
    """

    draft: Draft
    route: Route | None
    file: RouteFile | None

    @classmethod
    def of(cls, service: Service, draft: Draft) -> Edited:
        """A form that was sent.

        Raises:
            NotFoundError: there is no such route.
        """
        files = service.route_files
        if draft.route:
            route = _route(service, draft.route)
            return cls(draft, route, files.holding(route) if files else None)
        chosen = (each for each in (files.files if files else ()) if each.digest == draft.digest)
        return cls(draft, None, next(chosen, None))


@router.get(PATH)
def show(request: Request, name: str, saved: bool = False) -> Response:
    """The form of a route.

    Raises:
        NotFoundError: there is no such route.
    """
    service = _present(request)
    route = _route(service, name)
    file = service.route_files.holding(route) if service.route_files else None
    return _page(request, Edited(Draft.of(route, file), route, file), saved=saved)


@router.get(f"{ROOT}/routes/new")
def show_new(request: Request) -> Response:
    """The form of a new route."""
    files = _present(request).route_files
    file = files.files[0] if files and files.files else None
    return _page(request, Edited(Draft(digest=file.digest if file else ""), None, file))


@router.post(f"{ROOT}/routes/effect")
def show_effect(request: Request, draft: FromForm) -> Response:
    """The form with what a change would do."""
    service = _present(request)
    edited = Edited.of(service, draft)
    try:
        change = draft.change(edited.route)
        routes = change.of(service.router.state.given)
        check_routes(routes, service.router.domains)
        check_names(routes)
        lines = changed_lines(edited.file.text, edited.file.changed(change)) if edited.file else []
        return _page(request, edited, change=change, lines=lines, **_effect(request.app.state.workshop, change))
    except DomainRouterError as error:
        return _failed(request, edited, error)


def _effect(workshop: Workshop, change: RouteChange) -> dict[str, Any]:
    if change.before == change.after:
        return {}
    try:
        found: Effect | None = workshop.effect(change) if workshop.file else None
    except DomainRouterError as error:  # the change can be saved nevertheless
        return {"fault": str(error)}
    return {"effect": found}


@router.post(f"{ROOT}/routes/save")
def save(request: Request, draft: FromForm) -> Response:
    """Save a change in the file of its route, and serve it."""
    service = _present(request)
    edited = Edited.of(service, draft)
    try:
        if service.route_files is None:
            raise NotServingError("this server does not know the file of its routes: download it, and change it there")
        change = draft.change(edited.route)
        service.route_files.save(change, draft.digest, service.router)
    except DomainRouterError as error:
        return _failed(request, edited, error)
    if change.after is None:
        return RedirectResponse(f"{ROOT}/routes?removed=1", 303)
    return RedirectResponse(f"{PATH}?{urlencode({'name': change.after.name, 'saved': '1'})}", 303)


@router.post(f"{ROOT}/routes/download")
def download(request: Request, draft: FromForm) -> Response:
    """The file with the change; where it is not known, all routes in a new one."""
    service = _present(request)
    edited = Edited.of(service, draft)
    try:
        change = draft.change(edited.route)
        if edited.file:
            text, called = edited.file.changed(change), edited.file.path.name
        else:
            text, called = routes_text(change.of(service.router.state.given)), "routes.yaml"
    except DomainRouterError as error:
        return _failed(request, edited, error)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(called, errors='replace')}"}
    return Response(text, media_type="application/yaml", headers=headers)


def _page(request: Request, edited: Edited, status: int = 200, **values: Any) -> Response:
    """The form, and what is known of its change."""
    service, (draft, route, file) = service_of(request), edited
    state = service.router.state
    served = next((each.threshold for each in state.served.routes if route and each.name == route.name), None)
    known: dict[str, Any] = {"saved": False, "fault": "", "effect": None, "lines": [], "change": None}
    return page(
        request,
        "route.html",
        status,
        title=route.name if route else "New route",
        route=route,
        draft=draft,
        threshold=state.threshold if served is None else served,
        fitted=bool(route and route.name in state.fitted.thresholds),
        domains=service.router.domains,
        file=file,
        files=service.route_files.files if service.route_files else (),
        backup=f"{file.path.name}{BACKUP}" if file else "",
        labelled=request.app.state.workshop.file,
        shown=CHANGES,
        **{**known, **values},
    )


def _failed(request: Request, edited: Edited, error: DomainRouterError) -> Response:
    status = error.status if isinstance(error, RequestError) else 400
    return _page(request, edited, status, fault=str(error))


def _present(request: Request) -> Service:
    """The service with the routes that the files have now: another process may have saved them a moment ago."""
    service = service_of(request)
    if service.route_files:
        service.route_files.look(service.router)
    return service


def _route(service: Service, name: str) -> Route:
    try:
        return given_route(service.router.state, name)
    except RoutesError as error:
        raise NotFoundError(str(error), "name") from error


def _number(text: str) -> float | None:
    try:
        return float(text) if text.strip() else None
    except ValueError:
        raise RoutesError(f"threshold {text!r}: expected a number from -1 to 1, or nothing") from None

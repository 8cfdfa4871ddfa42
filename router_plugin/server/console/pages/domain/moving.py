"""Promotions and rollbacks, which need a reason."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from registry import (
    ChangedError,
    GateError,
    Mover,
    NotPermittedError,
    NotRegisteredError,
    Registry,
    RegistryError,
)
from registry.aliasing.moves import LONGEST_WHY, Reason
from registry.store import KEY_VARIABLE
from router_plugin.server.console.pages.domain.place import ADDRESS, LARGEST, address_of, registry_of
from router_plugin.server.console.rendering import page, service_of
from router_plugin.server.errors import RequestError

router = APIRouter()

Number = Annotated[int, Form(ge=1, le=LARGEST)]
Expected = Annotated[int, Form(ge=0, le=LARGEST)]
Text = Annotated[str, Form(max_length=2 * LONGEST_WHY)]


@router.post(f"{ADDRESS}/promote")
def promote(
    request: Request, domain: str, version: Number, expected: Expected, why: Text = "", key: Text = ""
) -> Response:
    """Make a version the champion, if the gate lets it."""
    registry = _writable(request, domain)
    reason, mover = _reason("promote", why), _mover(request, key)
    try:
        registry.promote(f"{domain}@{version}", reason, mover=mover, replacing=expected)
    except RegistryError as error:
        return _refused(request, domain, f"{domain}@{version} was not promoted", error)
    return RedirectResponse(address_of(domain), 303)


@router.post(f"{ADDRESS}/roll-back")
def roll_back(request: Request, domain: str, expected: Number, why: Text = "", key: Text = "") -> Response:
    """Make the earlier champion the champion again."""
    registry = _writable(request, domain)
    reason, mover = _reason("rollback", why), _mover(request, key)
    try:
        registry.rollback(domain, reason, mover=mover, replacing=expected)
    except RegistryError as error:
        return _refused(request, domain, f"{domain} was not rolled back", error)
    return RedirectResponse(address_of(domain), 303)


def _writable(request: Request, domain: str) -> Registry:
    registry = registry_of(service_of(request), domain)
    if registry is None:
        raise RequestError(f"{domain} has no versions in a registry: nothing can be promoted")
    return registry


def _reason(kind: str, why: str) -> str:
    """The reason of a form.

    Raises:
        RequestError: there is none, or the history cannot keep it.
    """
    text = why.replace("\r\n", "\n").strip()
    if not text:
        raise RequestError("give a reason: the history keeps it", "why")
    try:
        Reason(kind, text)
    except RegistryError as error:
        raise RequestError(str(error), "why") from error
    return text


def _mover(request: Request, key: str) -> Mover:
    return Mover(request.scope["state"]["session"].name, key.strip() or None)


def _refused(request: Request, domain: str, title: str, error: RegistryError) -> Response:
    """Why nothing was moved.

    Raises:
        RegistryError: it is no refusal, but the registry cannot be written.
    """
    if not isinstance(error, (GateError, ChangedError, NotPermittedError, NotRegisteredError)):
        raise error
    verdicts = error.verdicts if isinstance(error, GateError) else ()
    return page(
        request,
        "domain_refused.html",
        403 if isinstance(error, NotPermittedError) else 409,
        title=title,
        domain=domain,
        address=address_of(domain),
        text="" if verdicts else str(error).partition(f": set {KEY_VARIABLE}")[0],
        verdicts=verdicts,
    )

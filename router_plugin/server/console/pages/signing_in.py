"""The page where an administrator signs in, and the way out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from router_plugin.server.console.guard import ROOT, SIGN_IN, cookie_header
from router_plugin.server.console.rendering import page

router = APIRouter()


@router.get(SIGN_IN)
def show(request: Request, next: str = ROOT) -> Response:
    """The form for a key."""
    return page(request, "sign_in.html", wanted=_own(next), wrong=False, possible=request.app.state.sessions.possible)


@router.post(SIGN_IN)
def sign_in(request: Request, key: Annotated[str, Form()] = "", next: Annotated[str, Form()] = ROOT) -> Response:
    """Start a session, and show what was asked for before."""
    sessions = request.app.state.sessions
    cookie = sessions.start(key.strip())
    if cookie is None:
        return page(request, "sign_in.html", 401, wanted=_own(next), wrong=True, possible=sessions.possible)
    return RedirectResponse(_own(next), 303, {"Set-Cookie": cookie_header(cookie, request.scope)})


@router.post(f"{ROOT}/sign-out")
def sign_out(request: Request) -> Response:
    """End a session."""
    request.app.state.sessions.end(request.state.session)
    return RedirectResponse(SIGN_IN, 303, {"Set-Cookie": cookie_header("", request.scope)})


def _own(path: str) -> str:
    """A path of the console; where it leads elsewhere, the first page."""
    return path if path == ROOT or path.startswith((f"{ROOT}/", f"{ROOT}?")) else ROOT

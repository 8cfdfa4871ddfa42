"""What every request to the console passes: the host, the session, the token of a form, and headers of the answer."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response

from router_plugin.server.console.sessions import COOKIE, LASTS, Session, Sessions
from router_plugin.server.errors import NotAllowedError, RequestError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ROOT = "/console"
SIGN_IN = f"{ROOT}/sign-in"
STATIC = f"{ROOT}/static/"
TOKEN = "token"
"""Field of every form, and header of every request that htmx makes."""
TOKEN_HEADER = "x-console-token"
_FORM = "application/x-www-form-urlencoded"
_LINKED = re.compile(rf"{ROOT}(/sign-in|/routes|/runs|/runs/[0-9a-f]{{32}}|/domains/[^/]+)?")
"""Paths of pages that start no work. Other sites may link to these, and to no others."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content security policy: no script and no style but the console's own files, and no other host."""
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send forms without their origin
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Lets through who has a session; what changes something needs its token, too."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        """
        Args:
            app: the console. What stands before this guard hands on the body of a request in one message, as Bounds do.
            sessions: of its users.
        """
        self._app, self._sessions = app, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on, a request.

        Raises:
            NotAllowedError: the request comes by another name of this host, or from a page of another site that may not
                make it, or it is a form without its session's token.
            RequestError: the name of the host is malformed, or the form is of another kind than the pages have.
            ServerError: it cannot be read which sessions have ended.
        """
        headers = Headers(scope=scope)
        self._check_host(headers.get("host", ""))
        changes = scope["method"] not in ("GET", "HEAD")
        if changes and headers.get("content-type", _FORM).partition(";")[0] != _FORM:
            raise RequestError(f"a form is sent as {_FORM}: others can hold what is no text")
        static = scope["path"].startswith(STATIC)
        session, started = (None, None) if static else await self._session(scope, headers)
        scope.setdefault("state", {})["session"] = session
        answer = Answer(send, scope, started)
        if static or scope["path"] == SIGN_IN:
            await self._app(scope, receive, answer)
        elif session is None:
            await _to_sign_in(scope, headers)(scope, receive, answer)
        else:
            if changes:
                whole = await receive()
                _check_form(headers, whole["body"], session)
                receive = _again(whole, receive)
            await self._app(scope, receive, answer)

    async def _session(self, scope: Scope, headers: Headers) -> tuple[Session | None, str | None]:
        """The session of a request, and the cookie of one that begins with it."""
        _check_site(scope, headers)
        session = await asyncio.to_thread(self._sessions.read, _cookie(headers))
        if session or not self._sessions.local:
            return session, None
        started = self._sessions.start()
        return (self._sessions.read(started) if started else None), started

    def _check_host(self, host: str) -> None:
        """Where nobody signs in, a page of another site must not reach the server by a name that it made up."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            raise RequestError("the header Host is malformed") from None
        if self._sessions.local and not _is_loopback(name):
            raise NotAllowedError(f"{ROOT} is for this machine alone without keys: open it at localhost")


class Answer:
    """Sends an answer with the console's headers."""

    def __init__(self, send: Send, scope: Scope, cookie: str | None = None) -> None:
        """
        Args:
            send: the answer to whom.
            scope: of the request.
            cookie: of a session that begins with it.
        """
        self._send, self._scope, self._cookie = send, scope, cookie

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
            if self._cookie:
                headers.append("Set-Cookie", cookie_header(self._cookie, self._scope))
        await self._send(message)


def _check_site(scope: Scope, headers: Headers) -> None:
    """Let pages of other sites do no more than link to pages that start no work.

    Browsers say where a request comes from in ``Sec-Fetch-Site`` (W3C Fetch Metadata), if the server is on their own
    machine or has HTTPS. Where they do not, other sites cannot send the cookie of a session.

    Raises:
        NotAllowedError: a page of another site wants more.
    """
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return
    follows = scope["method"] in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
    if not (follows and _LINKED.fullmatch(scope["path"])):
        raise NotAllowedError(f"another site cannot open this page: open {ROOT}, or type its address")


def cookie_header(value: str, scope: Scope) -> str:
    """The header that sets the cookie of a session; an empty value ends it."""
    parts = [f"{COOKIE}={value}", f"Path={ROOT}", f"Max-Age={LASTS if value else 0}", "HttpOnly", "SameSite=Strict"]
    return "; ".join([*parts, "Secure"] if scope.get("scheme") == "https" else parts)


def _cookie(headers: Headers) -> str:
    """Ours among all of this host, where those of other programs may have any form."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "")


def _to_sign_in(scope: Scope, headers: Headers) -> Response:
    """Where somebody signs in, and comes back from."""
    query = scope["query_string"].decode("latin-1")
    wanted = scope["path"] + (f"?{query}" if query else "") if scope["method"] == "GET" else ROOT
    place = f"{SIGN_IN}?next={quote(wanted)}"
    if headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": SIGN_IN})
    return RedirectResponse(place, 303)


def _check_form(headers: Headers, body: bytes, session: Session) -> None:
    """Make sure that a form is one of the session's own pages.

    Raises:
        NotAllowedError: it is not.
    """
    origin = headers.get("origin")
    given = headers.get(TOKEN_HEADER)
    if given is None and headers.get("content-type", "").partition(";")[0] == _FORM:
        given = next(iter(parse_qs(body.decode("latin-1"), keep_blank_values=True).get(TOKEN, [])), None)
    same = origin is None or origin.partition("://")[2] == headers.get("host")
    if not same or not hmac.compare_digest((given or "").encode(), session.token.encode()):
        raise NotAllowedError("this form is not of your session: load the page again and repeat what you did")


def _again(message: Message, receive: Receive) -> Receive:
    """A message that was taken, and those after it."""
    taken = [message]

    async def read() -> Message:
        return taken.pop() if taken else await receive()

    return read


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")

"""Files of the console's pages, under addresses that change with their content."""

from __future__ import annotations

import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

from registry.pages.templates import SHARED
from router_plugin.server.console.guard import STATIC
from router_plugin.server.errors import NotFoundError

FOLDER = Path(__file__).with_name("static")
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}

router = APIRouter()


@cache
def files() -> dict[str, Path]:
    """Every file by its name in an address: the shared style of all pages, and what is in the folder."""
    found = {path.relative_to(FOLDER).as_posix(): path for path in sorted(FOLDER.rglob("*")) if path.is_file()}
    return {**found, "page.css": SHARED / "page.css"}


@cache
def address(name: str) -> str:
    """Where a file is; another address for another content, so that browsers may keep it.

    Raises:
        KeyError: there is none of this name.
    """
    return f"{STATIC}{_digest(name)}/{name}"


@cache
def _digest(name: str) -> str:
    return hashlib.sha256(files()[name].read_bytes()).hexdigest()[:16]


@router.get(f"{STATIC}{{digest}}/{{name:path}}")
def static(digest: str, name: str) -> Response:
    """A file.

    Raises:
        NotFoundError: there is none, or another by now.
    """
    if name not in files() or digest != _digest(name):
        raise NotFoundError(f"{name}: there is no such file")
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    return Response(files()[name].read_bytes(), media_type=kind, headers=_FOR_EVER)

"""Where another router reaches the server."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from router_plugin.errors import ExportError

_PORTS = {"http": 80, "https": 443}


class ServerAddress(NamedTuple):
    """The address of a server.

    Attributes:
        scheme: ``http`` or ``https``.
        host: name or number; one of IPv6 in brackets.
        port: of the server itself.
    """

    scheme: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as a URL without a path."""
        return f"{self.scheme}://{self.host}:{self.port}"


def read_address(text: str) -> ServerAddress:
    """The address that a URL names.

    Raises:
        ExportError: it is none, or has a path or more behind host and port.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in _PORTS or parts.username or f"{parts.path}{parts.query}{parts.fragment}" > "/":
        raise ExportError(f"`server` {text!r}: expected a URL without a path, like http://domain-router:8700")
    return ServerAddress(parts.scheme, f"[{host}]" if ":" in host else host, port or _PORTS[parts.scheme])

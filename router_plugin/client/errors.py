"""Errors of the client, by what helps: trying later, asking otherwise, or another server."""

from __future__ import annotations

from registry import DomainRouterError


class ClientError(DomainRouterError):
    """A server did not answer a call; the text has its address and what it said.

    Attributes:
        status: of HTTP; None where there was no answer.
        code: that the server gave for machines, like ``model_not_found``; None where it gave none.
    """

    def __init__(self, text: str, status: int | None = None, code: str | None = None) -> None:
        super().__init__(text)
        self.status, self.code = status, code


class UnavailableError(ClientError):
    """The server cannot be reached, has too much work, or failed: the same call may succeed later."""


class RefusedError(ClientError):
    """The server refused the call: what was asked for is wrong, or the key is."""


class UnexpectedAnswerError(ClientError):
    """What answered is no server of this project, or one of another version."""

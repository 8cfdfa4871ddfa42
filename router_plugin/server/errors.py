"""What the server answers instead of a result: statuses, and texts that say what to do."""

from __future__ import annotations

from registry import DomainRouterError


class RequestError(DomainRouterError):
    """A request that is not answered.

    Attributes:
        status: of HTTP.
        parameter: of the request, that is wrong; None where it is not about one.
        code: for machines.
        retry_after: seconds after which the client may try again; None where that does not help.
    """

    status = 400
    code = "invalid_request"
    retry_after: int | None = None

    def __init__(self, text: str, parameter: str | None = None) -> None:
        super().__init__(text)
        self.parameter = parameter


class NotFoundError(RequestError):
    """There is nothing at this address, or no longer."""

    status, code = 404, "not_found"


class UnknownModelError(RequestError):
    """No domain or version has this name."""

    status, code = 404, "model_not_found"


class UnknownToolError(RequestError):
    """No tool has this name."""

    status, code = 404, "tool_not_found"


class TooLargeError(RequestError):
    """The body of the request is too large."""

    status, code = 413, "request_too_large"


class LimitError(RequestError):
    """A request is understood, but has more texts or characters than are allowed, or values out of range."""

    status, code = 422, "limit_exceeded"


class NotAllowedError(RequestError):
    """The key does not allow this."""

    status, code = 403, "forbidden"


class NoKeyError(RequestError):
    """There is no key, or an unknown one."""

    status, code = 401, "invalid_api_key"


class OverloadedError(RequestError):
    """Too much work waits."""

    status, code = 429, "overloaded"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"the server is overloaded: try again in {seconds} s")
        self.retry_after = seconds


class RateLimitError(RequestError):
    """A key was used too often."""

    status, code = 429, "rate_limit_exceeded"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"this key has used up its requests: try again in {seconds} s")
        self.retry_after = seconds


class TimedOutError(RequestError):
    """A request took too long."""

    status, code = 504, "timeout"


class NotServingError(RequestError):
    """The server cannot answer this at all, as it is set up, or not now."""

    status, code = 503, "not_available"

"""Signatures of deliveries: made by the sender, verified by receivers. The same form as Stripe's."""

from __future__ import annotations

import hashlib
import hmac
import time

SIGNATURE = "X-Domain-Router-Signature"
EVENT_ID = "X-Domain-Router-Event-Id"
TOLERANCE_SECONDS = 300


def sign(body: bytes, secret: str, at: int | None = None) -> str:
    """The value of the header :data:`SIGNATURE`: the time, and the HMAC-SHA256 of ``time.body``."""
    at = int(time.time()) if at is None else at
    return f"t={at},v1={_digest(body, secret, at)}"


def verify_webhook(header: str, body: bytes, secret: str, tolerance: float = TOLERANCE_SECONDS) -> bool:
    """Whether a request was sent by who knows the secret, and just now.

    Compare before parsing the body, and with the bytes as they were received.

    Args:
        header: value of ``X-Domain-Router-Signature``. It may hold several signatures, of which one must be right.
        body: of the request.
        secret: shared with the sender.
        tolerance: seconds that the request may be old, or the clocks may differ.
    """
    parts = [part.strip().partition("=")[::2] for part in header.split(",")]
    times = [value for name, value in parts if name == "t"]
    if not secret or len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) <= 12):
        return False
    at = int(times[0])
    expected = _digest(body, secret, at).encode()
    given = [value.encode() for name, value in parts if name == "v1"]
    right = [hmac.compare_digest(expected, each) for each in given]
    return any(right) and abs(time.time() - at) <= tolerance


def _digest(body: bytes, secret: str, at: int) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()

"""The request id and trace of an operation, with the same names on both sides of the wire.

`traceparent` is that of W3C Trace Context, level 1. KTRDR records no spans of its own and passes on the value that it
received. An invalid value is replaced: a caller's header must never make a request fail.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Self

REQUEST_ID_HEADER, TRACEPARENT_HEADER = "X-Request-ID", "traceparent"
MAX_REQUEST_ID, MAX_TRACEPARENT = 64, 55
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?"
)


def valid_request_id(text: object) -> str | None:
    """Return the text, or None if it is not a valid request id."""
    return text if isinstance(text, str) and _REQUEST_ID.fullmatch(text) else None


def valid_traceparent(text: object) -> str | None:
    """Return the value as version 00, without the fields of later versions, or None if it is invalid."""
    match = _TRACEPARENT.fullmatch(text) if isinstance(text, str) else None
    if match is None or match["version"] == "ff" or (match["version"] == "00" and match["rest"]):
        return None
    if not match["trace"].strip("0") or not match["parent"].strip("0"):
        return None
    return f"00-{match['trace']}-{match['parent']}-{match['flags']}"


def new_traceparent() -> str:
    """Start a trace; not sampled, since KTRDR does not record it."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


@dataclass(frozen=True, slots=True)
class Trace:
    request_id: str
    traceparent: str

    @classmethod
    def of(cls, request_id: object = None, traceparent: object = None) -> Self:
        """Use the values that are valid and create the others."""
        return cls(
            valid_request_id(request_id) or secrets.token_hex(16),
            valid_traceparent(traceparent) or new_traceparent(),
        )

    @property
    def trace_id(self) -> str:
        return self.traceparent.split("-")[1]

    @property
    def headers(self) -> dict[str, str]:
        return {REQUEST_ID_HEADER: self.request_id, TRACEPARENT_HEADER: self.traceparent}


CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current() -> Trace:
    """Return the trace of the current request or operation, or a new one outside of both."""
    return CURRENT.get() or Trace.of()


def current_headers() -> dict[str, str]:
    """Return the headers for a request to the other side; none outside of a request or operation."""
    trace = CURRENT.get()
    return {} if trace is None else trace.headers


@contextmanager
def use_trace(trace: Trace) -> Iterator[None]:
    """Make `trace` the current one inside the block."""
    token = CURRENT.set(trace)
    try:
        yield
    finally:
        CURRENT.reset(token)

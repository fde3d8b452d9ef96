"""Which request and which trace something belongs to: the same names on both sides of the wire.

`traceparent` is that of W3C Trace Context, level 1. KTRDR records no spans of its own, so it hands on what it was
given. Whatever is unusable is replaced: a header of somebody else's must never make a request fail.
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


def usable_request_id(text: object) -> str | None:
    return text if isinstance(text, str) and _REQUEST_ID.fullmatch(text) else None


def usable_traceparent(text: object) -> str | None:
    """As version 00, also where a later version says more; None where it is not one."""
    found = _TRACEPARENT.fullmatch(text) if isinstance(text, str) else None
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["rest"]):
        return None
    if not found["trace"].strip("0") or not found["parent"].strip("0"):
        return None
    return f"00-{found['trace']}-{found['parent']}-{found['flags']}"


def new_traceparent() -> str:
    """Of a trace that begins here; not sampled, since nobody here records it."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


@dataclass(frozen=True, slots=True)
class Trace:
    request_id: str
    traceparent: str

    @classmethod
    def of(cls, request_id: object = None, traceparent: object = None) -> Self:
        """What was given, as far as it is usable; the rest is made."""
        return cls(
            usable_request_id(request_id) or secrets.token_hex(16),
            usable_traceparent(traceparent) or new_traceparent(),
        )

    @property
    def trace_id(self) -> str:
        return self.traceparent.split("-")[1]

    @property
    def headers(self) -> dict[str, str]:
        return {REQUEST_ID_HEADER: self.request_id, TRACEPARENT_HEADER: self.traceparent}


CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current() -> Trace:
    """That of the work at hand; a new one where nobody asked for it by a request."""
    return CURRENT.get() or Trace.of()


def current_headers() -> dict[str, str]:
    """For a request to the other side; none outside of any work."""
    trace = CURRENT.get()
    return {} if trace is None else trace.headers


@contextmanager
def belonging_to(trace: Trace) -> Iterator[None]:
    before = CURRENT.set(trace)
    try:
        yield
    finally:
        CURRENT.reset(before)

"""The errors of calls to the backend, and which response means which."""

import json
from urllib.parse import urlsplit

import aiohttp

MAX_EXCERPT = 300
IDENTITY = "identity"
"""The content encoding of a body that is not compressed."""


class BackendError(Exception):
    """The backend is unreachable, or its response is not one of the protocol. Trying again may help."""


class Unauthorized(BackendError):
    """The token is invalid or expired; register again."""


class TooBusy(BackendError):
    """The backend asks to try again later."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"the backend is busy; try again in {retry_after_s:g} s")
        self.retry_after_s = retry_after_s


class Refused(BackendError):
    """The backend rejects the request; trying again is useless."""

    def __init__(self, status: int, reason: str, detail: str = "") -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.detail = detail or reason
        """The explanation of problem+json, else the beginning of the response."""


class NoSuchFile(BackendError):
    """The backend does not have the file, or this worker may not read it."""


class Corrupt(BackendError):
    """The downloaded bytes do not have the requested SHA-256 or size."""


async def raise_for(response: aiohttp.ClientResponse) -> None:
    """Raise the error that corresponds to the response, unless it is a success."""
    status = response.status
    encoding = response.headers.get("Content-Encoding", IDENTITY)
    if encoding.lower() != IDENTITY:  # unpacked, a few bytes may fill the memory
        raise BackendError(
            f"the response ({status}) is encoded ({encoding[:80]!r}), which was not requested: "
            "disable the compression of responses in the proxy"
        )
    if 200 <= status < 300:
        return
    content = await response.content.read(4096)
    reason = excerpt(content)
    if status == 401:
        raise Unauthorized(reason)
    if 300 <= status < 400:
        raise BackendError(_redirect_problem(response.headers.get("Location", "")))
    if status == 429:
        raise TooBusy(_retry_after_s(response.headers.get("Retry-After")))
    if 400 <= status < 500 and status != 408:
        raise Refused(status, reason, _detail(content))
    raise BackendError(f"the backend answered {status}: {reason}")


def _redirect_problem(location: str) -> str:
    try:
        parts = urlsplit(location)
        origin = f"{parts.scheme}://{parts.netloc}"[:MAX_EXCERPT] if parts.netloc else "another page"
    except ValueError:
        origin = "another address"
    return (
        f"the backend redirects to {origin}, and a worker follows no redirect: "
        "set KTRDR_API_URL (or --api-url) to the https:// address of its pages"
    )


def _retry_after_s(header: str | None) -> float:
    try:
        return min(300.0, max(0.1, float(header or 1)))
    except ValueError:
        return 1.0


def _detail(content: bytes) -> str:
    """Return `detail` of a problem+json, empty for any other response."""
    try:
        detail = json.loads(content)["detail"]
    except (ValueError, KeyError, TypeError):
        return ""
    return excerpt(detail.encode()) if isinstance(detail, str) else ""


def excerpt(content: bytes) -> str:
    """Return the beginning of a response on one line."""
    return " ".join(content[:MAX_EXCERPT].decode("utf-8", "replace").split())


def describe(error: BaseException) -> str:
    """Return the text of an error, or its type if it has none."""
    return str(error) or type(error).__name__

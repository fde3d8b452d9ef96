"""The agent's calls to the backend. Every call has a total timeout; responses are validated.

No redirect is followed, except that of a download to a signed address, which gets no token.
"""

import asyncio
import hashlib
import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp
from pydantic import ValidationError
from yarl import URL

from worker_agent import trace
from worker_agent.proof import ATTEMPT_HEADER
from worker_agent.protocol import (
    CheckpointReport,
    Deregistration,
    Registration,
    RegistrationAnswer,
    Report,
    SecretsAnswer,
    SecretsRequest,
)

CALL_TIMEOUT_S = 15.0
FILE_TIMEOUT_S = 600.0
STALL_TIMEOUT_S = 30.0
"""Without any bytes a file transfer is given up."""
CHUNK = 256 * 1024
MAX_RESPONSE_BYTES = 1024**2
MAX_EXCERPT = 300
SIGNATURE = "X-Amz-Signature="
"""In an address that gives access to one file of a service with the API of S3."""
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


@dataclass(slots=True)
class BackendClient:
    url: str
    enrolment_token: str
    worker_token: str = ""
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S),
            connector=aiohttp.TCPConnector(force_close=True),
            headers={"Accept-Encoding": IDENTITY},
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def register(self, message: Registration) -> RegistrationAnswer:
        content = await self._post("/workers/register", message.model_dump_json(), self.enrolment_token)
        try:
            return RegistrationAnswer.model_validate_json(content)
        except ValidationError as error:
            raise BackendError(
                f"the response to the registration is not a valid answer: {_excerpt(content)}"
            ) from error

    async def deregister(self, message: Deregistration) -> None:
        await self._post("/workers/deregister", message.model_dump_json(), self.worker_token)

    async def report(self, operation_id: str, report: Report) -> None:
        await self._post(f"/operations/{operation_id}/report", report.model_dump_json(), self.worker_token)

    async def checkpoint(self, operation_id: str, report: CheckpointReport) -> None:
        await self._post(
            f"/operations/{operation_id}/checkpoints", report.model_dump_json(), self.worker_token
        )

    async def secrets(self, operation_id: str, request: SecretsRequest) -> dict[str, str]:
        """Return name -> value of the requested secrets. Raises Refused with the backend's reason."""
        content = await self._post(
            f"/operations/{operation_id}/secrets", request.model_dump_json(), self.worker_token
        )
        try:
            secrets = SecretsAnswer.model_validate_json(content).secrets
        except ValidationError:
            secrets = {}
        if missing := set(request.names) - secrets.keys():
            # No excerpt of the response: it may contain the others.
            raise BackendError(f"the response has no secret {min(missing)}")
        return {name: secrets[name] for name in request.names}

    async def put_file(self, sha256: str, path: Path, attempt_secret: str) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            with path.open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, CHUNK):
                    yield chunk

        headers = {
            "Content-Length": str(path.stat().st_size),
            "Content-Type": "application/octet-stream",
            ATTEMPT_HEADER: attempt_secret,
        }
        timeout = aiohttp.ClientTimeout(
            total=FILE_TIMEOUT_S, sock_read=STALL_TIMEOUT_S, sock_connect=CALL_TIMEOUT_S
        )
        await self._call(
            "PUT", f"/artifacts/{sha256}", self.worker_token, data=chunks(), headers=headers, timeout=timeout
        )

    async def get_file(self, sha256: str, target: Path, size: int, attempt_secret: str) -> None:
        """Download to `target`, completely or not at all. Raises NoSuchFile, Corrupt, OSError (a full disk)."""
        timeout = aiohttp.ClientTimeout(
            total=FILE_TIMEOUT_S, sock_read=STALL_TIMEOUT_S, sock_connect=CALL_TIMEOUT_S
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, received = hashlib.sha256(), 0
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".incoming-")
        incoming = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                async with self._download(sha256, attempt_secret, timeout) as response:
                    await _raise_for(response)
                    async for chunk in response.content.iter_chunked(CHUNK):
                        received += len(chunk)
                        if received > size:
                            raise Corrupt(f"the file {sha256[:12]} is longer than the announced {size} bytes")
                        digest.update(chunk)
                        file.write(chunk)
            if digest.hexdigest() != sha256:
                raise Corrupt(f"the content of file {sha256[:12]} does not match its SHA-256")
            incoming.replace(target)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BackendError(f"could not download the file {sha256[:12]}: {_describe(error)}") from error
        finally:
            incoming.unlink(missing_ok=True)

    @asynccontextmanager
    async def _download(
        self, sha256: str, attempt_secret: str, timeout: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the response with the file: the backend's, or that of the service to which it redirects."""
        headers = {ATTEMPT_HEADER: attempt_secret}
        async with self._request(
            "GET", f"/artifacts/{sha256}", self.worker_token, headers=headers, timeout=timeout
        ) as response:
            if response.status in (403, 404, 410):
                raise NoSuchFile(f"the backend has no file {sha256[:12]} for this worker ({response.status})")
            address = response.headers.get("Location", "")
            if response.status != HTTPStatus.TEMPORARY_REDIRECT or SIGNATURE not in address:
                yield response
                return
        assert self._session is not None, "the request before has used it"
        async with self._session.get(
            URL(address, encoded=True), allow_redirects=False, timeout=timeout
        ) as response:
            yield response

    async def _post(self, path: str, body: str, token: str) -> bytes:
        return await self._call(
            "POST", path, token, data=body.encode(), headers={"Content-Type": "application/json"}
        )

    async def _call(
        self,
        method: str,
        path: str,
        token: str,
        *,
        data: bytes | AsyncIterator[bytes],
        headers: dict[str, str],
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> bytes:
        try:
            async with self._request(
                method, path, token, data=data, headers=headers, timeout=timeout
            ) as response:
                await _raise_for(response)
                content = bytearray()
                async for chunk in response.content.iter_chunked(CHUNK):
                    content += chunk
                    if len(content) > MAX_RESPONSE_BYTES:
                        raise BackendError(
                            f"{method} {path}: the response is longer than {MAX_RESPONSE_BYTES} bytes"
                        )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BackendError(f"{method} {path}: {_describe(error)}") from error
        return bytes(content)

    def _request(
        self,
        method: str,
        path: str,
        token: str,
        *,
        data: bytes | AsyncIterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> "aiohttp.client._RequestContextManager":
        assert self._session is not None, "use the client as a context manager"
        return self._session.request(
            method,
            self.url.rstrip("/") + path,
            data=data,
            headers={**(headers or {}), **trace.current_headers(), "Authorization": f"Bearer {token}"},
            allow_redirects=False,
            timeout=timeout or aiohttp.ClientTimeout(total=CALL_TIMEOUT_S),
        )


async def _raise_for(response: aiohttp.ClientResponse) -> None:
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
    reason = _excerpt(content)
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
    return _excerpt(detail.encode()) if isinstance(detail, str) else ""


def _excerpt(content: bytes) -> str:
    return " ".join(content[:MAX_EXCERPT].decode("utf-8", "replace").split())


def _describe(error: BaseException) -> str:
    return str(error) or type(error).__name__

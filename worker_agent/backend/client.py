"""The agent's calls to the backend. Every call has a total timeout; responses are validated.

No redirect is followed, except that of a download to a signed address, which gets no token.
"""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from pydantic import ValidationError
from yarl import URL

from worker_agent import trace
from worker_agent.backend.errors import (
    IDENTITY,
    BackendError,
    Corrupt,
    NoSuchFile,
    describe,
    excerpt,
    raise_for,
)
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
KEEPALIVE_S = 2.0
"""Short operations are reported one after the other. The server keeps a connection for longer, so it closes none in use."""
FILE_TIMEOUT = aiohttp.ClientTimeout(total=600.0, sock_read=30.0, sock_connect=CALL_TIMEOUT_S)
"""In seconds. A transfer without any bytes for `sock_read` is given up."""
CHUNK = 256 * 1024
MAX_RESPONSE_BYTES = 1024**2
SIGNATURE = "X-Amz-Signature="
"""In an address that gives access to one file of a service with the API of S3."""


@dataclass(slots=True)
class BackendClient:
    url: str
    enrolment_token: str
    worker_token: str = ""
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S),
            connector=aiohttp.TCPConnector(keepalive_timeout=KEEPALIVE_S),
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
                f"the response to the registration is not a valid answer: {excerpt(content)}"
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
        await self._call(
            "PUT",
            f"/artifacts/{sha256}",
            self.worker_token,
            data=chunks(),
            headers=headers,
            timeout=FILE_TIMEOUT,
        )

    async def get_file(self, sha256: str, target: Path, size: int, attempt_secret: str) -> None:
        """Download to `target`, completely or not at all. Raises NoSuchFile, Corrupt, OSError (a full disk)."""
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, received = hashlib.sha256(), 0
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".incoming-")
        incoming = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                async with self._download(sha256, attempt_secret) as response:
                    await raise_for(response)
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
            raise BackendError(f"could not download the file {sha256[:12]}: {describe(error)}") from error
        finally:
            incoming.unlink(missing_ok=True)

    @asynccontextmanager
    async def _download(self, sha256: str, attempt_secret: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the response with the file: the backend's, or that of the service to which it redirects."""
        headers = {ATTEMPT_HEADER: attempt_secret}
        async with self._request(
            "GET", f"/artifacts/{sha256}", self.worker_token, headers=headers, timeout=FILE_TIMEOUT
        ) as response:
            if response.status in (403, 404, 410):
                raise NoSuchFile(f"the backend has no file {sha256[:12]} for this worker ({response.status})")
            address = response.headers.get("Location", "")
            if response.status != HTTPStatus.TEMPORARY_REDIRECT or SIGNATURE not in address:
                yield response
                return
        assert self._session is not None, "the request before has used it"
        async with self._session.get(
            URL(address, encoded=True), allow_redirects=False, timeout=FILE_TIMEOUT
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
                await raise_for(response)
                content = bytearray()
                async for chunk in response.content.iter_chunked(CHUNK):
                    content += chunk
                    if len(content) > MAX_RESPONSE_BYTES:
                        raise BackendError(
                            f"{method} {path}: the response is longer than {MAX_RESPONSE_BYTES} bytes"
                        )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BackendError(f"{method} {path}: {describe(error)}") from error
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

"""The only HTTP client for workers. Responses are untrusted until they are validated.

Every call has a total timeout (which also covers a body that never ends) and a size limit, follows no redirects and
uses no proxies. It returns a message of the protocol or raises one of the exceptions below.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from django.conf import settings
from pydantic import ValidationError

from registry import tls
from registry.auth import backend_token
from worker_agent import trace
from worker_agent.protocol import (
    AgentOperation,
    BusyAnswer,
    Health,
    LogsPage,
    Message,
    MetricsPage,
    StartAnswer,
    StartRequest,
)
from worker_agent.validation_messages import first_problem

Reply = TypeVar("Reply", bound=Message)
MAX_BYTES = 16 * 1024**2
MAX_HEALTH_BYTES = 256 * 1024
MAX_EXCERPT = 200
IDENTITY = "identity"
"""The content encoding of a body that is not compressed."""


class WorkerError(Exception):
    """The call to the worker failed."""


class WorkerRefused(WorkerError):
    """The connection was refused: the worker certainly did not receive the request."""


class WorkerUncertain(WorkerError):
    """Timeout or broken connection: the worker may or may not have received the request."""


class WorkerBusy(WorkerError):
    """The worker is running another operation."""

    def __init__(self, current_operation: str | None) -> None:
        super().__init__(f"busy with {current_operation}" if current_operation else "busy")
        self.current_operation = current_operation


class WorkerConflict(WorkerError):
    """The worker has seen a newer attempt of this operation."""


class WorkerUnknownOperation(WorkerError):
    """The worker does not know the operation."""


class WorkerInvalid(WorkerError):
    """The worker rejected the parameters."""


class WorkerUnauthorized(WorkerError):
    """The worker does not accept this backend's token (any more)."""


class WorkerMisbehaved(WorkerError):
    """The worker's response violates the protocol."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    worker_id: str
    instance_id: str
    url: str


class WorkerClient:
    """`async with WorkerClient() as client:` one pool of connections for many calls.

    A connection is kept open for the next call to its worker for `keepalive_s`; if the worker ended meanwhile, it has
    closed the connection and a new one is opened. The time is short on purpose: a machine that vanished does not close
    its connections, so the outcome of a start sent over one is unknown, while a refused connection is certain.
    Without `keepalive_s` every call opens its own connection.
    """

    def __init__(
        self, timeout_s: float | None = None, connections: int = 100, keepalive_s: float = 0.0
    ) -> None:
        self.timeout_s = settings.HEALTH_TIMEOUT_S if timeout_s is None else timeout_s
        self._http = httpx.AsyncClient(
            timeout=self.timeout_s,
            trust_env=False,
            follow_redirects=False,
            verify=tls.context(),
            limits=httpx.Limits(
                max_connections=connections,
                max_keepalive_connections=connections if keepalive_s else 0,
                keepalive_expiry=keepalive_s,
            ),
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def health(self, worker: Endpoint) -> Health:
        health, _ = await self.health_and_clock(worker)
        return health

    async def health_and_clock(self, worker: Endpoint) -> tuple[Health, datetime | None]:
        """Return the health, and the worker's clock in whole seconds if the response has a Date header."""
        response, content = await self._exchange(worker, "GET", "/health", max_bytes=MAX_HEALTH_BYTES)
        health = _parse(Health, response.status_code, content)
        if (health.worker_id, health.instance_id) != (worker.worker_id, worker.instance_id):
            raise WorkerMisbehaved(
                f"the worker identified itself as {health.worker_id} ({health.instance_id})"
            )
        return health, _parse_date(response.headers.get("Date"))

    async def start(self, worker: Endpoint, start_path: str, request: StartRequest) -> None:
        status, content = await self._call(worker, "POST", start_path, request.model_dump(mode="json"))
        match status:
            case HTTPStatus.SERVICE_UNAVAILABLE:
                raise WorkerBusy(_parse(BusyAnswer, HTTPStatus.OK, content).current_operation)
            case HTTPStatus.CONFLICT:
                raise WorkerConflict(_excerpt(content))
            case HTTPStatus.UNPROCESSABLE_ENTITY | HTTPStatus.BAD_REQUEST:
                raise WorkerInvalid(_excerpt(content))
        started = _parse(StartAnswer, status, content)
        if started.operation_id != request.task_id:
            raise WorkerMisbehaved(f"the worker started {started.operation_id} instead of {request.task_id}")

    async def operation(self, worker: Endpoint, operation_id: str) -> AgentOperation:
        status, content = await self._call(worker, "GET", f"/api/v1/operations/{operation_id}")
        operation = _parse(AgentOperation, status, content)
        if operation.operation_id != operation_id:
            raise WorkerMisbehaved(f"the worker returned {operation.operation_id} instead of {operation_id}")
        return operation

    async def metrics(self, worker: Endpoint, operation_id: str, cursor: int) -> MetricsPage:
        path = f"/api/v1/operations/{operation_id}/metrics?cursor={cursor}"
        return _parse(MetricsPage, *await self._call(worker, "GET", path))

    async def logs(self, worker: Endpoint, operation_id: str, cursor: int) -> LogsPage:
        path = f"/api/v1/operations/{operation_id}/logs?cursor={cursor}"
        return _parse(LogsPage, *await self._call(worker, "GET", path))

    async def cancel(self, worker: Endpoint, operation_id: str, attempt: int, reason: str) -> None:
        query = httpx.QueryParams(attempt=attempt, reason=reason[:500])
        status, content = await self._call(
            worker, "DELETE", f"/api/v1/operations/{operation_id}/cancel?{query}"
        )
        if status == HTTPStatus.NOT_FOUND:
            raise WorkerUnknownOperation(_excerpt(content))
        if status == HTTPStatus.CONFLICT:
            raise WorkerConflict(_excerpt(content))
        if not 200 <= status < 300:
            raise WorkerMisbehaved(f"the worker answered a cancel with {status}")

    async def prometheus_metrics(self, worker: Endpoint) -> bytes:
        """Return the body of the worker's own `/metrics`."""
        status, content = await self._call(worker, "GET", "/metrics", max_bytes=MAX_HEALTH_BYTES)
        if status != HTTPStatus.OK:
            raise WorkerMisbehaved(f"the worker answered with {status}: {_excerpt(content)}")
        return content

    async def drain(self, worker: Endpoint) -> None:
        """Ask the worker to finish what it runs, take nothing new, and shut down."""
        status, content = await self._call(worker, "POST", "/drain")
        if not 200 <= status < 300:
            raise WorkerMisbehaved(f"the worker answered a drain with {status}: {_excerpt(content)}")

    async def _call(
        self, worker: Endpoint, method: str, path: str, body: Any = None, max_bytes: int = MAX_BYTES
    ) -> tuple[int, bytes]:
        response, content = await self._exchange(worker, method, path, body, max_bytes)
        return response.status_code, content

    async def _exchange(
        self, worker: Endpoint, method: str, path: str, body: Any = None, max_bytes: int = MAX_BYTES
    ) -> tuple[httpx.Response, bytes]:
        """Return (response, body). The timeout covers the whole call, while httpx's own restarts with each byte."""
        token = backend_token(worker.worker_id, worker.instance_id)
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept-Encoding": IDENTITY,
            **trace.current_headers(),
        }
        try:
            async with asyncio.timeout(self.timeout_s):
                request = self._http.build_request(
                    method, worker.url.rstrip("/") + path, json=body, headers=headers
                )
                response = await self._http.send(request, stream=True)
                try:
                    content = await _read(response, max_bytes)
                finally:
                    await response.aclose()
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.UnsupportedProtocol,
            httpx.InvalidURL,
        ) as error:
            raise WorkerRefused(f"cannot connect: {tls.explain(error) or _message_of(error)}") from error
        except TimeoutError as error:
            raise WorkerUncertain(f"no response within {self.timeout_s:g} s") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise WorkerUncertain(f"the connection broke: {_message_of(error)}") from error
        if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise WorkerUnauthorized("the worker does not know this backend; it will register again")
        return response, content


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    """Return the bytes as they were sent: 1,137 compressed ones may unpack to gigabytes. Raises WorkerMisbehaved."""
    encoding = response.headers.get("Content-Encoding", IDENTITY)
    if encoding.lower() != IDENTITY:
        raise WorkerMisbehaved(f"the response is encoded ({encoding[:80]!r}), which was not requested")
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > max_bytes:
            raise WorkerMisbehaved(f"the response is longer than {max_bytes} bytes")
    return bytes(content)


def _parse(model: type[Reply], status: int, content: bytes) -> Reply:
    if status == HTTPStatus.NOT_FOUND:
        raise WorkerUnknownOperation("the worker does not know the operation")
    if status != HTTPStatus.OK:
        raise WorkerMisbehaved(f"the worker answered with {status}: {_excerpt(content)}")
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        problem = first_problem(error, "the message")
        raise WorkerMisbehaved(f"the response is not a valid {model.__name__}: {problem}"[:500]) from error


def _parse_date(header: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(header) if header else None
    except ValueError:
        return None


def _excerpt(content: bytes) -> str:
    return " ".join(content[:MAX_EXCERPT].decode("utf-8", "replace").replace("\x00", "").split())


def _message_of(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:MAX_EXCERPT]

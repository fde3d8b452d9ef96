"""The only place that speaks HTTP to a worker. Whatever a worker answers is hostile until it was checked.

Every call has a total timeout (also for a body that never ends), a size limit, no redirects and no proxies, and
ends with a message of the protocol or with one of the exceptions below.
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

Answer = TypeVar("Answer", bound=Message)
MAX_BYTES = 16 * 1024**2
MAX_HEALTH_BYTES = 256 * 1024
MAX_SHOWN = 200


class WorkerError(Exception):
    """The worker did not do what was asked."""


class WorkerRefused(WorkerError):
    """The connection was refused: the worker certainly did not get the request."""


class WorkerUncertain(WorkerError):
    """No answer came in time, or the connection broke: whether the worker got it is not known."""


class WorkerBusy(WorkerError):
    """The worker runs something else."""

    def __init__(self, current_operation: str | None) -> None:
        super().__init__(f"busy with {current_operation}" if current_operation else "busy")
        self.current_operation = current_operation


class WorkerConflict(WorkerError):
    """The worker has seen a newer attempt of this operation."""


class WorkerUnknownOperation(WorkerError):
    """The worker does not know the operation."""


class WorkerInvalid(WorkerError):
    """The worker refuses the parameters."""


class WorkerUnauthorized(WorkerError):
    """The worker does not know this backend (any more)."""


class WorkerMisbehaved(WorkerError):
    """The worker's answer is not one of the protocol."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    worker_id: str
    instance_id: str
    url: str


class WorkerClient:
    """`async with WorkerClient() as client:` one pool of connections for many calls.

    A connection is kept for the next call to its worker for `kept_s`; a worker that ended meanwhile has closed it, and is
    called anew. Not longer than that: of a machine that vanished nothing is heard, and a start that was sent there leaves
    a doubt, where a connection that is refused leaves none. Without `kept_s` each call opens its own.
    """

    def __init__(self, timeout_s: float | None = None, connections: int = 100, kept_s: float = 0.0) -> None:
        self.timeout_s = settings.HEALTH_TIMEOUT_S if timeout_s is None else timeout_s
        self._http = httpx.AsyncClient(
            timeout=self.timeout_s,
            trust_env=False,
            follow_redirects=False,
            verify=tls.context(),
            limits=httpx.Limits(
                max_connections=connections,
                max_keepalive_connections=connections if kept_s else 0,
                keepalive_expiry=kept_s,
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
        """With the time by the worker's clock, in whole seconds, where its answer says it."""
        response, content = await self._exchange(worker, "GET", "/health", most=MAX_HEALTH_BYTES)
        health = _parsed(Health, response.status_code, content)
        if (health.worker_id, health.instance_id) != (worker.worker_id, worker.instance_id):
            raise WorkerMisbehaved(f"it says it is {health.worker_id} ({health.instance_id})")
        return health, _date(response.headers.get("Date"))

    async def start(self, worker: Endpoint, start_path: str, request: StartRequest) -> None:
        status, content = await self._call(worker, "POST", start_path, request.model_dump(mode="json"))
        match status:
            case HTTPStatus.SERVICE_UNAVAILABLE:
                raise WorkerBusy(_parsed(BusyAnswer, HTTPStatus.OK, content).current_operation)
            case HTTPStatus.CONFLICT:
                raise WorkerConflict(_shown(content))
            case HTTPStatus.UNPROCESSABLE_ENTITY | HTTPStatus.BAD_REQUEST:
                raise WorkerInvalid(_shown(content))
        answer = _parsed(StartAnswer, status, content)
        if answer.operation_id != request.task_id:
            raise WorkerMisbehaved(f"it started {answer.operation_id} instead of {request.task_id}")

    async def operation(self, worker: Endpoint, operation_id: str) -> AgentOperation:
        status, content = await self._call(worker, "GET", f"/api/v1/operations/{operation_id}")
        answer = _parsed(AgentOperation, status, content)
        if answer.operation_id != operation_id:
            raise WorkerMisbehaved(f"it answered for {answer.operation_id} instead of {operation_id}")
        return answer

    async def metrics(self, worker: Endpoint, operation_id: str, cursor: int) -> MetricsPage:
        path = f"/api/v1/operations/{operation_id}/metrics?cursor={cursor}"
        return _parsed(MetricsPage, *await self._call(worker, "GET", path))

    async def logs(self, worker: Endpoint, operation_id: str, cursor: int) -> LogsPage:
        path = f"/api/v1/operations/{operation_id}/logs?cursor={cursor}"
        return _parsed(LogsPage, *await self._call(worker, "GET", path))

    async def cancel(self, worker: Endpoint, operation_id: str, attempt: int, reason: str) -> None:
        query = httpx.QueryParams(attempt=attempt, reason=reason[:500])
        status, content = await self._call(
            worker, "DELETE", f"/api/v1/operations/{operation_id}/cancel?{query}"
        )
        if status == HTTPStatus.NOT_FOUND:
            raise WorkerUnknownOperation(_shown(content))
        if status == HTTPStatus.CONFLICT:
            raise WorkerConflict(_shown(content))
        if not 200 <= status < 300:
            raise WorkerMisbehaved(f"it answered {status} to a cancel")

    async def figures(self, worker: Endpoint) -> bytes:
        """What the worker's own `/metrics` prints."""
        status, content = await self._call(worker, "GET", "/metrics", most=MAX_HEALTH_BYTES)
        if status != HTTPStatus.OK:
            raise WorkerMisbehaved(f"it answered {status}: {_shown(content)}")
        return content

    async def drain(self, worker: Endpoint) -> None:
        """The worker finishes what it runs, takes nothing new, and goes."""
        status, content = await self._call(worker, "POST", "/drain")
        if not 200 <= status < 300:
            raise WorkerMisbehaved(f"it answered {status} to a drain: {_shown(content)}")

    async def _call(
        self, worker: Endpoint, method: str, path: str, body: Any = None, most: int = MAX_BYTES
    ) -> tuple[int, bytes]:
        response, content = await self._exchange(worker, method, path, body, most)
        return response.status_code, content

    async def _exchange(
        self, worker: Endpoint, method: str, path: str, body: Any = None, most: int = MAX_BYTES
    ) -> tuple[httpx.Response, bytes]:
        """(answer, body). The timeout counts for the whole call: httpx's own starts anew with each byte."""
        token = backend_token(worker.worker_id, worker.instance_id)
        headers = {"Authorization": f"Bearer {token}", **trace.current_headers()}
        try:
            async with asyncio.timeout(self.timeout_s):
                request = self._http.build_request(
                    method, worker.url.rstrip("/") + path, json=body, headers=headers
                )
                response = await self._http.send(request, stream=True)
                try:
                    content = await _read(response, most)
                finally:
                    await response.aclose()
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.UnsupportedProtocol,
            httpx.InvalidURL,
        ) as error:
            raise WorkerRefused(f"cannot connect: {tls.explained(error) or _sentence(error)}") from error
        except TimeoutError as error:
            raise WorkerUncertain(f"no answer within {self.timeout_s:g} s") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise WorkerUncertain(f"the connection broke: {_sentence(error)}") from error
        if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise WorkerUnauthorized("it does not know this backend; it will register again")
        return response, content


async def _read(response: httpx.Response, most: int) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes(65536):
        content += chunk
        if len(content) > most:
            raise WorkerMisbehaved(f"its answer is longer than {most} bytes")
    return bytes(content)


def _parsed(model: type[Answer], status: int, content: bytes) -> Answer:
    if status == HTTPStatus.NOT_FOUND:
        raise WorkerUnknownOperation("it does not know the operation")
    if status != HTTPStatus.OK:
        raise WorkerMisbehaved(f"it answered {status}: {_shown(content)}")
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise WorkerMisbehaved(
            f"its answer is not a {model.__name__}: {place}: {first['msg']}"[:500]
        ) from error


def _date(header: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(header) if header else None
    except ValueError:
        return None


def _shown(content: bytes) -> str:
    return " ".join(content[:MAX_SHOWN].decode("utf-8", "replace").replace("\x00", "").split())


def _sentence(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:MAX_SHOWN]

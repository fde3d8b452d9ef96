"""The only HTTP client for workers. Responses are untrusted until they are validated.

Every call has a total timeout (which also covers a body that never ends) and a size limit, follows no redirects and
uses no proxies. It returns a message of the protocol or raises one of `registry.worker_errors`.

It has connections of its own, because of the number of calls: with twenty workers one takes a quarter of the processor
time of one with httpcore, on which httpx is built.

Every call carries a new nonce, and a response must prove that it comes from the registered incarnation
(`worker_agent.proof`). Whatever an address answers without that proof, no byte of it is in a message: another
service may be behind the address, and its answers are nobody's business here.
"""

import asyncio
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from types import TracebackType
from typing import Self

import h11
import httpx
from django.conf import settings

from registry import auth
from registry.checked_connections import Origin
from registry.connection_pool import ConnectionPool
from registry.endpoint import Endpoint
from registry.http_connection import IDENTITY
from registry.worker_errors import (
    WorkerBusy,
    WorkerConflict,
    WorkerInvalid,
    WorkerMisbehaved,
    WorkerRefused,
    WorkerUnauthorized,
    WorkerUncertain,
    WorkerUnknownOperation,
    WorkerUnproven,
)
from registry.worker_responses import UNKNOWN, Response, parse, parse_body
from worker_agent import proof, trace
from worker_agent.protocol import (
    AgentOperation,
    BusyAnswer,
    Health,
    LogsPage,
    MetricsPage,
    StartAnswer,
    StartRequest,
)

MAX_BYTES = 16 * 1024**2
MAX_HEALTH_BYTES = 256 * 1024
UNPROVEN = "something answers at the worker's address, but it does not prove to be this worker"


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
        self._pool = ConnectionPool(connections, keepalive_s, self.timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.close()

    async def challenge(self, worker: Endpoint, key: str) -> None:
        """Check that the process with this key serves the address, before it knows the backend's token."""
        response = await self._exchange(worker, "GET", "/health", max_bytes=MAX_HEALTH_BYTES, key=key)
        if not response.is_proven:
            raise WorkerUnproven(UNPROVEN)

    async def health(self, worker: Endpoint) -> Health:
        health, _ = await self.health_and_clock(worker)
        return health

    async def health_and_clock(self, worker: Endpoint) -> tuple[Health, datetime | None]:
        """Return the health, and the worker's clock in whole seconds if the response has a Date header."""
        response = await self._call(worker, "GET", "/health", max_bytes=MAX_HEALTH_BYTES)
        health = parse(Health, response)
        if (health.worker_id, health.instance_id) != (worker.worker_id, worker.instance_id):
            raise WorkerMisbehaved("another worker, or another process of it, answers at this address")
        return health, response.sent_at

    async def start(self, worker: Endpoint, start_path: str, request: StartRequest) -> None:
        response = await self._call(worker, "POST", start_path, request.model_dump_json().encode())
        match response.status:
            case HTTPStatus.SERVICE_UNAVAILABLE:
                current = parse_body(BusyAnswer, response).current_operation
                raise WorkerBusy(current if response.is_proven else None)
            case HTTPStatus.CONFLICT:
                raise WorkerConflict(response.reason or "the worker has received a newer attempt")
            case HTTPStatus.UNPROCESSABLE_ENTITY | HTTPStatus.BAD_REQUEST:
                raise WorkerInvalid(response.reason or response.describe())
        started = parse(StartAnswer, response)
        if started.operation_id != request.task_id:
            raise WorkerMisbehaved(f"the worker started another operation instead of {request.task_id}")

    async def operation(self, worker: Endpoint, operation_id: str) -> AgentOperation:
        operation = parse(
            AgentOperation, await self._call(worker, "GET", f"/api/v1/operations/{operation_id}")
        )
        if operation.operation_id != operation_id:
            raise WorkerMisbehaved(f"the worker returned another operation instead of {operation_id}")
        return operation

    async def metrics(self, worker: Endpoint, operation_id: str, cursor: int) -> MetricsPage:
        path = f"/api/v1/operations/{operation_id}/metrics?cursor={cursor}"
        return parse(MetricsPage, await self._call(worker, "GET", path))

    async def logs(self, worker: Endpoint, operation_id: str, cursor: int) -> LogsPage:
        path = f"/api/v1/operations/{operation_id}/logs?cursor={cursor}"
        return parse(LogsPage, await self._call(worker, "GET", path))

    async def cancel(self, worker: Endpoint, operation_id: str, attempt: int, reason: str) -> None:
        query = httpx.QueryParams(attempt=attempt, reason=reason[:500])
        response = await self._call(worker, "DELETE", f"/api/v1/operations/{operation_id}/cancel?{query}")
        if response.status == HTTPStatus.NOT_FOUND:
            raise WorkerUnknownOperation(response.reason or UNKNOWN)
        if response.status == HTTPStatus.CONFLICT:
            raise WorkerConflict(response.reason or "the worker has another attempt of the operation")
        if not 200 <= response.status < 300:
            raise WorkerMisbehaved(f"the worker answered a cancel with {response.status}")

    async def prometheus_metrics(self, worker: Endpoint) -> bytes:
        """Return the body of the worker's own `/metrics`."""
        response = await self._call(worker, "GET", "/metrics", max_bytes=MAX_HEALTH_BYTES)
        if response.status != HTTPStatus.OK:
            raise WorkerMisbehaved(response.describe())
        if not response.is_proven:
            raise WorkerUnproven("a worker of protocol 1 cannot prove that these are its metrics")
        return response.content

    async def drain(self, worker: Endpoint) -> None:
        """Ask the worker to finish what it runs, take nothing new, and shut down."""
        response = await self._call(worker, "POST", "/drain")
        if not 200 <= response.status < 300:
            raise WorkerMisbehaved(f"the worker answered a drain with {response.status}")

    async def _call(
        self, worker: Endpoint, method: str, path: str, body: bytes | None = None, max_bytes: int = MAX_BYTES
    ) -> Response:
        key = auth.proof_key(worker.worker_id, worker.instance_id)
        response = await self._exchange(worker, method, path, body, max_bytes, key)
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise WorkerUnauthorized("the worker does not know this backend; it will register again")
        if worker.must_prove and not response.is_proven:
            raise WorkerUnproven(UNPROVEN)
        return response

    async def _exchange(
        self,
        worker: Endpoint,
        method: str,
        path: str,
        body: bytes | None = None,
        max_bytes: int = MAX_BYTES,
        key: str = "",
    ) -> Response:
        """Return the response. The timeout covers the whole call."""
        nonce = proof.create_nonce()
        headers = {
            "Authorization": f"Bearer {auth.backend_token(worker.worker_id, worker.instance_id)}",
            proof.NONCE_HEADER: nonce,
            "Accept-Encoding": IDENTITY,
            **trace.current_headers(),
        }
        try:
            origin, host, target = _parse_url(worker.url.rstrip("/") + path)
            request = _build_request(method, target, {"Host": host, **headers}, body)
        except (httpx.InvalidURL, h11.LocalProtocolError) as error:
            raise WorkerRefused(f"cannot connect: {error}") from error
        try:
            async with asyncio.timeout(self.timeout_s):
                received = await self._pool.exchange(origin, request, max_bytes)
        except TimeoutError as error:
            raise WorkerUncertain(f"no response within {self.timeout_s:g} s") from error
        given = received.headers.get(proof.PROOF_HEADER.lower().encode(), "")
        is_proven = proof.is_valid(given, key, nonce, worker.worker_id, worker.instance_id)
        return Response(received.status, bytes(received.content), is_proven, received.headers.get(b"date"))


def _build_request(
    method: str, target: bytes, headers: dict[str, str], body: bytes | None
) -> tuple[h11.Event, ...]:
    """Return the parts of the request. Raises h11.LocalProtocolError."""
    if body is None:
        return h11.Request(method=method, target=target, headers=list(headers.items())), h11.EndOfMessage()
    headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    request = h11.Request(method=method, target=target, headers=list(headers.items()))
    return request, h11.Data(data=body), h11.EndOfMessage()


@lru_cache(maxsize=4096)
def _parse_url(text: str) -> tuple[Origin, str, bytes]:
    """Return the origin, the Host header and the target, encoded as httpx does. Raises httpx.InvalidURL."""
    url = httpx.URL(text)
    if url.scheme not in ("http", "https"):
        raise httpx.InvalidURL("the scheme must be http or https")
    is_tls = url.scheme == "https"
    origin = Origin(is_tls, url.raw_host.decode("ascii"), url.port or (443 if is_tls else 80))
    return origin, url.netloc.decode("ascii"), url.raw_path

"""A worker without job processes, for tests of the backend: hundreds of them fit into one process."""

import asyncio
import itertools
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from pydantic import JsonValue, ValidationError

from worker_agent import proof
from worker_agent.backend.backoff import jitter
from worker_agent.backend.client import BackendClient
from worker_agent.backend.errors import BackendError, Refused, TooBusy, Unauthorized
from worker_agent.backend.registrar import FIRST_PAUSE_S, LONGEST_PAUSE_S
from worker_agent.protocol import (
    PROTOCOL_VERSION,
    AgentOperation,
    AgentState,
    BusyAnswer,
    FinishedOperation,
    Health,
    LogsPage,
    MetricsPage,
    OperationType,
    Outcome,
    Progress,
    Registration,
    Report,
    RunningOperation,
    StartAnswer,
    StartRequest,
)
from worker_agent.testing.fake_server import FakeServer, message_response
from worker_agent.validation_messages import first_problem

REMEMBERED_OPERATIONS = 1000
REPORT_PAUSE_S = 0.2
PROVING_VERSION = 2


@dataclass(slots=True)
class StubOperation:
    """An operation that the stub accepted."""

    attempt: int
    secret: str
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    report: Report | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class StubWorker(FakeServer):
    """Accepts one operation at a time, waits `work_s` seconds, and reports it.

    Routes: health, start, operation, metrics, logs, cancel, drain, prometheus_metrics. `runs` contains (operation id,
    attempt) of every operation that it started.
    """

    def __init__(
        self,
        worker_id: str,
        api_url: str,
        enrolment_token: str,
        *,
        worker_type: str = "stub",
        operation_type: str = "noop",
        capabilities: dict[str, JsonValue] | None = None,
        work_s: float = 0.0,
        protocol_version: int = PROTOCOL_VERSION,
    ) -> None:
        super().__init__()
        self.worker_id = worker_id
        self.worker_type = worker_type
        self.operation_type = operation_type
        self.capabilities = capabilities or {}
        self.work_s = work_s
        self.protocol_version = protocol_version
        self.instance_id = secrets.token_hex(8)
        self.client = BackendClient(api_url, enrolment_token)
        self.backend_token = ""
        self.proof_key = proof.create_key()
        self.proves = protocol_version >= PROVING_VERSION
        """Set it to False, and the worker answers like a program that knows nothing of the registration."""
        self.draining = False
        self.current: RunningOperation | None = None
        self.runs: list[tuple[str, int]] = []
        self.operations: OrderedDict[str, StubOperation] = OrderedDict()
        self.undelivered: dict[str, FinishedOperation] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return (
            self.route("GET", "/health", self.health),
            self.route("POST", f"/{self.operation_type}/start", self.start),
            self.route("POST", "/drain", self.drain),
            self.route("GET", "/metrics", self.prometheus_metrics),
            self.route("GET", "/api/v1/operations/{operation_id}", self.operation),
            self.route("GET", "/api/v1/operations/{operation_id}/metrics", self.metrics),
            self.route("GET", "/api/v1/operations/{operation_id}/logs", self.logs),
            self.route("DELETE", "/api/v1/operations/{operation_id}/cancel", self.cancel),
        )

    async def prepare_response(self, request: web.Request, response: web.StreamResponse) -> None:
        nonce = request.headers.get(proof.NONCE_HEADER, "")
        if self.proves and proof.is_nonce(nonce):
            response.headers[proof.PROOF_HEADER] = proof.prove(
                self.proof_key, nonce, self.worker_id, self.instance_id
            )

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        await super().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().__aexit__(kind, error, trace)
        await self.client.__aexit__(kind, error, trace)

    async def register(self) -> None:
        """Register. Tries again while the backend is busy, as an agent does; raises its other errors (`BackendError`)."""
        operation_type = OperationType(
            operation_type=self.operation_type,
            start_path=f"/{self.operation_type}/start",
            parameters_schema={"type": "object"},
        )
        registration = Registration(
            worker_id=self.worker_id,
            worker_type=self.worker_type,
            endpoint_url=self.url,
            capabilities=self.capabilities,
            instance_id=self.instance_id,
            version="stub",
            protocol_version=self.protocol_version,
            operation_types=(operation_type,),
            current_operation=self.current,
            attempt_secret=self._current_secret() if self.proves else "",
            proof_key=self.proof_key if self.proves else "",
            previous_token=self.client.worker_token,
            completed_operations=tuple(self.undelivered.values()),
        )
        for tries in itertools.count():
            try:
                answer = await self.client.register(registration)
                break
            except TooBusy as busy:
                await asyncio.sleep(busy.retry_after_s + jitter(tries, FIRST_PAUSE_S, LONGEST_PAUSE_S))
        self.client.worker_token = answer.worker_token
        self.backend_token = answer.backend_token
        self.proof_key = answer.proof_key or self.proof_key

    def _current_secret(self) -> str:
        return self.operations[self.current.operation_id].secret if self.current else ""

    async def health(self, _: web.Request) -> web.StreamResponse:
        return message_response(
            Health(
                status=AgentState.BUSY if self.current or self.draining else AgentState.IDLE,
                worker_id=self.worker_id,
                instance_id=self.instance_id,
                current_operation=self.current.operation_id if self.current else None,
                current_attempt=self.current.attempt if self.current else None,
                attempt_secret=self._current_secret() if self.proves else "",
                draining=self.draining,
            )
        )

    async def prometheus_metrics(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text=f"ktrdr_agent_busy {int(self.current is not None)}\n")

    async def start(self, request: web.Request) -> web.StreamResponse:
        try:
            start = StartRequest.model_validate_json(await request.read())
        except ValidationError as error:
            return web.json_response({"detail": first_problem(error)}, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        operation_id = start.task_id or secrets.token_hex(8)
        operation = self.operations.get(operation_id)
        if operation is not None and start.attempt <= operation.attempt:
            if start.attempt < operation.attempt:
                return web.json_response(
                    {"detail": "This worker has received a newer attempt."}, status=HTTPStatus.CONFLICT
                )
            return message_response(StartAnswer(operation_id=operation_id))
        if self.current is not None or self.draining:
            busy = BusyAnswer(current_operation=self.current.operation_id if self.current else None)
            return message_response(busy, HTTPStatus.SERVICE_UNAVAILABLE)
        self._start(operation_id, start.attempt, start.attempt_secret if self.proves else "")
        return message_response(StartAnswer(operation_id=operation_id))

    def _start(self, operation_id: str, attempt: int, secret: str) -> None:
        self.current = RunningOperation(operation_id=operation_id, attempt=attempt)
        self.runs.append((operation_id, attempt))
        self.operations[operation_id] = StubOperation(attempt, secret)
        while len(self.operations) > REMEMBERED_OPERATIONS:
            self.operations.popitem(last=False)
        task = asyncio.create_task(self._work(operation_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, operation_id: str) -> None:
        operation = self.operations[operation_id]
        outcome = Outcome.COMPLETED
        if self.work_s > 0:
            try:
                await asyncio.wait_for(operation.stop.wait(), self.work_s)
                outcome = Outcome.CANCELLED
            except TimeoutError:
                outcome = Outcome.COMPLETED
        operation.report = Report(
            attempt=operation.attempt,
            attempt_secret=operation.secret,
            instance_id=self.instance_id,
            outcome=outcome,
            result={"worker": self.worker_id} if outcome is Outcome.COMPLETED else None,
        )
        self.current = None
        await self._deliver(operation_id, operation.report)

    async def _deliver(self, operation_id: str, report: Report) -> None:
        """Send the report, as an agent does, until the backend accepts it or rejects it finally."""
        self.undelivered[operation_id] = FinishedOperation(operation_id=operation_id, report=report)
        while True:
            try:
                await self.client.report(operation_id, report)
            except Unauthorized:
                await self.register()
            except BackendError as error:
                if not isinstance(error, Refused):
                    await asyncio.sleep(REPORT_PAUSE_S)
                    continue
                break
            else:
                break
        del self.undelivered[operation_id]
        await self.notify()

    async def operation(self, request: web.Request) -> web.StreamResponse:
        operation_id = request.match_info["operation_id"]
        operation = self.operations.get(operation_id)
        if operation is None:
            return web.json_response(
                {"detail": "This worker does not know the operation."}, status=HTTPStatus.NOT_FOUND
            )
        state: dict[str, Any] = {"state": "running", "progress": Progress(percentage=50.0)}
        if operation.report is not None:
            state = {"state": operation.report.outcome.value, "progress": Progress(percentage=100.0)}
        return message_response(
            AgentOperation(
                operation_id=operation_id,
                operation_type=self.operation_type,
                attempt=operation.attempt,
                started_at=operation.started_at,
                report=operation.report,
                **state,
            )
        )

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        return message_response(MetricsPage(results=(), next_cursor=int(request.query.get("cursor", "0"))))

    async def logs(self, request: web.Request) -> web.StreamResponse:
        return message_response(LogsPage(results=(), next_cursor=int(request.query.get("cursor", "0"))))

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        operation = self.operations.get(request.match_info["operation_id"])
        if operation is None:
            return web.json_response(
                {"detail": "This worker does not know the operation."}, status=HTTPStatus.NOT_FOUND
            )
        operation.stop.set()
        return await self.operation(request)

    async def drain(self, request: web.Request) -> web.StreamResponse:
        self.draining = True
        return await self.health(request)

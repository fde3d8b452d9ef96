"""Agents as the protocol wants them, without sockets: what they run and hold, and a network that fails as told."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from uuid import uuid4

from registry.endpoint import Endpoint
from registry.worker_errors import (
    WorkerBusy,
    WorkerConflict,
    WorkerMisbehaved,
    WorkerRefused,
    WorkerUnauthorized,
    WorkerUncertain,
    WorkerUnknownOperation,
)
from worker_agent.protocol import (
    AgentOperation,
    AgentState,
    FinishedOperation,
    Health,
    Outcome,
    Progress,
    Registration,
    Report,
    RunningOperation,
    StartRequest,
)


class Fault(StrEnum):
    """What the network, or the worker, does with one call."""

    NONE = "none"
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"
    REFUSED = "connection refused"
    GARBAGE = "garbage"


@dataclass
class Agent:
    worker_id: str
    instance_id: str = field(default_factory=lambda: uuid4().hex)
    running: RunningOperation | None = None
    secret: str = ""
    """Of the running attempt."""
    seen: dict[str, int] = field(default_factory=dict)
    held: dict[str, Report] = field(default_factory=dict)
    """Finished and not acknowledged: kept on disk, so across a restart."""

    def start(self, request: StartRequest) -> None:
        assert request.task_id is not None
        wanted = RunningOperation(operation_id=request.task_id, attempt=request.attempt)
        seen = self.seen.get(wanted.operation_id, 0)
        if seen > wanted.attempt:
            raise WorkerConflict("a newer attempt was seen")
        if seen == wanted.attempt:
            return
        if self.running is not None:
            raise WorkerBusy(self.running.operation_id)
        self.seen[wanted.operation_id] = wanted.attempt
        self.running, self.secret = wanted, request.attempt_secret

    def finish(self, outcome: Outcome) -> tuple[str, Report]:
        assert self.running is not None
        done, self.running = self.running, None
        error = {"class": "job", "message": "it broke"} if outcome is Outcome.FAILED else None
        report = Report(
            attempt=done.attempt,
            instance_id=self.instance_id,
            attempt_secret=self.secret,
            outcome=outcome,
            result={"by": self.worker_id} if outcome is Outcome.COMPLETED else None,
            error=error,
        )
        self.held[done.operation_id] = report
        return done.operation_id, report

    def restart(self) -> None:
        self.instance_id = uuid4().hex
        self.running = None
        self.seen.clear()

    def stop(self, what: RunningOperation) -> None:
        if self.running == what:
            self.finish(Outcome.CANCELLED)

    def health(self) -> Health:
        return Health(
            status=AgentState.BUSY if self.running else AgentState.IDLE,
            worker_id=self.worker_id,
            instance_id=self.instance_id,
            current_operation=self.running.operation_id if self.running else None,
            current_attempt=self.running.attempt if self.running else None,
            attempt_secret=self.secret if self.running else "",
            unacknowledged=tuple(self.held),
        )

    def registration(self) -> Registration:
        return Registration(
            worker_id=self.worker_id,
            worker_type="echo",
            endpoint_url=f"http://{self.worker_id}",
            instance_id=self.instance_id,
            current_operation=self.running,
            attempt_secret=self.secret if self.running else "",
            completed_operations=tuple(
                FinishedOperation(operation_id=operation_id, report=report)
                for operation_id, report in self.held.items()
            ),
        )

    def knows(self, operation_id: str) -> AgentOperation:
        now = datetime.now(UTC)
        if self.running is not None and self.running.operation_id == operation_id:
            return AgentOperation(
                operation_id=operation_id,
                operation_type="echo",
                attempt=self.running.attempt,
                state="running",
                progress=Progress(percentage=50),
                started_at=now,
            )
        report = self.held.get(operation_id)
        if report is None:
            raise WorkerUnknownOperation("the worker does not know the operation")
        return AgentOperation(
            operation_id=operation_id,
            operation_type="echo",
            attempt=report.attempt,
            state=report.outcome.value,
            progress=Progress(),
            started_at=now,
            report=report,
        )


class SimulatedClient:
    """In the place of `registry.worker_client.WorkerClient`; one fault per call, as drawn."""

    def __init__(self, agents: dict[str, Agent], faults: Iterator[Fault]) -> None:
        self._agents = agents
        self._faults = faults

    def _reach(self, worker: Endpoint) -> tuple[Agent, Fault]:
        fault = next(self._faults, Fault.NONE)
        if fault is Fault.REFUSED:
            raise WorkerRefused("cannot connect")
        if fault is Fault.REQUEST_LOST:
            raise WorkerUncertain("no answer")
        agent = self._agents[worker.worker_id]
        if agent.instance_id != worker.instance_id:
            raise WorkerUnauthorized("the worker does not know this backend")
        return agent, fault

    def _return(self, fault: Fault) -> None:
        if fault is Fault.ANSWER_LOST:
            raise WorkerUncertain("the connection broke")
        if fault is Fault.GARBAGE:
            raise WorkerMisbehaved("the worker answered with 200: <html>")

    async def start(self, worker: Endpoint, start_path: str, request: StartRequest) -> None:
        agent, fault = self._reach(worker)
        try:
            agent.start(request)
        finally:
            self._return(fault)

    async def operation(self, worker: Endpoint, operation_id: str) -> AgentOperation:
        agent, fault = self._reach(worker)
        self._return(fault)
        return agent.knows(operation_id)

    async def cancel(self, worker: Endpoint, operation_id: str, attempt: int, reason: str) -> None:
        agent, fault = self._reach(worker)
        wanted = RunningOperation(operation_id=operation_id, attempt=attempt)
        known = agent.running == wanted or operation_id in agent.held
        agent.stop(wanted)
        self._return(fault)
        if not known:
            raise WorkerUnknownOperation("the worker does not know the operation")

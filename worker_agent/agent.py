"""The agent at run time: registered with the backend, running one operation at a time, until it shuts down."""

import asyncio
import logging
from collections import Counter, OrderedDict
from datetime import UTC, datetime

from pydantic import JsonValue

from worker_agent import proof
from worker_agent.attempt.job_files import JOBS, JobFiles
from worker_agent.attempt.record import AttemptRecord
from worker_agent.attempt.running_attempt import RunningAttempt
from worker_agent.attempt.services import Services
from worker_agent.backend.client import BackendClient
from worker_agent.backend.errors import BackendError
from worker_agent.backend.file_cache import FileCache
from worker_agent.backend.kept_token import KeptToken
from worker_agent.backend.outbox import Outbox, OutboxEntry
from worker_agent.backend.registrar import Registrar
from worker_agent.job.launcher_choice import create_launcher
from worker_agent.job.user import JobUser
from worker_agent.monitoring import resources
from worker_agent.monitoring.load import Load
from worker_agent.monitoring.loop_lag import LoopLag
from worker_agent.operation_spec import OperationSpec, Worker
from worker_agent.options import Options
from worker_agent.protocol import (
    AgentState,
    Deregistration,
    FinishedOperation,
    Health,
    Outcome,
    Registration,
    RegistrationAnswer,
    Report,
    RunningOperation,
    StartRequest,
)
from worker_agent.trace import Trace

log = logging.getLogger(__name__)

REMEMBERED_OPERATIONS = 1000
"""Operations whose newest attempt is remembered, to refuse older ones."""
FINAL_REPORT_S = 2.0
"""At shutdown, for the last report to be delivered, and then for the deregistration."""


class Busy(Exception):
    """The agent runs another operation or is leaving."""

    def __init__(self, operation_id: str | None) -> None:
        super().__init__(operation_id or "leaving")
        self.operation_id = operation_id


class OlderAttempt(Exception):
    """The agent has already received a newer attempt of the operation."""


class Agent:
    def __init__(
        self, worker: Worker, options: Options, instance_id: str, job_user: JobUser | None = None
    ) -> None:
        self.worker = worker
        self.options = options
        self.job_user = job_user
        self.instance_id = instance_id
        self.capabilities: dict[str, JsonValue] = {**resources.capabilities(), **worker.capabilities()}
        self.client = BackendClient(options.api_url, options.token)
        self.registrar = Registrar(self.client, self.registration, self._on_registered)
        self.outbox = Outbox(options.data_dir / "reports", self.client, self.registrar.register_again)
        self.leaving = asyncio.Event()
        self.services = Services(
            instance_id=instance_id,
            client=self.client,
            registrar=self.registrar,
            cache=FileCache(options.data_dir / "cache", options.cache_bytes),
            launcher=create_launcher(options.worker_id, options.data_dir, worker.preload, worker.warm_up),
            leaving=self.leaving,
        )
        self.backend_token = ""
        self.proof_key = proof.create_key()
        self.kept_token = KeptToken(options.data_dir / "worker-token")
        self.cancel_grace_s = 10.0
        self.running: RunningAttempt | None = None
        self.last: AttemptRecord | None = None
        """Kept until the next attempt ends, so that the backend can still pull its progress, metrics and logs."""
        self.draining = False
        self.load = Load(self.capabilities.get("gpu") is True, self.job_pid)
        self.lag = LoopLag()
        self.outcomes: Counter[Outcome] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._newest_attempts: OrderedDict[str, int] = OrderedDict()

    # State ---------------------------------------------------------------------------------------------

    @property
    def current(self) -> AttemptRecord | None:
        return self.running.record if self.running else None

    @property
    def current_operation(self) -> RunningOperation | None:
        if self.current is None:
            return None
        return RunningOperation(operation_id=self.current.operation_id, attempt=self.current.attempt)

    def registration(self) -> Registration:
        return Registration(
            worker_id=self.options.worker_id,
            worker_type=self.worker.worker_type,
            endpoint_url=self.options.public_url,
            capabilities=self.capabilities,
            instance_id=self.instance_id,
            version=self.worker.version,
            operation_types=tuple(spec.to_message() for spec in self.worker.specs()),
            current_operation=self.current_operation,
            attempt_secret=self.current.secret if self.current else "",
            proof_key=self.proof_key,
            previous_token=self.kept_token.value,
            completed_operations=self.outbox.newest_reports(),
        )

    def health(self) -> Health:
        return Health(
            status=AgentState.BUSY if self.current or self.draining else AgentState.IDLE,
            worker_id=self.options.worker_id,
            instance_id=self.instance_id,
            current_operation=self.current.operation_id if self.current else None,
            current_attempt=self.current.attempt if self.current else None,
            attempt_secret=self.current.secret if self.current else "",
            unacknowledged=tuple(f.operation_id for f in self.outbox.finished_operations())[:1000],
            draining=self.draining,
            silent_s=round(self.current.silent_s, 1) if self.current else None,
            resources=self.load.machine,
        )

    def job_pid(self) -> int | None:
        running = self.running  # the event loop may end the attempt now
        return running.job_pid if running else None

    def find(self, operation_id: str) -> AttemptRecord | None:
        return next((record for record in self.records() if record.operation_id == operation_id), None)

    def records(self) -> list[AttemptRecord]:
        """The current attempt and the one before it, as far as they exist."""
        return [record for record in (self.current, self.last) if record is not None]

    def _on_registered(self, message: Registration, answer: RegistrationAnswer) -> None:
        # Only now: loading the libraries of jobs keeps a core busy for seconds.
        self.services.launcher.ensure_running()
        self.backend_token = answer.backend_token
        self.proof_key = answer.proof_key or self.proof_key
        self.kept_token.keep(answer.worker_token)
        self.cancel_grace_s = answer.cancel_grace_s
        for finished in message.completed_operations:
            if finished.operation_id in answer.acknowledged:
                self.outbox.forget(finished)
        for operation in answer.stop_operations:
            if self.current_operation == operation:
                self.cancel(
                    operation.operation_id, operation.attempt, "the backend no longer counts this attempt"
                )

    # Running an operation ------------------------------------------------------------------------------

    def start(self, spec: OperationSpec, request: StartRequest, operation_id: str) -> None:
        """Accept the operation; a repeated request changes nothing. Raises Busy, OlderAttempt, ValidationError.

        Nothing is awaited between the check of `running` and its change: of two simultaneous requests one is refused.
        """
        newest = self._newest_attempts.get(operation_id, 0)
        if request.attempt < newest:
            raise OlderAttempt(f"This worker has already received attempt {newest} of the operation.")
        if request.attempt == newest:
            return
        if self.running is not None or self.draining or self.leaving.is_set():
            raise Busy(self.current.operation_id if self.current else None)
        parameters = spec.Parameters.model_validate(dict(request.parameters)).model_dump(mode="json")
        directory = self.options.data_dir / JOBS / f"{operation_id}.{request.attempt}"
        trace = Trace.of(request.request_id, request.traceparent)
        files = JobFiles(directory, self.job_user)
        record = AttemptRecord(
            operation_id, spec.operation_type, request.attempt, files, trace, request.attempt_secret
        )
        self._remember(operation_id, request.attempt)
        self.running = RunningAttempt(record, self.services, spec, type(self.worker), request, parameters)
        self._task = asyncio.create_task(self._run_attempt(self.running), name=operation_id)

    def _remember(self, operation_id: str, attempt: int) -> None:
        self._newest_attempts[operation_id] = attempt
        self._newest_attempts.move_to_end(operation_id)
        while len(self._newest_attempts) > REMEMBERED_OPERATIONS:
            self._newest_attempts.popitem(last=False)

    async def _run_attempt(self, attempt: RunningAttempt) -> None:
        """Run it until its report is on disk."""
        with attempt.record.log_context():
            log.info("attempt started")
            report = await attempt.run()
            log.info("attempt ended: %s", report.outcome)
            await self._finish(attempt.record, report)

    async def _finish(self, record: AttemptRecord, report: Report) -> None:
        entry = OutboxEntry(
            finished=FinishedOperation(operation_id=record.operation_id, report=report),
            files={ref.sha256: str(record.artifacts[ref.name]) for ref in report.artifacts},
            directory=str(record.files.directory),
            request_id=record.trace.request_id,
            traceparent=record.trace.traceparent,
        )
        try:
            await self.outbox.add(entry)
        except OSError as error:
            log.error("could not persist the report: %s", error)
        record.report = report
        record.ended_at = datetime.now(UTC)
        record.state = report.outcome.value
        self.outcomes[report.outcome] += 1
        self.last, self.running = record, None
        if self.draining:
            self.leaving.set()

    def cancel(self, operation_id: str, attempt: int | None, reason: str) -> bool:
        """Start to stop the operation; return False if the agent does not run it. A repeated call has no effect."""
        running = self.running
        if (
            running is None
            or running.record.operation_id != operation_id
            or attempt not in (None, running.record.attempt)
        ):
            return False
        grace_s = self.options.shutdown_grace_s if self.leaving.is_set() else self.cancel_grace_s
        running.stop(reason or "cancelled", grace_s)
        return True

    # Start and shutdown --------------------------------------------------------------------------------

    def drain(self) -> None:
        """Accept no new operation, and leave when idle."""
        self.draining = True
        if self.running is None:
            self.leaving.set()

    def shut_down(self) -> None:
        """Leave. A second call kills the running job."""
        if self.leaving.is_set() and self.running is not None:
            self.running.kill()
        self.leaving.set()

    async def run(self) -> None:
        """Register and deliver reports until the agent leaves; then stop the job, report it and deregister."""
        self.outbox.load()
        self.kept_token.load()
        async with self.client:
            tasks = [
                asyncio.create_task(self.registrar.run(), name="registration"),
                asyncio.create_task(self.outbox.deliver(), name="report delivery"),
                asyncio.create_task(self.load.watch(), name="load measurement"),
                asyncio.create_task(self.lag.watch(), name="loop lag measurement"),
            ]
            leave = asyncio.create_task(self.leaving.wait())
            done, _ = await asyncio.wait({leave, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {leave}:
                log.error("%s failed; shutting down", task.get_name(), exc_info=task.exception())
            await self._leave()
            for task in (leave, *tasks):
                task.cancel()
            await asyncio.gather(leave, *tasks, return_exceptions=True)

    async def _leave(self) -> None:
        self.leaving.set()
        if self._task is not None and not self._task.done():
            if self.running is not None:
                self.running.stop("shutdown", self.options.shutdown_grace_s)
            await self._task
        if not self.registrar.registered:
            return
        await self.outbox.wait_until_empty(FINAL_REPORT_S)
        try:
            async with asyncio.timeout(FINAL_REPORT_S):
                await self.client.deregister(
                    Deregistration(worker_id=self.options.worker_id, instance_id=self.instance_id)
                )
        except (BackendError, TimeoutError) as error:
            log.warning("shut down without deregistering: %s", error)

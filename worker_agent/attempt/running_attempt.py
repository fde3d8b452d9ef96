"""An attempt while it runs: from its inputs through the job's process to its report."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker_agent.attempt.checkpoint_upload import discard, upload_checkpoint
from worker_agent.attempt.input_download import download_inputs
from worker_agent.attempt.outcome import Stop, failure_report, final_report, stop_report
from worker_agent.attempt.record import AttemptRecord
from worker_agent.attempt.secret_request import fetch_secrets
from worker_agent.attempt.services import Services
from worker_agent.backend.errors import BackendError, Corrupt, NoSuchFile, Refused
from worker_agent.job.job import Assignment
from worker_agent.job.launching import Work
from worker_agent.job.process import Ending, JobProcess
from worker_agent.operation_spec import OperationSpec, Worker
from worker_agent.protocol import LogLevel, Outcome, Report, StartRequest

log = logging.getLogger(__name__)

SIGNAL_GAP_S = 0.5
"""Longest time between the job's and the agent's SIGTERM when a service manager signals each process."""


@dataclass(slots=True)
class RunningAttempt:
    record: AttemptRecord
    services: Services
    spec: OperationSpec
    worker_class: type[Worker]
    request: StartRequest
    parameters: dict[str, Any]
    """Validated by the spec's model."""
    _process: JobProcess | None = None
    _stop_reason: str | None = None
    _stop_grace_s: float = 0.0
    _kill_requested: bool = False
    _side_tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _upload: asyncio.Lock = field(default_factory=asyncio.Lock)
    _checkpoints: int = 0

    @property
    def job_pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def run(self) -> Report:
        """Run the attempt. Every error ends in a report too."""
        try:
            report = await self._run()
        except Exception as error:
            log.exception("could not run the operation")
            report = failure_report(
                self.record, self.services.instance_id, f"The worker could not run the operation: {error}"
            )
        await asyncio.gather(*self._side_tasks, return_exceptions=True)
        return report

    def stop(self, reason: str, grace_s: float) -> None:
        """Start to stop the job. A repeated call has no effect."""
        if self._stop_reason is not None:
            return
        self._stop_reason, self._stop_grace_s = reason, grace_s
        if self._process is not None:
            self._start_side_task(self._process.end(reason, grace_s))

    def kill(self) -> None:
        """Kill the job's process without asking it to stop."""
        self._kill_requested = True
        if self._process is not None:
            self._process.kill()

    async def _run(self) -> Report:
        files = self.record.files
        files.create()
        instance_id = self.services.instance_id
        try:
            secrets = await fetch_secrets(self.worker_class.secrets, self.record, self.services)
        except Refused as error:
            return failure_report(self.record, instance_id, error.detail)
        except BackendError as error:
            return self._interruption(f"could not fetch the secrets: {error}")
        try:
            inputs, resume = await download_inputs(self.request, self.record, self.services)
        except (NoSuchFile, Corrupt) as error:
            return failure_report(self.record, instance_id, f"Could not fetch an input: {error}.")
        except (BackendError, OSError) as error:
            return self._interruption(f"could not fetch an input: {error}")
        if (stop := self._requested_stop()) is not None:
            return stop_report(self.record, instance_id, stop)
        assignment = Assignment(
            self.record.operation_id,
            self.record.attempt,
            self.parameters,
            files.scratch,
            inputs,
            resume,
            self.record.trace.traceparent,
            secrets,
        )
        return await self._run_process(assignment)

    async def _run_process(self, assignment: Assignment) -> Report:
        launcher = self.services.launcher
        launcher.ensure_running()
        process = JobProcess(self._message_handler())
        work = Work(self.spec.run, self.worker_class, self.spec.Parameters)
        try:
            await process.start(launcher, work, assignment)
        except OSError as error:
            return self._interruption(f"could not start a process: {error}")
        self._process = process
        self._apply_requests(process)
        ending = await process.wait()
        if ending.left_behind:
            self.record.add_log(
                f"Ended {ending.left_behind} processes that the job left behind.", LogLevel.WARNING
            )
        if await self._ended_with_agent(ending):
            return self._interruption("the worker's processes were ended")
        return await asyncio.to_thread(
            final_report, self.record, self.services.instance_id, ending, self._requested_stop()
        )

    def _apply_requests(self, process: JobProcess) -> None:
        """Stop or kill the process if that was requested while it was being started."""
        if self._kill_requested:
            process.kill()
        elif self._stop_reason is not None:
            self._start_side_task(process.end(self._stop_reason, self._stop_grace_s))

    async def _ended_with_agent(self, ending: Ending) -> bool:
        """Whether the job was ended, without reporting an outcome, by what ends the whole worker or its fork server.

        A service manager sends SIGTERM to each process, and the agent's own may arrive a moment later.
        """
        if ending.message is not None or ending.killed_by_agent:
            return False
        leaving = self.services.leaving
        if ending.exit_code == -signal.SIGTERM and not leaving.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(leaving.wait(), SIGNAL_GAP_S)
        return leaving.is_set() or ending.server_lost

    def _interruption(self, reason: str) -> Report:
        return stop_report(self.record, self.services.instance_id, Stop(reason, Outcome.INTERRUPTED))

    def _requested_stop(self) -> Stop | None:
        if self._stop_reason is None:
            return None
        interrupted = self.services.leaving.is_set()
        return Stop(self._stop_reason, Outcome.INTERRUPTED if interrupted else Outcome.CANCELLED)

    def _message_handler(self) -> Callable[[dict[str, Any]], None]:
        """Return the function that the listening thread calls with each message of the job."""
        loop = asyncio.get_running_loop()

        def handle(message: dict[str, Any]) -> None:
            if message["kind"] == "checkpoint":
                files = {name: self.record.files.take(path) for name, path in dict(message["files"]).items()}
                loop.call_soon_threadsafe(self._upload_checkpoint, message["step"], files)
            else:
                self.record.apply(message)

        return handle

    def _upload_checkpoint(self, step: int, files: dict[str, Path]) -> None:
        with self.record.log_context():  # the task keeps the context in which it is created
            self._checkpoints += 1
            self._start_side_task(self._upload_in_order(self._checkpoints, step, files))

    async def _upload_in_order(self, number: int, step: int, files: dict[str, Path]) -> None:
        """Upload one checkpoint after the other: the backend keeps the one that arrives last.

        One that is replaced while it waits is dropped.
        """
        has_to_wait = self._upload.locked()
        async with self._upload:
            if has_to_wait and number < self._checkpoints:
                discard(files)
            else:
                await upload_checkpoint(self.record, self.services, step, files)

    def _start_side_task(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._side_tasks.add(task)
        task.add_done_callback(self._side_tasks.discard)

"""The agent at run time: one operation at a time, its report, and the way out."""

import asyncio
import logging
import shutil
import signal
from collections import Counter, OrderedDict
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import psutil
from pydantic import JsonValue

from worker_agent import job_process, resources
from worker_agent.checkpoints import send_checkpoint
from worker_agent.client import BackendClient, BackendError, Corrupt, NoSuchFile
from worker_agent.files import FileCache
from worker_agent.inputs import fetch_inputs
from worker_agent.job import Assignment
from worker_agent.job_process import Ending, JobProcess
from worker_agent.lag import LoopLag
from worker_agent.options import Options
from worker_agent.protocol import (
    AgentState,
    Deregistration,
    FinishedOperation,
    Health,
    LogLevel,
    Outcome,
    Registration,
    RegistrationAnswer,
    Report,
    StartRequest,
)
from worker_agent.protocol import (
    RunningOperation as Fence,
)
from worker_agent.registration import Registrar
from worker_agent.reports import Kept, Outbox
from worker_agent.running import RunningOperation
from worker_agent.trace import Trace
from worker_agent.usage import Usage, gpu_bytes_by_process, of_tree
from worker_agent.verdict import Stop, failed, judge, stopped
from worker_agent.work import OperationSpec, Worker

log = logging.getLogger(__name__)

REMEMBERED = 1000
"""Operations whose newest attempt is remembered, to refuse older ones."""
LAST_WORDS_S = 2.0
"""At shutdown, for the last report to be taken."""
LOAD_EVERY_S = 5.0
SIGNALS_APART_S = 0.5
"""Between a SIGTERM to the job and the one to the agent, where a service manager sends them to each process."""


class Busy(Exception):
    """It runs something else."""

    def __init__(self, operation_id: str | None) -> None:
        super().__init__(operation_id or "leaving")
        self.operation_id = operation_id


class OlderAttempt(Exception):
    """A newer attempt of the operation was here already."""


class Agent:
    def __init__(self, worker: Worker, options: Options, instance_id: str) -> None:
        self.worker = worker
        self.options = options
        self.instance_id = instance_id
        self.capabilities: dict[str, JsonValue] = {**resources.capabilities(), **worker.capabilities()}
        self.context = job_process.context(worker.preload)
        self.client = BackendClient(options.api_url, options.token)
        self.registrar = Registrar(self.client, self.registration, self._registered)
        self.outbox = Outbox(options.data_dir / "reports", self.client, self.registrar.again)
        self.cache = FileCache(options.data_dir / "cache", options.cache_bytes)
        self.backend_token = ""
        self.cancel_grace_s = 10.0
        self.current: RunningOperation | None = None
        self.last: RunningOperation | None = None
        """Kept until the next one, so that its final progress, metrics and logs can still be pulled."""
        self.draining = False
        self.leaving = asyncio.Event()
        self.load: dict[str, JsonValue] = {}
        self.lag = LoopLag()
        self.ended: Counter[Outcome] = Counter()
        self._gpu_bytes: dict[int, int] | None = None
        self._newest: OrderedDict[str, int] = OrderedDict()
        self._process: JobProcess | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancel_reason: str | None = None
        self._interrupting = False
        self._side_tasks: set[asyncio.Task[None]] = set()

    # What it says of itself ----------------------------------------------------------------------------

    def registration(self) -> Registration:
        return Registration(
            worker_id=self.options.worker_id,
            worker_type=self.worker.worker_type,
            endpoint_url=self.options.public_url,
            capabilities=self.capabilities,
            instance_id=self.instance_id,
            version=self.worker.version,
            operation_types=tuple(spec.announced() for spec in self.worker.specs()),
            current_operation=self.fence,
            completed_operations=self.outbox.finished()[:100],
        )

    @property
    def fence(self) -> Fence | None:
        return (
            Fence(operation_id=self.current.operation_id, attempt=self.current.attempt)
            if self.current
            else None
        )

    def health(self) -> Health:
        return Health(
            status=AgentState.BUSY if self.current or self.draining else AgentState.IDLE,
            worker_id=self.options.worker_id,
            instance_id=self.instance_id,
            current_operation=self.current.operation_id if self.current else None,
            current_attempt=self.current.attempt if self.current else None,
            unacknowledged=tuple(f.operation_id for f in self.outbox.finished())[:1000],
            draining=self.draining,
            resources=self.load,
        )

    def usage(self) -> Usage | None:
        """Of the present job. Reads every process of it, so it is not for the event loop."""
        return of_tree(self._process.pid if self._process else None, self._gpu_bytes)

    def find(self, operation_id: str) -> RunningOperation | None:
        for operation in (self.current, self.last):
            if operation is not None and operation.operation_id == operation_id:
                return operation
        return None

    def known(self) -> list[RunningOperation]:
        return [operation for operation in (self.current, self.last) if operation is not None]

    def _registered(self, answer: RegistrationAnswer) -> None:
        self.backend_token = answer.backend_token
        self.cancel_grace_s = answer.cancel_grace_s
        for operation_id in answer.acknowledged:
            self.outbox.forget(operation_id)
        for stop in answer.stop_operations:
            if self.fence == stop:
                self.cancel(stop.operation_id, stop.attempt, "this attempt does not count any more")

    # Starting ------------------------------------------------------------------------------------------

    def start(self, spec: OperationSpec, request: StartRequest, operation_id: str) -> None:
        """Accepts the work, or the repetition of what was accepted. Raises Busy, OlderAttempt, ValidationError.

        Nothing is awaited between the look at `current` and its change: of two starts at once one is refused.
        """
        newest = self._newest.get(operation_id, 0)
        if request.attempt < newest:
            raise OlderAttempt(f"attempt {newest} of this operation was here already")
        if request.attempt == newest:
            return
        if self.current is not None or self.draining or self.leaving.is_set():
            raise Busy(self.current.operation_id if self.current else None)
        parameters = spec.Parameters.model_validate(dict(request.parameters)).model_dump(mode="json")
        directory = self.options.data_dir / "jobs" / f"{operation_id}.{request.attempt}"
        trace = Trace.of(request.request_id, request.traceparent)
        operation = RunningOperation(operation_id, spec.operation_type, request.attempt, directory, trace)
        self._remember(operation_id, request.attempt)
        self.current = operation
        self._cancel_reason, self._interrupting, self._process = None, False, None
        self._task = asyncio.create_task(self._work(spec, request, operation, parameters), name=operation_id)

    def _remember(self, operation_id: str, attempt: int) -> None:
        self._newest[operation_id] = attempt
        self._newest.move_to_end(operation_id)
        while len(self._newest) > REMEMBERED:
            self._newest.popitem(last=False)

    async def _work(
        self,
        spec: OperationSpec,
        request: StartRequest,
        operation: RunningOperation,
        parameters: dict[str, Any],
    ) -> None:
        """From acceptance to a report that is safe on disk; whatever goes wrong ends in a report too."""
        with operation.spoken_of():
            log.info("%s begins", operation.operation_id)
            try:
                report = await self._attempt(spec, request, operation, parameters)
            except Exception as error:
                log.exception("the agent could not run %s", operation.operation_id)
                report = failed(operation, self.instance_id, f"The worker could not run it: {error}")
            await asyncio.gather(*self._side_tasks, return_exceptions=True)
            log.info("%s has ended: %s", operation.operation_id, report.outcome)
            await self._finish(operation, report)

    async def _attempt(
        self,
        spec: OperationSpec,
        request: StartRequest,
        operation: RunningOperation,
        parameters: dict[str, Any],
    ) -> Report:
        shutil.rmtree(operation.directory, ignore_errors=True)
        operation.directory.mkdir(parents=True)
        try:
            inputs, resume = await fetch_inputs(request, operation, self.cache, self.client, self.registrar)
        except (NoSuchFile, Corrupt) as error:
            return failed(operation, self.instance_id, f"An input cannot be had: {error}.")
        except (BackendError, OSError) as error:
            return self._interrupted(operation, f"an input cannot be fetched: {error}")
        if (stop := self._stop()) is not None:
            return stopped(operation, self.instance_id, stop)
        process = JobProcess(operation, self._checkpoint_callback(operation))
        assignment = Assignment(
            operation.operation_id,
            operation.attempt,
            parameters,
            operation.directory,
            inputs,
            resume,
            operation.trace.traceparent,
        )
        job_process.warm_up(self.context)
        helpers = {child.pid for child in psutil.Process().children(recursive=True)}
        process.start(self.context, spec.run, type(self.worker), spec.Parameters, assignment)
        self._process = process
        if (stop := self._stop()) is not None:  # while the process was being made
            await process.end(stop.reason, self._grace())
        ending = await process.wait()
        orphans = await asyncio.to_thread(job_process.end_orphans, helpers)
        if orphans:
            operation.add_log(f"{orphans} processes that the job left behind were ended.", LogLevel.WARNING)
        if await self._ended_with_us(ending, helpers):
            return self._interrupted(operation, "the worker's processes were ended")
        return await asyncio.to_thread(judge, operation, self.instance_id, ending, self._stop())

    def _interrupted(self, operation: RunningOperation, reason: str) -> Report:
        return stopped(operation, self.instance_id, Stop(reason, Outcome.INTERRUPTED))

    async def _ended_with_us(self, ending: Ending, helpers: set[int]) -> bool:
        """Whether the job died wordless of what ends the whole worker: the service's SIGTERM to each of its
        processes, of which the agent's own may come a moment later, or the end of the fork server."""
        if ending.message is not None or ending.killed_by_us:
            return False
        if ending.exit_code == -signal.SIGTERM and not self.leaving.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self.leaving.wait(), SIGNALS_APART_S)
        return self._interrupting or not await asyncio.to_thread(job_process.all_live, helpers)

    # Checkpoints ---------------------------------------------------------------------------------------

    def _checkpoint_callback(self, operation: RunningOperation) -> Any:
        loop = asyncio.get_running_loop()

        def taken(step: int, files: dict[str, str]) -> None:
            loop.call_soon_threadsafe(self._begin_checkpoint, operation, step, files)

        return taken

    def _begin_checkpoint(self, operation: RunningOperation, step: int, files: dict[str, str]) -> None:
        with operation.spoken_of():  # a task keeps the context in which it was made
            task = asyncio.create_task(
                send_checkpoint(operation, self.instance_id, step, files, self.client, self.registrar)
            )
        self._side_tasks.add(task)
        task.add_done_callback(self._side_tasks.discard)

    # Ending --------------------------------------------------------------------------------------------

    def cancel(self, operation_id: str, attempt: int | None, reason: str) -> bool:
        """Begins to end what runs; False where this is not it. Repeated, it changes nothing."""
        current = self.current
        if current is None or current.operation_id != operation_id or attempt not in (None, current.attempt):
            return False
        self._end_job(reason or "cancelled")
        return True

    def _end_job(self, reason: str) -> None:
        if self._cancel_reason is not None:
            return
        self._cancel_reason = reason
        if self._process is not None:
            task = asyncio.create_task(self._process.end(reason, self._grace()))
            self._side_tasks.add(task)
            task.add_done_callback(self._side_tasks.discard)

    def _stop(self) -> Stop | None:
        if self._cancel_reason is None:
            return None
        return Stop(self._cancel_reason, Outcome.INTERRUPTED if self._interrupting else Outcome.CANCELLED)

    def _grace(self) -> float:
        return self.options.shutdown_grace_s if self._interrupting else self.cancel_grace_s

    async def _finish(self, operation: RunningOperation, report: Report) -> None:
        files = {ref.sha256: str(operation.artifacts[ref.name]) for ref in report.artifacts}
        kept = Kept(
            finished=FinishedOperation(operation_id=operation.operation_id, report=report),
            files=files,
            directory=str(operation.directory),
            request_id=operation.trace.request_id,
            traceparent=operation.trace.traceparent,
        )
        try:
            await self.outbox.keep(kept)
        except OSError as error:
            log.error("the report of %s is in memory alone: %s", operation.operation_id, error)
        operation.report = report
        operation.ended_at = datetime.now(UTC)
        operation.state = report.outcome.value
        self.ended[report.outcome] += 1
        self.last, self.current, self._process = operation, None, None
        if self.draining:
            self.leaving.set()

    # The whole life ------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Nothing new; leaves when idle."""
        self.draining = True
        if self.current is None:
            self.leaving.set()

    def shut_down(self) -> None:
        """SIGTERM. The second one hastens."""
        if self.leaving.is_set() and self._process is not None:
            self._process.kill()
        self._interrupting = True
        self.leaving.set()

    async def run(self) -> None:
        """Until it is told to leave: registered, delivering, and then in order out."""
        self.outbox.load()
        job_process.warm_up(self.context)
        async with self.client:
            tasks = [
                asyncio.create_task(self.registrar.keep(), name="registration"),
                asyncio.create_task(self.outbox.deliver(), name="reports"),
                asyncio.create_task(self._watch_load(), name="load"),
                asyncio.create_task(self.lag.watch(), name="lag"),
            ]
            leave = asyncio.create_task(self.leaving.wait())
            done, _ = await asyncio.wait({leave, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {leave}:
                log.error("%s ended, and with it the agent", task.get_name(), exc_info=task.exception())
            await self._leave()
            for task in (leave, *tasks):
                task.cancel()
            await asyncio.gather(leave, *tasks, return_exceptions=True)

    async def _leave(self) -> None:
        self._interrupting = True
        if self._task is not None and not self._task.done():
            self._end_job("shutdown")
            await self._task
        if not self.registrar.registered:
            return
        await self.outbox.delivered(LAST_WORDS_S)
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                await self.client.deregister(
                    Deregistration(worker_id=self.options.worker_id, instance_id=self.instance_id)
                )
        except (BackendError, TimeoutError) as error:
            log.warning("left without the backend knowing: %s", error)

    async def _watch_load(self) -> None:
        psutil.cpu_percent(interval=None)
        gpu = self.capabilities.get("gpu") is True
        while True:
            await asyncio.sleep(LOAD_EVERY_S)
            self.load = await asyncio.to_thread(resources.load, gpu)
            if gpu and self.current is not None:
                self._gpu_bytes = await asyncio.to_thread(gpu_bytes_by_process)

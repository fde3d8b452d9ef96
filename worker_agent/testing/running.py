"""Workers that run for a test: real agents and job processes, with a fake backend, driven without asyncio."""

import asyncio
import itertools
import os
import sys
import threading
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from worker_agent.base import WorkerAPIBase
from worker_agent.protocol import CheckpointRef, LogLine, MetricPoint, Outcome, Registration, Report
from worker_agent.testing.fake_backend import FakeBackend

T = TypeVar("T")
TOKEN = "enrolment-token-of-tests"  # noqa: S105  (of no real backend)
WAIT_S = 120.0
"""For an operation to end or a worker to start, unless a test sets another limit."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    step: int
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Run:
    """One ended attempt of an operation."""

    report: Report
    """As the backend receives it."""
    artifacts: dict[str, bytes]
    """Name -> content."""
    checkpoint: Checkpoint | None
    """The newest one of this attempt."""

    @property
    def outcome(self) -> Outcome:
        return self.report.outcome

    @property
    def result(self) -> dict[str, Any]:
        """Raises AssertionError with the error's text if the operation did not complete."""
        assert self.outcome is Outcome.COMPLETED, self.error or f"the operation was {self.outcome}"
        return dict(self.report.result or {})

    @property
    def error(self) -> str:
        """The message, and the traceback if there is one; empty without an error."""
        error = self.report.error
        return "" if error is None else "\n".join(filter(None, (error.message, error.traceback)))

    @property
    def logs(self) -> list[str]:
        return [line.message for line in self.log_lines]

    @property
    def log_lines(self) -> tuple[LogLine, ...]:
        return self.report.logs

    @property
    def metrics(self) -> tuple[MetricPoint, ...]:
        return self.report.metrics


class Operation:
    """An operation that a worker has started."""

    def __init__(self, worker: "RunningWorker", operation_id: str) -> None:
        self._worker = worker
        self._operation_id = operation_id

    def cancel(self) -> None:
        self._worker.ask("DELETE", f"/api/v1/operations/{self._operation_id}/cancel")

    def wait_for_log(self, text: str, timeout_s: float = WAIT_S) -> None:
        """Wait until a line of the operation's log contains `text`. Raises TimeoutError."""
        path = f"/api/v1/operations/{self._operation_id}/logs?cursor=0"

        async def poll() -> None:
            async with asyncio.timeout(timeout_s):
                while not any(text in line["message"] for line in await self._worker.lines(path)):
                    await asyncio.sleep(0.02)

        self._worker.running.call(poll())

    def wait_for_checkpoint(self, timeout_s: float = WAIT_S) -> Checkpoint:
        """Wait until the backend has a checkpoint of the operation; return the newest. Raises TimeoutError."""
        backend = self._worker.running.backend
        self._worker.running.call(backend.until(lambda: self._newest_checkpoint() is not None, timeout_s))
        checkpoint = self._newest_checkpoint()
        assert checkpoint is not None
        return checkpoint

    def wait(self, timeout_s: float = WAIT_S) -> Run:
        """Wait until the operation has ended. Raises TimeoutError."""
        backend = self._worker.running.backend
        report = self._worker.running.call(backend.report_of(self._operation_id, timeout_s))
        return Run(
            report=report,
            artifacts={artifact.name: backend.files[artifact.sha256] for artifact in report.artifacts},
            checkpoint=self._newest_checkpoint(),
        )

    def _newest_checkpoint(self) -> Checkpoint | None:
        backend = self._worker.running.backend
        sent = [report for operation, report in backend.checkpoints if operation == self._operation_id]
        if not sent:
            return None
        return Checkpoint(sent[-1].step, {file.name: backend.files[file.sha256] for file in sent[-1].files})


class RunningWorker:
    """A registered worker. It runs one operation at a time."""

    def __init__(self, running: "Running", registration: Registration) -> None:
        self.running = running
        self.registration = registration

    def run(
        self,
        parameters: Mapping[str, Any] | None = None,
        *,
        inputs: Mapping[str, bytes | Path] | None = None,
        resume: Checkpoint | None = None,
        secrets: Mapping[str, str] | None = None,
        operation_type: str = "",
        timeout_s: float = WAIT_S,
    ) -> Run:
        """Run one operation to its end. The arguments are those of `start`."""
        operation = self.start(
            parameters, inputs=inputs, resume=resume, secrets=secrets, operation_type=operation_type
        )
        return operation.wait(timeout_s)

    def start(
        self,
        parameters: Mapping[str, Any] | None = None,
        *,
        inputs: Mapping[str, bytes | Path] | None = None,
        resume: Checkpoint | None = None,
        secrets: Mapping[str, str] | None = None,
        operation_type: str = "",
    ) -> Operation:
        """Start an operation. Raises AssertionError if the worker refuses it.

        `inputs`: name -> content or path of a file, for `job.inputs`. `resume`: the checkpoint for `job.resume`.
        `secrets`: name -> value, for `job.secrets`. `operation_type`: needed if the worker has several.
        """
        backend = self.running.backend
        backend.secrets = dict(secrets or {})
        operation_id = f"operation-{next(self.running.numbers)}"
        types = [each.operation_type for each in self.registration.operation_types]
        status, body = self.running.call(
            backend.start(
                self.registration,
                operation_id,
                dict(parameters or {}),
                inputs=tuple(backend.keep(name, _content(file)) for name, file in (inputs or {}).items()),
                resume_from=None if resume is None else self._keep(resume),
                attempt=1 if resume is None else 2,
                kind=types.index(operation_type) if operation_type else 0,
            )
        )
        assert status == 200, f"the worker refused the operation with status {status}: {body}"
        return Operation(self, operation_id)

    def _keep(self, checkpoint: Checkpoint) -> CheckpointRef:
        files = tuple(self.running.backend.keep(name, file) for name, file in checkpoint.files.items())
        return CheckpointRef(attempt=1, step=checkpoint.step, files=files)

    def kill(self) -> None:
        """End the worker by SIGKILL, as a power failure would. Its jobs end with it."""
        self.running.call(self.running.kill(self.registration.worker_id))

    def ask(self, method: str, path: str) -> None:
        self.running.call(self.running.backend.ask(self.registration, method, path))

    async def lines(self, path: str) -> list[dict[str, Any]]:
        _, page = await self.running.backend.ask(self.registration, "GET", path)
        return list(page["results"]) if isinstance(page, dict) else []


def _content(file: bytes | Path) -> bytes:
    return file if isinstance(file, bytes) else file.read_bytes()


class Running:
    """A fake backend in a thread of its own, and the workers that were started with it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.backend = FakeBackend(TOKEN, health_interval_s=60.0, cancel_grace_s=30.0)
        self.numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake backend", daemon=True)
        self._processes: list[asyncio.subprocess.Process] = []

    def __call__(self, worker_class: type[WorkerAPIBase], **environment: str) -> RunningWorker:
        """Start a worker and wait until it has registered; `environment` is added to that of its process.

        The class must be defined in a module that its process can import, not inside a function.
        Raises AssertionError with the worker's log if it ends instead.
        """
        return RunningWorker(self, self.call(self._start(worker_class, environment)))

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine beside the fake backend and wait for its end."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _start(self, worker_class: type[WorkerAPIBase], environment: Mapping[str, str]) -> Registration:
        worker_id = f"worker-{len(self._processes) + 1}"
        log = self.directory / f"{worker_id}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "worker_agent.testing.serve",
                f"{worker_class.__module__}:{worker_class.__qualname__}",
                "--port", "0", "--host", "127.0.0.1", "--api-url", self.backend.url, "--worker-id", worker_id,
                "--data-dir", str(self.directory / worker_id),
                env={
                    **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                    "KTRDR_WORKER_TOKEN": TOKEN, **environment,
                },
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        self._processes.append(process)
        registered = asyncio.create_task(self.backend.worker(worker_id, timeout_s=WAIT_S))
        ended = asyncio.create_task(process.wait())
        await asyncio.wait((registered, ended), return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not registered.done():
            registered.cancel()
            raise AssertionError(f"{worker_class.__name__} did not start:\n{log.read_text(errors='replace')}")
        return registered.result()

    async def kill(self, worker_id: str) -> None:
        process = self._processes[int(worker_id.removeprefix("worker-")) - 1]
        process.kill()
        await process.wait()

    async def _end_workers(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.terminate()
        for process in self._processes:
            await process.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        self.call(self.backend.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.call(self._end_workers())
            self.call(self.backend.__aexit__(kind, error, trace))
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

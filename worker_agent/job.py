"""A job, seen from inside its own process: what the work function is given, and the process's main function.

Everything goes to the agent as JSON lines through one pipe; files lie in the job's directory and only their
names are sent.
"""

import json
import logging
import math
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from worker_agent import kernel
from worker_agent.protocol import MAX_TEXT, MAX_TRACEBACK, ErrorClass, InvalidInput, LogLevel

PROGRESS_EVERY_S = 0.05


class FilesOnDisk(Mapping[str, bytes]):
    """Files by name; each is read when it is asked for."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self.paths = dict(paths)

    def __getitem__(self, name: str) -> bytes:
        return self.paths[name].read_bytes()

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True, slots=True)
class Resume:
    """The newest checkpoint of an earlier attempt."""

    attempt: int
    step: int
    files: FilesOnDisk


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the agent tells the new process."""

    operation_id: str
    attempt: int
    parameters: dict[str, Any]
    directory: Path
    inputs: dict[str, Path]
    resume: Resume | None
    traceparent: str = ""


class Job:
    """The work function's side. Safe to use from several threads."""

    def __init__(self, pipe: Connection, assignment: Assignment) -> None:
        self.operation_id = assignment.operation_id
        self.attempt = assignment.attempt
        self.inputs: Mapping[str, Path] = assignment.inputs
        self.resume = assignment.resume
        self.traceparent = assignment.traceparent
        """W3C Trace Context, for a job that calls others."""
        self.cancel_reason = ""
        self._directory = assignment.directory
        self._pipe = pipe
        self._lock = threading.RLock()
        self._files = 0
        self._progress_sent = 0.0
        self._progress: dict[str, Any] | None = None
        self._cancelled = False
        self.cancel_observed = False

    def progress(
        self,
        percentage: float,
        step: str | None = None,
        completed: int | None = None,
        total: int | None = None,
    ) -> None:
        """At most 20 a second are sent on; the last one always is."""
        with self._lock:
            self._progress = {
                "kind": "progress",
                "percentage": min(100.0, max(0.0, float(percentage))) if math.isfinite(percentage) else 0.0,
                "current_step": None if step is None else str(step)[:500],
                "steps_completed": completed,
                "steps_total": total,
            }
            if time.monotonic() - self._progress_sent >= PROGRESS_EVERY_S:
                self._flush_progress()

    def metric(self, name: str, step: int, value: float) -> None:
        """NaN and infinities are kept as null."""
        number = float(value)
        finite = number if math.isfinite(number) else None
        self._send(
            {
                "kind": "metric",
                "name": str(name)[:100],
                "step": int(step),
                "value": finite,
                "time": time.time(),
            }
        )

    def log(self, line: str, level: str = "info") -> None:
        text = str(line)
        if len(text) > MAX_TEXT:
            text = text[: MAX_TEXT - 20] + " ... (line cut here)"[:20]
        self._send({"kind": "log", "level": LogLevel(level), "message": text, "time": time.time()})

    def checkpoint(self, step: int, files: Mapping[str, bytes | Path]) -> None:
        """State to go on from, kept by the backend. Returns when it lies on disk; the agent sends it on."""
        written = {name: str(self._write(content)) for name, content in files.items()}
        self._send({"kind": "checkpoint", "step": int(step), "files": written})

    def artifact(self, name: str, content: bytes | Path) -> None:
        """A file of the result."""
        self._send({"kind": "artifact", "name": name, "path": str(self._write(content))})

    @property
    def cancelled(self) -> bool:
        """Whether somebody wants this job to end: save what is worth it, and return."""
        with self._lock:
            while not self._cancelled and self._pipe.poll():
                try:
                    order = json.loads(self._pipe.recv_bytes())
                except EOFError:
                    os._exit(1)  # the agent is gone
                self.cancel_reason = str(order.get("reason", ""))
                self._cancelled = True
            self.cancel_observed = self.cancel_observed or self._cancelled
            return self._cancelled

    def _write(self, content: bytes | Path) -> Path:
        """Into the job's directory; a file given by path is copied, since the job may go on writing to it."""
        with self._lock:
            self._files += 1
            path = self._directory / f"file-{self._files}"
        data = content.read_bytes() if isinstance(content, Path) else bytes(content)
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return path

    def _flush_progress(self) -> None:
        if self._progress is not None:
            self._send(self._progress)
            self._progress = None
            self._progress_sent = time.monotonic()

    def _send(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._pipe.send_bytes(json.dumps(message, allow_nan=False).encode())

    def end(self, message: dict[str, Any]) -> None:
        """The last word: how the work function ended."""
        with self._lock:
            self._flush_progress()
            self._send({"kind": "end", "cancel_observed": self.cancel_observed, **message})


class LogToJob(logging.Handler):
    """Whatever libraries log in the job's process stands in the operation's log."""

    def __init__(self, job: Job) -> None:
        super().__init__(logging.INFO)
        self._job = job

    def emit(self, record: logging.LogRecord) -> None:
        level = {logging.WARNING: "warning", logging.ERROR: "error", logging.CRITICAL: "error"}.get(
            record.levelno, "info"
        )
        self._job.log(f"{record.name}: {record.getMessage()}", level)


def run_job(
    run: Callable[[Any, Any, Job], dict[str, Any]],
    worker_class: Callable[[], Any],
    parameters_model: type[BaseModel],
    pipe: Connection,
    assignment: Assignment,
) -> None:
    """Main function of the job's process: a session and group of its own, and dead when its parent is."""
    parent = os.getppid()
    os.setsid()
    kernel.die_with_parent(parent)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    job = Job(pipe, assignment)
    _log_to(job)
    os.chdir(assignment.directory)
    try:
        parameters = parameters_model.model_validate(assignment.parameters)
        result = run(worker_class(), parameters, job)
        job.end({"outcome": "completed", "result": _json_object(result)})
    except BaseException as error:
        job.end({"outcome": "failed", "error": describe(error)})
    sys.stdout.flush()
    sys.stderr.flush()


def _log_to(job: Job) -> None:
    root = logging.getLogger()
    root.handlers = [LogToJob(job)]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    warnings.simplefilter("default")


def _json_object(result: Any) -> dict[str, Any]:
    """The result as it will be read back. Raises TypeError, ValueError with the reason."""
    if not isinstance(result, dict):
        raise TypeError(f"run() has to return a dict of JSON values, not {type(result).__name__}")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(result, allow_nan=False))
    except ValueError as error:
        raise ValueError(f"run() returned a value that is not JSON: {error}") from error
    return plain


def describe(error: BaseException) -> dict[str, Any]:
    """`{class, message, traceback}`, each within the protocol's bounds."""
    if isinstance(error, InvalidInput):
        return {
            "class": ErrorClass.INVALID,
            "message": _cut(str(error) or "invalid input", MAX_TEXT),
            "traceback": None,
        }
    text = "".join(traceback.format_exception(error, limit=-50))
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    memory = (
        isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    )  # torch's own, for a GPU
    return {
        "class": ErrorClass.OUT_OF_MEMORY if memory else ErrorClass.JOB,
        "message": _cut(message, MAX_TEXT),
        "traceback": _cut(text, MAX_TRACEBACK),
    }


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    middle = f"\n... {len(text) - most + 60} characters cut ...\n"
    half = (most - len(middle)) // 2
    return text[:half] + middle + text[-half:]

"""The job as the work function sees it, inside the job's own process.

Messages go to the agent as JSON through one pipe. Files are written to the job's directory; only their paths are sent.
"""

import json
import math
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from worker_agent.job.repair import integer_of, storable_name, text_of
from worker_agent.protocol import MAX_METRIC_NAME, MAX_STEP_TEXT, MAX_TEXT, LogLevel

PROGRESS_INTERVAL_S = 0.05
CUT_MARK = " ... (line cut)"
UNNAMED = "unnamed"
MAX_NOTES = 100


class FilesOnDisk(Mapping[str, bytes]):
    """Maps names to file contents; a file is read when its name is looked up.

    A file is found by the name it was saved under, also where it is stored under another (`storable_name`).
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self.paths = dict(paths)

    def __getitem__(self, name: str) -> bytes:
        return self.paths[name if name in self.paths else storable_name(name)].read_bytes()

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
    """Everything that the agent passes to the job's process."""

    operation_id: str
    attempt: int
    parameters: dict[str, Any]
    directory: Path
    inputs: dict[str, Path]
    resume: Resume | None
    traceparent: str = ""


class Job:
    """Reports progress, metrics, logs and files of the work function. Its methods are thread-safe."""

    def __init__(self, pipe: Connection, assignment: Assignment) -> None:
        self.operation_id = assignment.operation_id
        self.attempt = assignment.attempt
        self.inputs: Mapping[str, Path] = assignment.inputs
        self.resume = assignment.resume
        self.traceparent = assignment.traceparent
        """W3C Trace Context, for a job that calls other services."""
        self.cancel_reason = ""
        self.cancel_observed = False
        self._directory = assignment.directory
        self._pipe = pipe
        self._lock = threading.RLock()
        self._files_written = 0
        self._progress_sent_at = 0.0
        self._pending_progress: dict[str, Any] | None = None
        self._cancelled = False
        self._notes: set[str] = set()

    def progress(
        self,
        percentage: float,
        step: str | None = None,
        completed: int | None = None,
        total: int | None = None,
    ) -> None:
        """Report progress. At most 20 updates a second are sent; the last one always is."""
        with self._lock:
            self._pending_progress = {
                "kind": "progress",
                "percentage": min(100.0, max(0.0, float(percentage))) if math.isfinite(percentage) else 0.0,
                "current_step": None if step is None else text_of(step, MAX_STEP_TEXT),
                "steps_completed": self._count(completed, "completed steps"),
                "steps_total": self._count(total, "total steps"),
            }
            if time.monotonic() - self._progress_sent_at >= PROGRESS_INTERVAL_S:
                self._flush_progress()

    def metric(self, name: str, step: int, value: float) -> None:
        """Record a metric point. NaN and infinities are stored as null."""
        number = float(value)
        self._send(
            {
                "kind": "metric",
                "name": self._metric_name(name),
                "step": integer_of(step, f"The step of metric {text_of(name, 40)}", self._note),
                "value": number if math.isfinite(number) else None,
                "time": time.time(),
            }
        )

    def log(self, line: str, level: str = "info") -> None:
        """Add a line to the operation's log."""
        text = text_of(line)
        if len(text) > MAX_TEXT:
            text = text[: MAX_TEXT - len(CUT_MARK)] + CUT_MARK
        known = level if level in set(LogLevel) else LogLevel.INFO
        self._send({"kind": "log", "level": known, "message": text, "time": time.time()})

    def checkpoint(self, step: int, files: Mapping[str, bytes | Path]) -> None:
        """Save state from which a later attempt can resume.

        Returns when the files are on the local disk; the agent uploads them to the backend in the background.
        """
        paths = {self._file_name(name): str(self._write(content)) for name, content in files.items()}
        number = integer_of(step, "The step of a checkpoint", self._note, least=0)
        self._send({"kind": "checkpoint", "step": number, "files": paths})

    def artifact(self, name: str, content: bytes | Path) -> None:
        """Add a file to the operation's result. A name that cannot be stored is changed, and the log notes it."""
        self._send({"kind": "artifact", "name": self._file_name(name), "path": str(self._write(content))})

    @property
    def cancelled(self) -> bool:
        """Whether the job has been asked to stop. If so, save what is needed and return."""
        with self._lock:
            while not self._cancelled and self._pipe.poll():
                try:
                    request = json.loads(self._pipe.recv_bytes())
                except EOFError:
                    os._exit(1)  # the agent is gone
                self.cancel_reason = str(request.get("reason", ""))
                self._cancelled = True
            self.cancel_observed = self.cancel_observed or self._cancelled
            return self._cancelled

    def end(self, message: dict[str, Any]) -> None:
        """Send the final message: how the work function ended."""
        with self._lock:
            self._flush_progress()
            self._send({"kind": "end", "cancel_observed": self.cancel_observed, **message})

    def _note(self, text: str) -> None:
        """Write a repair to the log, once for each text and at most `MAX_NOTES` times."""
        with self._lock:
            if text in self._notes or len(self._notes) >= MAX_NOTES:
                return
            self._notes.add(text)
        self.log(text if len(self._notes) < MAX_NOTES else "More repairs are not listed.", LogLevel.WARNING)

    def _count(self, value: int | None, what: str) -> int | None:
        return None if value is None else integer_of(value, f"The number of {what}", self._note, least=0)

    def _metric_name(self, name: object) -> str:
        text = text_of(name)
        if text and len(text) <= MAX_METRIC_NAME:
            return text
        stored = text_of(text, MAX_METRIC_NAME) or UNNAMED
        self._note(f"A metric's name has 1 to {MAX_METRIC_NAME} characters; stored as {stored}")
        return stored

    def _file_name(self, name: object) -> str:
        stored = storable_name(name)
        if stored != name:
            self._note(f"The file {text_of(name, 200)} is stored as {stored}")
        return stored

    def _write(self, content: bytes | Path) -> Path:
        """Write to the job's directory. A file given by path is copied: the job may continue to write to it."""
        with self._lock:
            self._files_written += 1
            path = self._directory / f"file-{self._files_written}"
        data = content.read_bytes() if isinstance(content, Path) else bytes(content)
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return path

    def _flush_progress(self) -> None:
        if self._pending_progress is not None:
            self._send(self._pending_progress)
            self._pending_progress = None
            self._progress_sent_at = time.monotonic()

    def _send(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._pipe.send_bytes(json.dumps(message, allow_nan=False).encode())

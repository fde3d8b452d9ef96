"""The job as the work function sees it, inside the job's own process.

Messages go to the agent as JSON through one pipe. Files are written to the job's directory; only their paths are sent.
"""

import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from worker_agent.job.content import Content, Rows, SavesFigure, content_of, figure_of, table_of, with_suffix
from worker_agent.job.redaction import Redaction
from worker_agent.job.repair import integer_of, storable_name, text_of
from worker_agent.job.secrets import Secrets
from worker_agent.protocol import MAX_METRIC_NAME, MAX_STEP_TEXT, MAX_TEXT, LogLevel

PROGRESS_INTERVAL_S = 0.05
CUT_MARK = " ... (line cut)"
UNNAMED = "unnamed"
MAX_NOTES = 100
N = TypeVar("N", int, float)


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
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


class Job:
    """Reports progress, metrics, logs and files of the work function. Its methods are thread-safe."""

    def __init__(self, pipe: Connection, assignment: Assignment) -> None:
        self.operation_id = assignment.operation_id
        self.attempt = assignment.attempt
        self.inputs: Mapping[str, Path] = assignment.inputs
        self.secrets: Mapping[str, str] = Secrets(assignment.secrets)
        """Name -> value of the stored secrets that the worker names. They are removed from all that the job sends."""
        self.redaction = Redaction(assignment.secrets.items())
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
                "current_step": None if step is None else self._step_text(step),
                "steps_completed": self._count(completed, "completed steps"),
                "steps_total": self._count(total, "total steps"),
            }
            if time.monotonic() - self._progress_sent_at >= PROGRESS_INTERVAL_S:
                self._flush_progress()

    def metric(self, name: str, step: int, value: float) -> None:
        """Record a metric point. NaN and infinities are stored as null, and the log notes it.

        Raises TypeError or ValueError if step or value is not a number; NumPy's and torch's scalars are numbers.
        """
        shown = text_of(name, 40)
        number = _number_of(value, f"The value of metric {shown}", float)
        if not math.isfinite(number):
            self._note(f"Metric {shown} is {number} at some steps; stored as null")
        self._send(
            {
                "kind": "metric",
                "name": self._metric_name(name),
                "step": integer_of(
                    _number_of(step, f"The step of metric {shown}", int),
                    f"The step of metric {shown}",
                    self._note,
                ),
                "value": number if math.isfinite(number) else None,
                "time": time.time(),
            }
        )

    def log(self, line: str, level: str = "info") -> None:
        """Add a line to the operation's log. `level`: info, warning or error."""
        text = self.redaction.text(text_of(line))  # before it is cut, which might leave a part of a secret
        if len(text) > MAX_TEXT:
            text = text[: MAX_TEXT - len(CUT_MARK)] + CUT_MARK
        known = level if level in set(LogLevel) else LogLevel.INFO
        if known != level:
            self._note(
                f"The level {text_of(level, 40)} is not info, warning or error; its lines are stored as info"
            )
        self._send({"kind": "log", "level": known, "message": text, "time": time.time()})

    def checkpoint(self, step: int, files: Mapping[str, Content]) -> None:
        """Save state from which a later attempt can resume.

        Returns when the files are on the local disk; the agent uploads them to the backend in the background.
        """
        paths = {
            self._file_name(name): str(self._write(content_of(name, content)))
            for name, content in files.items()
        }
        number = integer_of(step, "The step of a checkpoint", self._note, least=0)
        self._send({"kind": "checkpoint", "step": number, "files": paths})

    def artifact(self, name: str, content: Content) -> None:
        """Add a file to the operation's result. A name that cannot be stored is changed, and the log notes it.

        `content`: bytes, text (stored as UTF-8), the path of a file, or a NumPy array (stored as .npy). Raises
        TypeError for any other. Files of an operation that fails later are kept too.
        """
        path = self._write(content_of(name, content))
        self._send({"kind": "artifact", "name": self._file_name(name), "path": str(path)})

    def table(self, name: str, rows: Rows) -> None:
        """Add a table as a CSV file: a DataFrame, a mapping of columns to values, or rows as mappings.

        Raises TypeError for any other, ValueError for columns of different lengths.
        """
        self.artifact(with_suffix(name, ".csv"), table_of(name, rows))

    def figure(self, name: str, figure: SavesFigure | bytes | Path) -> None:
        """Add a picture as a PNG file: a figure of matplotlib, or the bytes or path of a PNG file.

        Raises TypeError for any other.
        """
        self.artifact(with_suffix(name, ".png"), figure_of(name, figure))

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

    def _step_text(self, step: str) -> str:
        return text_of(self.redaction.text(text_of(step)), MAX_STEP_TEXT)

    def _count(self, value: int | None, what: str) -> int | None:
        if value is None:
            return None
        place = f"The number of {what}"
        return integer_of(_number_of(value, place, int), place, self._note, least=0)

    def _metric_name(self, name: object) -> str:
        text = self.redaction.text(text_of(name))
        if text and len(text) <= MAX_METRIC_NAME:
            return text
        stored = text_of(text, MAX_METRIC_NAME) or UNNAMED
        self._note(f"A metric's name has 1 to {MAX_METRIC_NAME} characters; stored as {stored}")
        return stored

    def _file_name(self, name: object) -> str:
        stored = storable_name(self.redaction.text(text_of(name)) if isinstance(name, str) else name)
        if stored != name:
            self._note(f"The file {text_of(name, 200)} is stored as {stored}")
        return stored

    def _write(self, content: bytes) -> Path:
        """Write to the job's directory. A file given by path was copied: the job may continue to write to it."""
        with self._lock:
            self._files_written += 1
            path = self._directory / f"file-{self._files_written}"
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return path

    def _flush_progress(self) -> None:
        if self._pending_progress is not None:
            self._send(self._pending_progress)
            self._pending_progress = None
            self._progress_sent_at = time.monotonic()

    def _send(self, message: dict[str, Any]) -> None:
        content = json.dumps(message, allow_nan=False).encode()
        with self._lock:
            try:
                self._pipe.send_bytes(content)
            except OSError:
                os._exit(1)  # the agent is gone, and nobody reads what the job does


def _number_of(value: Any, place: str, number: Callable[[Any], N]) -> N:
    """Return `number(value)`; raises what it raises, with the place in the message. Text is not a number."""
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        return number(value)
    except (TypeError, ValueError, OverflowError) as error:
        kind = type(error) if isinstance(error, TypeError | ValueError) else ValueError
        message = f"{place} must be a number, not {text_of(repr(value), 40)} ({type(value).__name__})."
        raise kind(message) from None

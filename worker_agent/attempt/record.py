"""The state of one attempt in the agent: progress, and metrics and logs within limits of number and size."""

import logging
import threading
import time
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from worker_agent.attempt.job_files import ForeignFile, JobFiles
from worker_agent.monitoring import logs
from worker_agent.protocol import (
    MAX_LOG_LINES,
    MAX_METRIC_POINTS,
    AgentOperation,
    LogLevel,
    LogLine,
    MetricPoint,
    Progress,
    Report,
)
from worker_agent.trace import Trace

job_log = logging.getLogger("job")

MAX_LOG_CHARACTERS = 8_000_000
PAGE = 5_000
PAGE_CHARACTERS = 2_000_000
MIN_PACE_PERCENT = 5.0
"""Progress needed before the remaining time is estimated."""

State = Literal["running", "completed", "failed", "cancelled", "interrupted"]


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _eta_s(percentage: float, pace_start_s: float, start_percentage: float) -> float | None:
    """Estimate the seconds to 100 % from the pace since `pace_start_s`, when progress was `start_percentage`."""
    gained = percentage - start_percentage
    if gained < MIN_PACE_PERCENT:
        return None
    return round((time.monotonic() - pace_start_s) * (100.0 - percentage) / gained, 1)


@dataclass(slots=True)
class AttemptRecord:
    """Written by the thread that listens to the job and read by the event loop; the lock is held only briefly."""

    operation_id: str
    operation_type: str
    attempt: int
    files: JobFiles
    trace: Trace = field(default_factory=Trace.of)
    secret: str = field(default="", repr=False)
    """From the start request; repeated in everything that is sent about the attempt."""
    state: State = "running"
    progress: Progress = field(default_factory=Progress)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    report: Report | None = None
    artifacts: dict[str, Path] = field(default_factory=dict)
    """Name -> file in the agent's folder. A later artifact replaces an earlier one of the same name."""
    refused_file: str = ""
    """Why an artifact was not taken from the job; the first reason."""
    _heard_at: float = field(default_factory=time.monotonic)
    _pace_start: tuple[float, float] | None = None
    """(monotonic seconds, percentage) from which the pace is measured."""
    _metrics: deque[MetricPoint] = field(default_factory=deque)
    _logs: deque[LogLine] = field(default_factory=deque)
    _metric_seq: int = 0
    _log_seq: int = 0
    _log_characters: int = 0
    _metrics_cut: bool = False
    _logs_cut: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def log_context(self) -> AbstractContextManager[None]:
        """Mark every log line and backend call inside as part of this attempt."""
        return logs.operation_context(self.operation_id, self.attempt, self.trace)

    @property
    def silent_s(self) -> float:
        """Seconds since the last message of the job, or since the start."""
        return time.monotonic() - self._heard_at

    def apply(self, message: dict[str, Any]) -> None:
        """Store a message of the job. Raises KeyError, TypeError or ValueError if it is malformed."""
        self._heard_at = time.monotonic()
        match message["kind"]:
            case "progress":
                self.set_progress(message)
            case "metric":
                self.add_metric(message["name"], message["step"], message["value"], message["time"])
            case "log":
                self.add_log(message["message"], LogLevel(message["level"]), message["time"])
            case "artifact":
                self._take_artifact(message["name"], message["path"])

    def _take_artifact(self, name: str, path: str) -> None:
        try:
            self.artifacts[name] = self.files.take(path)
        except ForeignFile as error:
            self.refused_file = self.refused_file or str(error)
            raise

    def set_progress(self, message: dict[str, Any]) -> None:
        percentage, steps_total = float(message["percentage"]), message.get("steps_total")
        if self._pace_start is None or (self.progress.steps_total is None and steps_total is not None):
            # Restart the pace at the first step: setup is slower, and a resumed job starts partway.
            self._pace_start = (time.monotonic(), percentage)
        self.progress = Progress(
            percentage=percentage,
            current_step=message.get("current_step"),
            steps_completed=message.get("steps_completed"),
            steps_total=steps_total,
            eta_seconds=_eta_s(percentage, *self._pace_start),
        )

    def add_metric(self, name: str, step: int, value: float | None, at: float) -> None:
        with self._lock:
            if self._metric_seq < MAX_METRIC_POINTS:
                self._metric_seq += 1
                self._metrics.append(
                    MetricPoint(seq=self._metric_seq, name=name, step=step, value=value, time=_utc(at))
                )
                return
            first_cut, self._metrics_cut = not self._metrics_cut, True
        if first_cut:
            self.add_log(
                f"Metrics are cut here: {MAX_METRIC_POINTS} points are kept per attempt.", LogLevel.WARNING
            )

    def add_log(self, message: str, level: LogLevel = LogLevel.INFO, at: float | None = None) -> None:
        with self._lock:
            if self._logs_cut:
                return
            self._log_characters += len(message)
            if self._log_seq >= MAX_LOG_LINES - 1 or self._log_characters > MAX_LOG_CHARACTERS:
                self._logs_cut = True
                message, level = f"The log is cut here, after {self._log_seq} lines.", LogLevel.WARNING
            self._log_seq += 1
            line = LogLine(seq=self._log_seq, level=level, message=message, time=_utc(at or time.time()))
            self._logs.append(line)
        # The listening thread has no logging context of its own.
        fields = logs.operation_fields(self.operation_id, self.attempt, self.trace)
        job_log.log(logging.getLevelNamesMapping()[level.upper()], "%s", message, extra=fields)

    def metrics_after(self, cursor: int) -> tuple[tuple[MetricPoint, ...], int]:
        """Return the next page and its cursor. Points up to `cursor` are stored by the backend and dropped here."""
        with self._lock:
            while self._metrics and self._metrics[0].seq <= cursor:
                self._metrics.popleft()
            page = tuple(self._metrics[i] for i in range(min(PAGE, len(self._metrics))))
        return page, page[-1].seq if page else cursor

    def logs_after(self, cursor: int) -> tuple[tuple[LogLine, ...], int]:
        """Return the next page and its cursor. Lines up to `cursor` are stored by the backend and dropped here."""
        with self._lock:
            while self._logs and self._logs[0].seq <= cursor:
                self._logs.popleft()
            page: list[LogLine] = []
            characters = 0
            for line in self._logs:
                characters += len(line.message)
                if len(page) >= PAGE or (page and characters > PAGE_CHARACTERS):
                    break
                page.append(line)
        return tuple(page), page[-1].seq if page else cursor

    def unsent(self) -> tuple[tuple[MetricPoint, ...], tuple[LogLine, ...]]:
        """The metric points and log lines that the backend has not pulled yet."""
        with self._lock:
            return tuple(self._metrics), tuple(self._logs)

    def to_message(self) -> AgentOperation:
        return AgentOperation(
            operation_id=self.operation_id,
            operation_type=self.operation_type,
            attempt=self.attempt,
            state=self.state,
            progress=self.progress,
            started_at=self.started_at,
            ended_at=self.ended_at,
            metrics_cursor=self._metric_seq,
            logs_cursor=self._log_seq,
            report=self.report,
        )

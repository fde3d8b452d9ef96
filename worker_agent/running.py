"""One operation as the agent keeps it: progress, metrics and logs, bounded in number and bytes."""

import logging
import threading
import time
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from worker_agent.logs import names_of, speaking_of
from worker_agent.protocol import AgentOperation, LogLevel, LogLine, MetricPoint, Progress, Report
from worker_agent.trace import Trace

job_log = logging.getLogger("job")

MAX_METRIC_POINTS = 100_000
MAX_LOG_LINES = 50_000
MAX_LOG_CHARACTERS = 8_000_000
PAGE = 5_000
PAGE_CHARACTERS = 2_000_000
LEAST_MADE = 5.0
"""Percent from which on a pace can be told."""

State = Literal["running", "completed", "failed", "cancelled", "interrupted"]


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _eta_s(percentage: float, since: float, already: float) -> float | None:
    """Seconds to 100 % by the pace since the moment `since`, when `already` percent were made."""
    made = percentage - already
    if made < LEAST_MADE:
        return None
    return round((time.monotonic() - since) * (100.0 - percentage) / made, 1)


@dataclass(slots=True)
class RunningOperation:
    """Written by the thread that reads the job's pipe, read by the event loop; the lock is held for moments."""

    operation_id: str
    operation_type: str
    attempt: int
    directory: Path
    trace: Trace = field(default_factory=Trace.of)
    state: State = "running"
    progress: Progress = field(default_factory=Progress)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    report: Report | None = None
    artifacts: dict[str, Path] = field(default_factory=dict)
    """Name -> file in the job's directory; the last one of a name counts."""
    _paced_from: tuple[float, float] | None = None
    """(moment, percentage) from which its pace is measured."""
    _metrics: deque[MetricPoint] = field(default_factory=deque)
    _logs: deque[LogLine] = field(default_factory=deque)
    _metric_seq: int = 0
    _log_seq: int = 0
    _log_characters: int = 0
    _cut_metrics: bool = False
    _cut_logs: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def spoken_of(self) -> AbstractContextManager[None]:
        """Every line and call inside belongs to this operation."""
        return speaking_of(self.operation_id, self.attempt, self.trace)

    def set_progress(self, message: dict[str, Any]) -> None:
        percentage, steps_total = float(message["percentage"]), message.get("steps_total")
        if self._paced_from is None or (self.progress.steps_total is None and steps_total is not None):
            # Anew from the first step on: getting ready has another pace, and a resumed job leaps to where it goes on.
            self._paced_from = (time.monotonic(), percentage)
        self.progress = Progress(
            percentage=percentage,
            current_step=message.get("current_step"),
            steps_completed=message.get("steps_completed"),
            steps_total=steps_total,
            eta_seconds=_eta_s(percentage, *self._paced_from),
        )

    def add_metric(self, name: str, step: int, value: float | None, at: float) -> None:
        with self._lock:
            if self._metric_seq < MAX_METRIC_POINTS:
                self._metric_seq += 1
                self._metrics.append(
                    MetricPoint(seq=self._metric_seq, name=name, step=step, value=value, time=moment(at))
                )
                return
            cut, self._cut_metrics = not self._cut_metrics, True
        if cut:
            self.add_log(
                f"Metrics are cut here: {MAX_METRIC_POINTS} points are kept per operation.", LogLevel.WARNING
            )

    def add_log(self, message: str, level: LogLevel = LogLevel.INFO, at: float | None = None) -> None:
        with self._lock:
            if self._cut_logs:
                return
            self._log_characters += len(message)
            if self._log_seq >= MAX_LOG_LINES - 1 or self._log_characters > MAX_LOG_CHARACTERS:
                self._cut_logs = True
                message, level = f"The log is cut here, after {self._log_seq} lines.", LogLevel.WARNING
            self._log_seq += 1
            line = LogLine(seq=self._log_seq, level=level, message=message, time=moment(at or time.time()))
            self._logs.append(line)
        # The listening thread has no context of its own, so the line is told what it is about.
        names = names_of(self.operation_id, self.attempt, self.trace)
        job_log.log(logging.getLevelNamesMapping()[level.upper()], "%s", message, extra=names)

    def metrics_after(self, cursor: int) -> tuple[tuple[MetricPoint, ...], int]:
        """The next page; what lies at or before the cursor has been stored by the backend and is dropped."""
        with self._lock:
            while self._metrics and self._metrics[0].seq <= cursor:
                self._metrics.popleft()
            page = tuple(self._metrics[i] for i in range(min(PAGE, len(self._metrics))))
        return page, page[-1].seq if page else cursor

    def logs_after(self, cursor: int) -> tuple[tuple[LogLine, ...], int]:
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

    def not_pulled(self) -> tuple[tuple[MetricPoint, ...], tuple[LogLine, ...]]:
        with self._lock:
            return tuple(self._metrics), tuple(self._logs)

    def shown(self) -> AgentOperation:
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

"""Progress, metrics and log lines of an attempt."""

import math
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field, model_validator

from worker_agent.protocol.message import MAX_TEXT, Message, Sequence
from worker_agent.values import Count, Integer, Text

MAX_METRIC_NAME = 100
MAX_STEP_TEXT = 500
MAX_METRIC_POINTS = 100_000
"""Metric points that an agent keeps of one attempt, and that one report or page may contain."""
MAX_LOG_LINES = 50_000
"""Log lines that an agent keeps of one attempt. A report or page may contain twice as many."""


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Progress(Message):
    percentage: float = Field(default=0.0, ge=0, le=100)
    current_step: Text | None = Field(default=None, max_length=MAX_STEP_TEXT)
    steps_completed: Count | None = None
    steps_total: Count | None = None
    eta_seconds: float | None = Field(default=None, ge=0)


class MetricPoint(Message):
    seq: Sequence
    name: Text = Field(min_length=1, max_length=MAX_METRIC_NAME)
    step: Integer
    value: float | None
    """None where the job reported NaN or an infinity."""
    time: datetime

    @model_validator(mode="before")
    @classmethod
    def _replace_undefined_by_null(cls, data: Any) -> Any:
        if (
            isinstance(data, dict)
            and isinstance(data.get("value"), float)
            and not math.isfinite(data["value"])
        ):
            return {**data, "value": None}
        return data


class LogLine(Message):
    seq: Sequence
    level: LogLevel
    message: Text = Field(max_length=MAX_TEXT)
    time: datetime


class MetricsPage(Message):
    results: tuple[MetricPoint, ...] = Field(max_length=MAX_METRIC_POINTS)
    next_cursor: int = Field(ge=0)


class LogsPage(Message):
    results: tuple[LogLine, ...] = Field(max_length=2 * MAX_LOG_LINES)
    next_cursor: int = Field(ge=0)

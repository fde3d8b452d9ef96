"""The report of an attempt's end."""

import json
from enum import StrEnum

from pydantic import Field, JsonValue, field_validator, model_validator

from worker_agent.protocol.errors import OperationError
from worker_agent.protocol.files import ArtifactRef
from worker_agent.protocol.message import Attempt, Identifier, Message, Secret
from worker_agent.protocol.telemetry import MAX_LOG_LINES, MAX_METRIC_POINTS, LogLine, MetricPoint, Progress
from worker_agent.values import JsonObject

MAX_RESULT_BYTES = 1_000_000
"""Of a result as JSON. The sender stores a larger one as an artifact, and a summary as the result."""


class Outcome(StrEnum):
    """How an attempt ended, as reported by its worker."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """The worker had to stop (shutdown, unreachable input); the operation may continue on another worker."""


class Report(Message):
    """The end of an attempt. A report whose (operation, attempt) is not current has no effect.

    `metrics` and `logs` contain what the backend has not pulled yet.
    """

    attempt: Attempt
    attempt_secret: Secret = ""
    """From the start request."""
    instance_id: Identifier
    outcome: Outcome
    result: JsonObject | None = None
    error: OperationError | None = None
    artifacts: tuple[ArtifactRef, ...] = ()
    progress: Progress | None = None
    metrics: tuple[MetricPoint, ...] = Field(default=(), max_length=MAX_METRIC_POINTS)
    logs: tuple[LogLine, ...] = Field(default=(), max_length=2 * MAX_LOG_LINES)

    @model_validator(mode="after")
    def _require_error_of_failure(self) -> "Report":
        if self.outcome is Outcome.FAILED and self.error is None:
            raise ValueError("a failed attempt needs an error")
        return self

    @field_validator("result")
    @classmethod
    def _limit_result(cls, result: dict[str, JsonValue] | None) -> dict[str, JsonValue] | None:
        if result is not None and (size := len(json.dumps(result))) > MAX_RESULT_BYTES:
            raise ValueError(f"the result has {size} bytes as JSON; the limit is {MAX_RESULT_BYTES}")
        return result


class FinishedOperation(Message):
    """A report that the backend has not acknowledged yet, repeated at registration."""

    operation_id: Identifier
    report: Report

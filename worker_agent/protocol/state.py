"""The current state of a worker and of its operations."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from worker_agent.protocol.message import Attempt, Identifier, Message, Secret
from worker_agent.protocol.reports import Report
from worker_agent.protocol.telemetry import Progress
from worker_agent.values import JsonObject

MAX_SILENT_S = 1e9


class AgentState(StrEnum):
    IDLE = "idle"
    BUSY = "busy"


class Health(Message):
    """`GET /health`. Callers without the backend's token get only `status`."""

    status: AgentState
    worker_id: Identifier
    instance_id: Identifier
    current_operation: Identifier | None = None
    current_attempt: int | None = None
    attempt_secret: Secret = ""
    """That of the current attempt."""
    unacknowledged: tuple[Identifier, ...] = Field(default=(), max_length=1000)
    """Finished operations whose report the backend has not acknowledged."""
    draining: bool = False
    silent_s: float | None = Field(default=None, ge=0, le=MAX_SILENT_S)
    """Seconds since the current job last reported progress, a metric or a log line."""
    resources: JsonObject = Field(default_factory=dict)
    """cpu_percent, memory_percent, gpu_percent, ..., as far as known."""


class AgentOperation(Message):
    """`GET /api/v1/operations/{id}` of a worker."""

    operation_id: Identifier
    operation_type: Identifier
    attempt: Attempt
    state: Literal["running", "completed", "failed", "cancelled", "interrupted"]
    progress: Progress
    started_at: datetime
    ended_at: datetime | None = None
    metrics_cursor: int = Field(default=0, ge=0)
    """The highest `seq`; points with lower ones may have been dropped after the backend pulled them."""
    logs_cursor: int = Field(default=0, ge=0)
    report: Report | None = None

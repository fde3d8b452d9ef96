"""The wire protocol between the backend and its workers.

Both sides import this module, and no other module defines a message. Messages are frozen values. A receiver ignores
unknown fields (a newer peer may send them) and rejects a message that lacks a required field or contains a value
that cannot be stored (`worker_agent.values`); both raise `pydantic.ValidationError`.
"""

import json
import math
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    field_validator,
    model_validator,
)

from worker_agent.trace import valid_request_id, valid_traceparent
from worker_agent.values import MAX_INTEGER, Count, Integer, JsonObject, Text

PROTOCOL_VERSION = 2
"""Incremented when a message changes its meaning or loses a field, but not for a new optional field.

Since version 2 an agent proves each response (`worker_agent.proof`), and repeats the secret of an attempt in everything
that it sends about it.
"""

MAX_TEXT = 8_000
"""Maximum length of an error message or log line. The sender cuts longer texts."""
MAX_TRACEBACK = 32_000
MAX_METRIC_NAME = 100
MAX_STEP_TEXT = 500
MAX_SILENT_S = 1e9
MAX_RESULT_BYTES = 1_000_000
"""Of a result as JSON. The sender stores a larger one as an artifact, and a summary as the result."""
MAX_METRIC_POINTS = 100_000
"""Metric points that an agent keeps of one attempt, and that one report or page may contain."""
MAX_CAPABILITIES = 100
MAX_CAPABILITIES_BYTES = 16 * 1024
"""Of a worker's capabilities as JSON."""
MAX_OPERATION_TYPES = 50
MAX_TIMEOUT_S = 366 * 86_400
MAX_ATTEMPTS = 100
MAX_RUNNING = 100_000
MAX_LOG_LINES = 50_000
"""Log lines that an agent keeps of one attempt. A report or page may contain twice as many."""

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9^][A-Za-z0-9^=_.-]*(/[A-Za-z0-9^][A-Za-z0-9^=_.-]*)*$", max_length=200
    ),
]
Attempt = Annotated[int, Field(ge=1, le=2**31 - 1)]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
Sequence = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
Path = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9_-]+)+$", max_length=200)]
Secret = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$", max_length=100, repr=False)]
"""Base64 for URLs; empty if the sender has none."""
SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$")]
MAX_SECRETS = 50


class InvalidInput(Exception):
    """The operation's parameters or data cannot be used."""

    def __init__(self, message: str = "") -> None:
        """`message` is shown to the user unchanged; the default is the class's docstring."""
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))


class AgentState(StrEnum):
    IDLE = "idle"
    BUSY = "busy"


class Outcome(StrEnum):
    """How an attempt ended, as reported by its worker."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """The worker had to stop (shutdown, unreachable input); the operation may continue on another worker."""


class ErrorClass(StrEnum):
    JOB = "job"
    INVALID = "invalid"
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    LOST = "lost"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ArtifactRef(Message):
    """A file, identified by its content. `name` is its name within the operation."""

    name: Name
    sha256: Sha256
    size: Count


class OperationError(Message):
    error_class: ErrorClass = Field(alias="class")
    message: Text = Field(max_length=MAX_TEXT)
    traceback: Text | None = Field(default=None, max_length=MAX_TRACEBACK)

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


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


class CheckpointRef(Message):
    """The newest saved state of an operation, from which a later attempt may resume."""

    attempt: Attempt
    step: Count
    files: tuple[ArtifactRef, ...]


# Worker -> backend ---------------------------------------------------------------------------------------


class OperationType(Message):
    """An operation type that a worker can run."""

    operation_type: Identifier
    start_path: Path
    parameters_schema: JsonObject
    timeout_s: int | None = Field(default=None, ge=1, le=MAX_TIMEOUT_S)
    """Time limit of an attempt, if neither the request nor the site's settings for the type have one."""
    max_attempts: int | None = Field(default=None, ge=1, le=MAX_ATTEMPTS)
    """How often its worker may be lost before the operation fails. None: as the site's settings."""
    max_running: int | None = Field(default=None, ge=1, le=MAX_RUNNING)
    """Slots: how many operations of the type may run at the same time, on all workers together. None: no limit."""
    result_schema: JsonObject | None = None
    """JSON Schema of the result, for its presentation only."""


class RunningOperation(Message):
    operation_id: Identifier
    attempt: Attempt


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


class Registration(Message):
    """`POST /workers/register`, with the enrolment token. Idempotent."""

    worker_id: Identifier
    worker_type: Identifier
    endpoint_url: Text = Field(max_length=500)
    capabilities: JsonObject = Field(default_factory=dict, max_length=MAX_CAPABILITIES)
    instance_id: Identifier
    """Random; created at each start of the agent's process."""
    version: Text = Field(default="", max_length=100)
    protocol_version: Version = PROTOCOL_VERSION
    operation_types: tuple[OperationType, ...] = Field(default=(), max_length=MAX_OPERATION_TYPES)
    current_operation: RunningOperation | None = None
    attempt_secret: Secret = ""
    """That of `current_operation`."""
    proof_key: Secret = ""
    """Random. With it the agent proves its address until it has the key from the response."""
    previous_token: str = Field(default="", max_length=1000, repr=False)
    """The worker token of the last registration under this name: only its holder may replace a live worker."""
    completed_operations: tuple[FinishedOperation, ...] = Field(default=(), max_length=1000)

    @field_validator("capabilities")
    @classmethod
    def _limit_capabilities(cls, capabilities: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if (size := len(json.dumps(capabilities))) > MAX_CAPABILITIES_BYTES:
            raise ValueError(f"the capabilities have {size} bytes; the limit is {MAX_CAPABILITIES_BYTES}")
        return capabilities


class RegistrationAnswer(Message):
    worker_id: Identifier
    status: str
    protocol_version: int
    worker_token: str
    """Authorises the worker's calls to the backend."""
    backend_token: str
    """Authorises the backend's calls to the worker."""
    proof_key: Secret = ""
    """With it the worker proves its responses from now on. It is never sent to the worker's address."""
    health_interval_s: float = Field(gt=0)
    cancel_grace_s: float = Field(ge=0)
    stop_operations: tuple[RunningOperation, ...] = ()
    """Attempts that the worker runs and must stop, because they are superseded or cancelled."""
    acknowledged: tuple[Identifier, ...] = ()
    """Those of `completed_operations` that the worker need not send again."""
    warning: str = Field(default="", max_length=500)
    """Why the worker gets no new work although it is registered. The worker logs it."""


class CheckpointReport(Message):
    """`POST /operations/{id}/checkpoints`, after the files were uploaded."""

    attempt: Attempt
    attempt_secret: Secret = ""
    instance_id: Identifier
    step: Count
    files: tuple[ArtifactRef, ...] = Field(min_length=1, max_length=100)


class SecretsRequest(Message):
    """`POST /operations/{id}/secrets`: the stored secrets that the job of an attempt needs."""

    attempt: Attempt
    attempt_secret: Secret = ""
    instance_id: Identifier
    names: tuple[SecretName, ...] = Field(min_length=1, max_length=MAX_SECRETS)


class SecretsAnswer(Message):
    secrets: dict[SecretName, str] = Field(repr=False)
    """Name -> value, of each requested name."""


class Deregistration(Message):
    """`POST /workers/deregister`: the worker is shutting down."""

    worker_id: Identifier
    instance_id: Identifier


# Backend -> worker ---------------------------------------------------------------------------------------


class StartRequest(Message):
    """`POST {start_path}`. The parameters may also be members of the body, beside `task_id`."""

    task_id: Identifier | None = None
    attempt: Attempt = 1
    attempt_secret: Secret = ""
    """Known only to the worker that gets this request. It repeats it in everything that it sends about the attempt."""
    parameters: JsonObject = Field(default_factory=dict)
    inputs: tuple[ArtifactRef, ...] = Field(default=(), max_length=1000)
    resume_from: CheckpointRef | None = None
    request_id: str | None = None
    """Of the request that created the operation."""
    traceparent: str | None = None
    """W3C Trace Context. An invalid value is ignored, as is an invalid `request_id`."""

    @model_validator(mode="before")
    @classmethod
    def _collect_parameters(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "parameters" in data:
            return data
        fields = {key: data[key] for key in cls.model_fields if key in data}
        return {**fields, "parameters": {key: value for key, value in data.items() if key not in fields}}

    @field_validator("request_id", mode="before")
    @classmethod
    def _drop_invalid_request_id(cls, value: Any) -> str | None:
        return valid_request_id(value)

    @field_validator("traceparent", mode="before")
    @classmethod
    def _drop_invalid_traceparent(cls, value: Any) -> str | None:
        return valid_traceparent(value)


class StartAnswer(Message):
    operation_id: Identifier
    status: Literal["started"] = "started"


class BusyAnswer(Message):
    """The body of a 503."""

    current_operation: Identifier | None


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


class MetricsPage(Message):
    results: tuple[MetricPoint, ...] = Field(max_length=MAX_METRIC_POINTS)
    next_cursor: int = Field(ge=0)


class LogsPage(Message):
    results: tuple[LogLine, ...] = Field(max_length=2 * MAX_LOG_LINES)
    next_cursor: int = Field(ge=0)

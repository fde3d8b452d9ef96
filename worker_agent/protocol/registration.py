"""Registration and deregistration of a worker, and the version of the protocol that they agree on."""

import json

from pydantic import Field, JsonValue, field_validator

from worker_agent.protocol.message import Attempt, Identifier, Message, Path, Secret, Version
from worker_agent.protocol.reports import FinishedOperation
from worker_agent.values import JsonObject, Text

PROTOCOL_VERSION = 2
"""Incremented when a message changes its meaning or loses a field, but not for a new optional field.

Since version 2 an agent proves each response (`worker_agent.proof`), and repeats the secret of an attempt in everything
that it sends about it.
"""
MAX_CAPABILITIES = 100
MAX_CAPABILITIES_BYTES = 16 * 1024
"""Of a worker's capabilities as JSON."""
MAX_OPERATION_TYPES = 50
MAX_TIMEOUT_S = 366 * 86_400
MAX_ATTEMPTS = 100
MAX_RUNNING = 100_000


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


class Deregistration(Message):
    """`POST /workers/deregister`: the worker is shutting down."""

    worker_id: Identifier
    instance_id: Identifier

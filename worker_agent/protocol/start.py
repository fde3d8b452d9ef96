"""The start of an operation on a worker."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from worker_agent.protocol.files import ArtifactRef, CheckpointRef
from worker_agent.protocol.message import Attempt, Identifier, Message, Secret
from worker_agent.trace import valid_request_id, valid_traceparent
from worker_agent.values import JsonObject


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

"""The types of operations that a worker can run, and the worker as the agent sees it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, JsonValue

from worker_agent.job.job import Job
from worker_agent.protocol import OperationType


@dataclass(frozen=True, slots=True)
class OperationSpec:
    """One operation type.

    `run(worker, parameters, job)` is called in the job's own process. It is imported there by its name, so it must
    be a method or a function of a module.
    """

    operation_type: str
    start_path: str
    Parameters: type[BaseModel]
    run: Callable[[Any, Any, Job], Any]
    timeout_s: int | None = None
    max_attempts: int | None = None
    max_running: int | None = None
    """Limits that the worker declares for the type (`protocol.OperationType`)."""
    description: str = ""
    """Shown above the form, if `Parameters` has no docstring."""
    Result: type[BaseModel] | None = None
    """Describes the result for pages and lists; what `run` returns is not checked against it."""

    def to_message(self) -> OperationType:
        return _message_of(self)


@cache
def _message_of(spec: OperationSpec) -> OperationType:
    description = {"description": spec.description} if spec.description else {}
    return OperationType(
        operation_type=spec.operation_type,
        start_path=spec.start_path,
        parameters_schema={**description, **spec.Parameters.model_json_schema()},
        timeout_s=spec.timeout_s,
        max_attempts=spec.max_attempts,
        max_running=spec.max_running,
        result_schema=spec.Result.model_json_schema(mode="serialization") if spec.Result else None,
    )


class Worker(Protocol):
    """The agent's view of a worker. Each job's process creates its own instance, without arguments."""

    worker_type: ClassVar[str]
    secrets: ClassVar[tuple[str, ...]]
    preload: ClassVar[tuple[str, ...]]
    warm_up: ClassVar[str]

    @classmethod
    def specs(cls) -> tuple[OperationSpec, ...]: ...

    def capabilities(self) -> dict[str, JsonValue]: ...

    @property
    def version(self) -> str: ...

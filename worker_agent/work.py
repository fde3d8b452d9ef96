"""What an agent is given to run: kinds of operations, and the worker that can do them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, JsonValue

from worker_agent.job import Job
from worker_agent.protocol import OperationType


@dataclass(frozen=True, slots=True)
class OperationSpec:
    """One kind of work. `run(worker, parameters, job)` is called in the job's own process; it is found there by its
    name, so it has to be a method or a function of a module."""

    operation_type: str
    start_path: str
    Parameters: type[BaseModel]
    run: Callable[[Any, Any, Job], dict[str, Any]]

    def announced(self) -> OperationType:
        return OperationType(
            operation_type=self.operation_type,
            start_path=self.start_path,
            parameters_schema=self.Parameters.model_json_schema(),
        )


class Worker(Protocol):
    """What the agent knows of a worker. A job's process makes one anew, without arguments."""

    worker_type: ClassVar[str]
    preload: ClassVar[tuple[str, ...]]

    @classmethod
    def specs(cls) -> tuple[OperationSpec, ...]: ...

    def capabilities(self) -> dict[str, JsonValue]: ...

    @property
    def version(self) -> str: ...

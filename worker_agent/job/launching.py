"""The seam between the agent and the ways to start a job's process."""

from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

from pydantic import BaseModel

from worker_agent.job.job import Assignment


@dataclass(frozen=True, slots=True)
class Work:
    """The code of a job. It is imported by name in the job's process."""

    run: Callable[..., Any]
    worker_class: Callable[[], Any]
    parameters_model: type[BaseModel]


@dataclass(frozen=True, slots=True)
class Exit:
    """How a job's process ended."""

    code: int
    """As in `subprocess`: negative for the signal that ended it."""
    left_behind: int = 0
    """Processes that outlived the job and were killed."""
    server_lost: bool = False
    """The fork server ended, and the job with it."""
    last_errors: str = ""
    """The end of what the process wrote to its standard error, where that is read."""


class Child(Protocol):
    """A started job process."""

    @property
    def pid(self) -> int: ...

    def wait(self, timeout_s: float | None) -> Exit | None:
        """Return how the process ended, None if it has not within the timeout."""


class Launcher(Protocol):
    def ensure_running(self) -> None:
        """Start the fork server if it is not running; do not wait until it is warm.

        Call it from a thread that lives as long as the agent: Linux ends the server with the thread that started it.
        """

    def launch(self, work: Work, assignment: Assignment) -> tuple[Child, Connection]:
        """Start a job and return it with the agent's end of its pipe. Raises OSError. Blocks while the server is warming."""

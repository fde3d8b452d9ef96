"""Errors of operations, and the exception with which a job rejects its input."""

from enum import StrEnum

from pydantic import ConfigDict, Field

from worker_agent.protocol.message import MAX_TEXT, Message
from worker_agent.values import Text

MAX_TRACEBACK = 32_000


class InvalidInput(Exception):
    """The operation's parameters or data cannot be used."""

    def __init__(self, message: str = "") -> None:
        """`message` is shown to the user unchanged; the default is the class's docstring."""
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))


class ErrorClass(StrEnum):
    JOB = "job"
    INVALID = "invalid"
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    LOST = "lost"


class OperationError(Message):
    error_class: ErrorClass = Field(alias="class")
    message: Text = Field(max_length=MAX_TEXT)
    traceback: Text | None = Field(default=None, max_length=MAX_TRACEBACK)

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

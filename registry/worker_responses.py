"""Responses of workers, which are untrusted until they are validated."""

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar

from pydantic import ValidationError

from registry.worker_errors import WorkerMisbehaved, WorkerUnknownOperation
from worker_agent.protocol import Message
from worker_agent.validation_messages import first_problem
from worker_agent.values import escape

Reply = TypeVar("Reply", bound=Message)
MAX_EXCERPT = 200
UNKNOWN = "the worker does not know the operation"


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    content: bytes
    is_proven: bool
    date: str | None

    @property
    def reason(self) -> str:
        """The worker's own explanation, ready for people; empty if the response is not proven to be the worker's."""
        if not self.is_proven:
            return ""
        return " ".join(escape(self.content[:MAX_EXCERPT].decode("utf-8", "replace")).split())

    @property
    def sent_at(self) -> datetime | None:
        """The worker's clock in whole seconds, if the response has a Date header."""
        try:
            return parsedate_to_datetime(self.date) if self.date else None
        except ValueError:
            return None

    def describe(self) -> str:
        return f"the worker answered with {self.status}" + (f": {self.reason}" if self.reason else "")


def parse(model: type[Reply], response: Response) -> Reply:
    """Return the message of a successful response. Raises WorkerUnknownOperation, WorkerMisbehaved."""
    if response.status == HTTPStatus.NOT_FOUND:
        raise WorkerUnknownOperation(UNKNOWN)
    if response.status != HTTPStatus.OK:
        raise WorkerMisbehaved(response.describe())
    return parse_body(model, response)


def parse_body(model: type[Reply], response: Response) -> Reply:
    """Return the message, whatever the status. Raises WorkerMisbehaved."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        problem = f"the response is not a valid {model.__name__}"
        if response.is_proven:
            # Place and message may quote keys of the body.
            problem += f": {first_problem(error, 'the message')}"
        raise WorkerMisbehaved(problem[:500]) from error

"""Log lines about operations: one per event, with the keys by which a person follows an operation.

`operation_id`, `attempt` and `worker_id` identify the subject, `request_id` and `trace_id` the request that caused it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from django.db import transaction

from operations.actors import Actor
from operations.models import Event, Operation
from worker_agent.trace import Trace, use_trace

log = structlog.get_logger(__name__)
LOGGED = {"operation_id", "operation_type", "status", "worker_id", "attempt", "request_id", "traceparent"}
"""The fields of an operation that a log line needs."""
NOT_LOGGED = frozenset(field.attname for field in Operation._meta.concrete_fields) - LOGGED


@contextmanager
def log_context(operation_id: str, attempt: int, worker_id: str, trace: Trace) -> Iterator[None]:
    """Bind the operation to every log line inside, and its trace to every request to its worker."""
    keys = {"operation_id": operation_id, "attempt": attempt, "worker_id": worker_id}
    with use_trace(trace), structlog.contextvars.bound_contextvars(**keys, **_origin(trace)):
        yield


def log_event(operation: Operation, event: Event) -> None:
    """Log the event when its transaction commits; a rolled-back transaction logs nothing."""
    message = f"operation {event.to_status}" if event.kind == "status" else event.kind.replace("_", " ")
    _log(operation, message, event.actor, event.reason, event.attempt)


def log_status(operation: Operation, actor: Actor, reason: str) -> None:
    """Log the event of the operation's status, which is stored with it."""
    _log(operation, f"operation {operation.status}", actor.label, reason)


def _log(operation: Operation, message: str, actor: str, reason: str, attempt: int | None = None) -> None:
    bound = structlog.contextvars.get_contextvars()
    keys: dict[str, Any] = {
        "operation_id": operation.pk,
        "operation_type": operation.operation_type,
        "attempt": attempt or operation.attempt or None,
        "worker_id": operation.worker_id or None,
        "actor": actor,
        "reason": reason,
    }
    if "request_id" not in bound:
        keys |= _origin(operation.trace)
    # The bound keys may belong to another operation, whose end caused this event: override them even with None.
    fields = {name: value for name, value in keys.items() if value is not None or name in bound}
    transaction.on_commit(lambda: log.info(message, **fields))


def _origin(trace: Trace) -> dict[str, str]:
    return {"request_id": trace.request_id, "trace_id": trace.trace_id}

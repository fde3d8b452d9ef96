"""The log of what happens to operations: a line per event, under the names by which a person follows one of them.

`operation_id`, `attempt` and `worker_id` say what it is about, `request_id` and `trace_id` which request asked for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from django.db import transaction

from operations.models import Event, Operation
from worker_agent.trace import Trace, use_trace

log = structlog.get_logger(__name__)


@contextmanager
def speaking_of(operation_id: str, attempt: int, worker_id: str, trace: Trace) -> Iterator[None]:
    """Every line inside names the operation, and every request to its worker carries its trace."""
    names = {"operation_id": operation_id, "attempt": attempt, "worker_id": worker_id}
    with use_trace(trace), structlog.contextvars.bound_contextvars(**names, **_origin(trace)):
        yield


def announce(operation: Operation, event: Event) -> None:
    """Logs the event when it is true: a transaction that is rolled back has said nothing."""
    bound = structlog.contextvars.get_contextvars()
    names: dict[str, Any] = {
        "operation_id": operation.pk,
        "operation_type": operation.operation_type,
        "attempt": event.attempt or operation.attempt or None,
        "worker_id": operation.worker_id or None,
        "actor": event.actor,
        "reason": event.reason,
    }
    if "request_id" not in bound:
        names |= _origin(operation.trace)
    said = f"operation {event.to_status}" if event.kind == "status" else event.kind.replace("_", " ")
    # What is bound may be of another operation, whose end is the reason of this event.
    fields = {name: value for name, value in names.items() if value is not None or name in bound}
    transaction.on_commit(lambda: log.info(said, **fields))


def _origin(trace: Trace) -> dict[str, str]:
    return {"request_id": trace.request_id, "trace_id": trace.trace_id}

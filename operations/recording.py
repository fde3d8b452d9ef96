"""Appends events: stored, logged and queued for notification together, in the transaction of the change."""

from collections.abc import Sequence

from operations import event_log
from operations.models import Event, Operation
from operations.notifications import outbox


def record_all(changes: Sequence[tuple[Operation, Event]]) -> None:
    """Append the events. Each operation has the state after its event."""
    Event.objects.bulk_create(event for _, event in changes)
    announce(changes)


def announce(changes: Sequence[tuple[Operation, Event]], *, has_subscribers: bool = True) -> None:
    """Log events that are stored, and queue their notifications unless nobody subscribes to any."""
    for operation, event in changes:
        event_log.log_event(operation, event)
    if has_subscribers:
        outbox.queue_status_changes(changes)

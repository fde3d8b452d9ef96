"""Stores deliveries for subscribers in the transaction of the change they report. Nothing is sent here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Q

from access.isolation import isolated
from operations.models import Delivery, Event, Operation, Subscription
from operations.models.notification import Kind
from operations.registered_kinds import unlisted_types
from operations.states import Status


@dataclass(frozen=True, slots=True)
class _Message:
    kind: Kind
    key: str
    """Identifies the reported change; one delivery per subscription is stored for it."""
    data: dict[str, Any]
    operation_type: str


KINDS = {Status.COMPLETED.value: Kind.COMPLETED, Status.FAILED.value: Kind.FAILED}


def queue_status_changes(changes: Sequence[tuple[Operation, Event]]) -> None:
    """Queue deliveries about the events. Each operation has the state after its event."""
    unlisted = unlisted_types()
    messages = [
        _Message(kind, f"event:{event.pk}", _data_of(operation), operation.operation_type)
        for operation, event in changes
        if (kind := KINDS.get(event.to_status)) is not None and operation.operation_type not in unlisted
    ]
    _queue(messages)


def _data_of(operation: Operation) -> dict[str, Any]:
    error = {"class": operation.error_class, "message": operation.error_message}
    return {
        "operation_id": operation.pk,
        "operation_type": operation.operation_type,
        "status": operation.status,
        "worker_id": operation.worker_id,
        "attempt": operation.attempt,
        "error": error if operation.error_class else None,
        "url": page_url(f"operations/{operation.pk}"),
    }


def queue_worker_lost(
    worker_id: str, instance_id: str, reason: str, operation: Operation | None = None
) -> None:
    """Queue deliveries about a lost worker, once per incarnation, whether it was working or not."""
    data = {
        "worker_id": worker_id,
        "instance_id": instance_id,
        "reason": reason,
        "operation_id": operation.pk if operation else None,
        "url": page_url(f"workers/{worker_id}"),
    }
    key = f"worker:{worker_id}:{instance_id}"
    operation_type = operation.operation_type if operation else ""
    _queue([_Message(Kind.WORKER_LOST, key, data, operation_type)])


def queue_worker_cordoned(worker_id: str, instance_id: str, reason: str) -> None:
    """Queue deliveries about a worker that was cordoned automatically."""
    data = {
        "worker_id": worker_id,
        "instance_id": instance_id,
        "reason": reason,
        "url": page_url(f"workers/{worker_id}"),
    }
    key = f"cordoned:{worker_id}:{datetime.now(UTC).isoformat()}"
    _queue([_Message(Kind.WORKER_CORDONED, key, data, "")])


def page_url(path: str) -> str:
    return f"{settings.PUBLIC_URL}/dashboard/{path}"


def _queue(messages: Sequence[_Message]) -> None:
    """Store a delivery of each message for each subscriber, once per key. A failure concerns only its subscriber."""
    if not messages:
        return
    timestamp = datetime.now(UTC).isoformat()
    for subscription in _subscribers(messages):
        with isolated("queueing notifications", subscription=subscription.pk):
            Delivery.objects.bulk_create(
                [
                    Delivery(
                        subscription=subscription,
                        kind=message.kind,
                        key=message.key,
                        payload={"type": message.kind.value, "timestamp": timestamp, "data": message.data},
                    )
                    for message in messages
                    if message.kind.value in subscription.kinds
                    and subscription.operation_type in ("", message.operation_type)
                ],
                ignore_conflicts=True,
            )


def _subscribers(messages: Sequence[_Message]) -> list[Subscription]:
    """Return the active subscriptions to at least one of the messages, kept until the transaction ends."""
    kinds = Q()
    for kind in {message.kind.value for message in messages}:
        kinds |= Q(kinds__contains=[kind])
    types = {"", *(message.operation_type for message in messages)}
    rows = list(Subscription.objects.filter(kinds, operation_type__in=types, active=True))
    kept = keep(row.pk for row in rows) if rows else set()
    return [row for row in rows if row.pk in kept]


_KEEP = "SELECT id FROM operations_subscription WHERE id = ANY(%s) FOR KEY SHARE SKIP LOCKED"


def keep(subscriptions: Iterable[int]) -> set[int]:
    """Return those that nobody deletes, and let nobody delete them until the transaction ends.

    The database checks the reference of a delivery at the commit only, where a missing subscription would cost the
    change that is reported.
    """
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [list(subscriptions)])
        return {number for (number,) in cursor.fetchall()}

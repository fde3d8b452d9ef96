"""Stores deliveries for subscribers in the transaction of the change they report. Nothing is sent here."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.models import Q

from operations.models import Delivery, Event, Operation, Subscription
from operations.models.notification import Kind
from operations.states import Status

KINDS = {Status.COMPLETED.value: Kind.COMPLETED, Status.FAILED.value: Kind.FAILED}


def queue_status_change(operation: Operation, event: Event) -> None:
    """Queue deliveries about the event. `operation` has the state after it."""
    kind = KINDS.get(event.to_status)
    if kind is None:
        return
    error = {"class": operation.error_class, "message": operation.error_message}
    data = {
        "operation_id": operation.pk,
        "operation_type": operation.operation_type,
        "status": operation.status,
        "worker_id": operation.worker_id,
        "attempt": operation.attempt,
        "error": error if operation.error_class else None,
        "url": page_url(f"operations/{operation.pk}"),
    }
    _queue(kind, f"event:{event.pk}", data, operation.operation_type)


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
    _queue(Kind.WORKER_LOST, key, data, operation.operation_type if operation else "")


def page_url(path: str) -> str:
    return f"{settings.PUBLIC_URL}/dashboard/{path}"


def _queue(kind: Kind, key: str, data: dict[str, Any], operation_type: str) -> None:
    subscriptions = Subscription.objects.filter(
        Q(operation_type="") | Q(operation_type=operation_type), active=True, kinds__contains=[kind.value]
    )
    payload = {"type": kind.value, "timestamp": datetime.now(UTC).isoformat(), "data": data}
    Delivery.objects.bulk_create(
        [
            Delivery(subscription=subscription, kind=kind, key=key, payload=payload)
            for subscription in subscriptions
        ],
        ignore_conflicts=True,
    )

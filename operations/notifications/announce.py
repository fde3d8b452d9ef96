"""Notes what subscribers are to be told, in the transaction of what happened. Nothing is sent here."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.models import Q

from operations.models import Delivery, Event, Operation, Subscription
from operations.models.notification import Kind
from operations.states import Status

KINDS = {Status.COMPLETED.value: Kind.COMPLETED, Status.FAILED.value: Kind.FAILED}


def status_changed(operation: Operation, event: Event) -> None:
    """`operation` is as its row is after the event."""
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
        "url": page_of(f"operations/{operation.pk}"),
    }
    _note(kind, f"event:{event.pk}", data, operation.operation_type)


def worker_lost(worker_id: str, instance_id: str, reason: str, operation: Operation | None = None) -> None:
    """Once for each incarnation, whether it was working or not."""
    data = {
        "worker_id": worker_id,
        "instance_id": instance_id,
        "reason": reason,
        "operation_id": operation.pk if operation else None,
        "url": page_of(f"workers/{worker_id}"),
    }
    key = f"worker:{worker_id}:{instance_id}"
    _note(Kind.WORKER_LOST, key, data, operation.operation_type if operation else "")


def page_of(path: str) -> str:
    return f"{settings.PUBLIC_URL}/dashboard/{path}"


def _note(kind: Kind, key: str, data: dict[str, Any], operation_type: str) -> None:
    wanted = Subscription.objects.filter(
        Q(operation_type="") | Q(operation_type=operation_type), active=True, kinds__contains=[kind.value]
    )
    payload = {"type": kind.value, "timestamp": datetime.now(UTC).isoformat(), "data": data}
    Delivery.objects.bulk_create(
        [Delivery(subscription=one, kind=kind, key=key, payload=payload) for one in wanted],
        ignore_conflicts=True,
    )

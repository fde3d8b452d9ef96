"""Active attempts about which a worker has to be told or asked something, each taken by one dispatcher at a time."""

from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now

from operations import lifecycle
from operations.dispatching import claims
from operations.dispatching.claims import Claim
from operations.models import Attempt
from operations.states import Status
from registry.models import Capability
from registry.worker_client import Endpoint
from worker_agent.trace import Trace

BATCH = 500


@dataclass(frozen=True, slots=True)
class Doubt:
    operation_id: str
    attempt: int
    status: Status
    endpoint: Endpoint
    was_pushed: bool
    trace: Trace
    start: Claim | None
    """What to send where the operation is DISPATCHING and the worker does not have it."""
    reason: str = "cancelled"


def take() -> list[Doubt]:
    """Takes those whose moment has come: until the lease is over they are this caller's."""
    with transaction.atomic():
        due = list(
            Attempt.objects.select_for_update(of=("self",), skip_locked=True)
            .filter(ended_at__isnull=True, contact_after__lte=Now())
            .select_related("operation")
            .order_by("contact_after")[:BATCH]
        )
        if not due:
            return []
        taken = Attempt.objects.filter(pk__in=[attempt.pk for attempt in due])
        taken.update(contact_after=Now() + lifecycle.push_lease())
        doubts = [doubt for attempt in due if (doubt := _doubt(attempt)) is not None]
        # From here on a start may be on its way; what is to be cancelled is never sent.
        sent = [attempt.pk for attempt in due if attempt.operation.status == Status.DISPATCHING]
        Attempt.objects.filter(pk__in=sent, pushed_at__isnull=True).update(pushed_at=Now())
    return doubts


def _doubt(attempt: Attempt) -> Doubt | None:
    operation = attempt.operation
    start = None
    if operation.status == Status.DISPATCHING:
        checkpoint = claims.newest_checkpoint(operation)
        try:
            start = claims.of_attempt(operation, attempt, checkpoint)
        except Capability.DoesNotExist:
            # The worker is gone, or announces this type no more; who removed it has ended the attempt, or will.
            return None
    return Doubt(
        operation_id=operation.pk,
        attempt=attempt.number,
        status=Status(operation.status),
        endpoint=claims.endpoint_of(attempt),
        was_pushed=attempt.pushed_at is not None,
        trace=operation.trace,
        start=start,
    )


def ask_again(operation_id: str, attempt: int) -> None:
    """Soon, but not at once."""
    lifecycle.contact(
        Attempt.objects.filter(operation=operation_id, number=attempt), after_s=lifecycle.ASK_AGAIN_S
    )

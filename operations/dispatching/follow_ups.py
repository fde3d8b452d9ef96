"""Active attempts whose worker needs a follow-up call; each is leased to one dispatcher at a time."""

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Now

from access.isolation import isolated
from operations import attempts, inputs
from operations.dispatching import claims
from operations.dispatching.claims import Claim
from operations.models import Attempt
from operations.setbacks import set_aside
from operations.states import Status
from registry import protocol_versions, selection
from registry.endpoint import Endpoint
from registry.models import Capability, Worker
from worker_agent.trace import Trace

BATCH = 500


@dataclass(frozen=True, slots=True)
class FollowUp:
    operation_id: str
    attempt: int
    status: Status
    endpoint: Endpoint
    was_pushed: bool
    trace: Trace
    start: Claim | None
    """The start to send if the operation is DISPATCHING and the worker does not have it."""
    must_stop: bool
    reason: str


def lease_due() -> list[FollowUp]:
    """Take the follow-ups that are due. They belong to the caller until the lease ends.

    An operation whose follow-up cannot be built is set aside.
    """
    follow_ups: list[FollowUp] = []
    failed: list[tuple[str, Exception]] = []
    with transaction.atomic():
        due = list(
            Attempt.objects.select_for_update(of=("self",), skip_locked=True)
            .filter(ended_at__isnull=True, contact_after__lte=Now())
            .select_related("operation")
            .annotate(worker_protocol=Subquery(_worker_of_attempt().values("protocol_version")[:1]))
            .order_by("contact_after")[:BATCH]
        )
        if not due:
            return []
        leased = Attempt.objects.filter(pk__in=[attempt.pk for attempt in due])
        leased.update(contact_after=Now() + attempts.push_lease())
        for attempt in due:
            with isolated("following up an operation", operation_id=attempt.operation_id) as unit:
                _require_proof(attempt)
                follow_up = _build(attempt)
                if follow_up is not None:
                    follow_ups.append(follow_up)
            if unit.error is not None:
                failed.append((attempt.operation_id, unit.error))
        # From here on a start may be on its way. Attempts that are being cancelled are never sent.
        built = {follow_up.operation_id for follow_up in follow_ups}
        sent = [
            attempt.pk
            for attempt in due
            if attempt.operation.status == Status.DISPATCHING and attempt.operation_id in built
        ]
        proving = _worker_of_attempt().filter(protocol_version__gte=protocol_versions.PROVING)
        Attempt.objects.filter(pk__in=sent, pushed_at__isnull=True).update(
            pushed_at=Now(), must_prove=Exists(proving)
        )
    # Not before the locks of the attempts are released: a setback locks the operation first.
    for operation_id, error in failed:
        set_aside(operation_id, error)
    return follow_ups


def _worker_of_attempt() -> QuerySet[Worker]:
    return Worker.objects.filter(pk=OuterRef("worker_id"))


def _require_proof(attempt: Attempt) -> None:
    """Decide at the first push, not at the claim, whether the worker must prove what it sends about the attempt.

    Whoever claims may be a process of the older version or of this one; the secret is in the message of whoever pushes.
    """
    if attempt.pushed_at is None and attempt.operation.status == Status.DISPATCHING:
        worker_protocol: int | None = getattr(attempt, "worker_protocol", None)
        attempt.must_prove = (worker_protocol or 0) >= protocol_versions.PROVING


def _build(attempt: Attempt) -> FollowUp | None:
    operation = attempt.operation
    start = None
    if operation.status == Status.DISPATCHING:
        checkpoint = claims.newest_checkpoint(operation)
        try:
            start_path = selection.start_path(Worker(worker_id=attempt.worker_id), operation.operation_type)
            files = inputs.take([operation.pk])[operation.pk]
            start = claims.build_claim(operation, attempt, checkpoint, start_path, files)
        except Capability.DoesNotExist:
            # The worker is gone or no longer announces this type. Its removal has ended the attempt, or will.
            return None
    return FollowUp(
        operation_id=operation.pk,
        attempt=attempt.number,
        status=Status(operation.status),
        endpoint=claims.endpoint_of(attempt),
        was_pushed=attempt.pushed_at is not None,
        trace=operation.trace,
        start=start,
        must_stop=operation.status == Status.CANCELLING or bool(attempt.stop_reason),
        reason=attempt.stop_reason or "cancelled",
    )


def schedule_again(operation_id: str, attempt: int) -> None:
    """Contact the worker again soon, but not immediately."""
    attempts.schedule_contact(
        Attempt.objects.filter(operation=operation_id, number=attempt), after_s=attempts.ASK_AGAIN_S
    )

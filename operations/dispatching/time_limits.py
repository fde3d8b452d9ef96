"""Ends operations that waited too long, and stops attempts that run too long or report nothing.

A stop keeps the operation RUNNING: the attempt's `stop_reason` makes a dispatcher cancel the job at its worker, again
and again until the attempt ends, and then the operation fails. A job that completes before it is stopped completes.
"""

from datetime import timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from access.conflicts import atomic_with_retries
from access.isolation import isolated
from access.prepared import fetch
from operations import attempts, lifecycle, time_limits
from operations.actors import DISPATCHER
from operations.followers import lock_with_followers
from operations.models import Attempt, Operation
from operations.states import Status

BATCH = 200
"""Operations and attempts per call. The next call finds the others."""

_EXCEEDED = """
    SELECT EXISTS (SELECT FROM operations_operation
                   WHERE status = 'PENDING' AND expires_at <= statement_timestamp())
        OR EXISTS (SELECT FROM operations_attempt
                   WHERE ended_at IS NULL AND deadline <= statement_timestamp())
        OR EXISTS (SELECT FROM operations_attempt
                   WHERE ended_at IS NULL
                     AND silent_since <= statement_timestamp() - make_interval(secs => %(stalled_s)s::float8))
"""
"""Perhaps also of an attempt that is being stopped already."""


def enforce() -> int:
    """End or stop what has exceeded a limit; return how many."""
    ((is_exceeded,),) = fetch(_EXCEEDED, {"stalled_s": settings.END_STALLED_AFTER_S})
    if not is_exceeded:
        return 0
    handled = 0
    for operation_id in _find_expired().order_by("expires_at").values_list("pk", flat=True)[:BATCH]:
        with isolated("expiry of an operation", operation_id=operation_id):
            handled += expire(operation_id)
    for pk, operation_id in _find_overdue().order_by("pk").values_list("pk", "operation_id")[:BATCH]:
        with isolated("time limit of an attempt", operation_id=operation_id):
            handled += stop(operation_id, pk)
    return handled


def _find_expired() -> QuerySet[Operation]:
    return Operation.objects.filter(status=Status.PENDING, expires_at__lte=Now())


def _find_overdue() -> QuerySet[Attempt]:
    """Return the attempts to stop. Those of CANCELLING operations are being stopped already."""
    exceeded = Q(deadline__lte=Now())
    if settings.END_STALLED_AFTER_S is not None:
        limit = timedelta(seconds=settings.END_STALLED_AFTER_S)
        exceeded |= Q(silent_since__lte=Now() - limit)
    running = Attempt.objects.filter(ended_at__isnull=True, stop_reason="", operation__status=Status.RUNNING)
    return running.filter(exceeded)


@atomic_with_retries
def expire(operation_id: str) -> bool:
    """Fail the operation if it is still waiting and its time is over."""
    lock_with_followers([operation_id])
    operation = _find_expired().filter(pk=operation_id).first()
    if operation is None:
        return False
    assert operation.expires_after_s is not None, "it is set together with `expires_at`"
    reason = time_limits.waited_too_long(operation.expires_after_s)
    lifecycle.fail(operation, time_limits.error(reason), DISPATCHER)
    return True


@atomic_with_retries
def stop(operation_id: str, attempt_id: int) -> bool:
    """Have the attempt stopped at its worker if it is still over a limit."""
    operation = lifecycle.lock(operation_id)
    attempt = _find_overdue().filter(pk=attempt_id).annotate(is_late=Q(deadline__lte=Now())).first()
    if attempt is None:
        return False
    if attempt.is_late and operation.timeout_s is not None:
        reason = time_limits.ran_too_long(operation.timeout_s)
    else:
        assert settings.END_STALLED_AFTER_S is not None, "otherwise only a deadline makes an attempt overdue"
        reason = time_limits.silent_too_long(settings.END_STALLED_AFTER_S)
    Attempt.objects.filter(pk=attempt_id).update(stop_reason=reason, deadline=None)
    lifecycle.record(operation, "time_limit", DISPATCHER, reason, attempt=attempt.number)
    attempts.schedule_contact(Attempt.objects.filter(pk=attempt_id))
    return True

"""Decides whether a worker fails for reasons of its own, after each of its failures.

Failures of its own: lost, out of memory, or the job failed within seconds. Three in a row, by at least two operations,
cordon the worker if others completed more operations of these types than they failed in the same time. So a bad
operation, which fails everywhere, cordons nobody; nor is the only usable worker of its type cordoned. One failure is
enough for a worker on probation after an automatic cordon.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from operations.models import Attempt
from operations.models.attempt import AttemptOutcome
from operations.notifications import outbox
from registry import automatic_cordons
from registry.models import Worker, WorkerStatus
from worker_agent.protocol import ErrorClass

LOCK_KEY = 0x6B74_736B
"""Key of the advisory lock: the bytes of `ktsk`."""
FAILURES = 3
WITHIN_S = 10.0
"""A job that fails faster may have failed because of its worker."""
COMPARED_S = 600.0
"""Time before the first of the failures from which the results of other workers count."""
MAX_COMPARED = 1000
CONCLUSIVE = (AttemptOutcome.COMPLETED, AttemptOutcome.FAILED, AttemptOutcome.LOST)


@dataclass(frozen=True, slots=True)
class Failure:
    operation_id: str
    operation_type: str
    claimed_at: datetime
    cause: str


def examine(worker_id: str) -> bool:
    """Cordon the worker if it is sick. Call it after one of its attempts failed; return whether it was cordoned."""
    worker = Worker.objects.filter(pk=worker_id, cordoned=False).first()
    if worker is None:
        return False
    failures = _newest_failures(worker, 1 if worker.sickness else FAILURES)
    if failures is None or not _others_do_better(worker, failures):
        return False
    _take_turns()
    if not _has_substitute(worker):
        return False
    causes = ", ".join(sorted({failure.cause for failure in failures}))
    number = len(failures)
    reason = (
        f"Its last {number} operations ended badly ({causes}), while other workers completed such operations."
        if number > 1
        else f"The operation of its probe ended badly ({causes})."
    )
    if not automatic_cordons.cordon(worker, reason):
        return False
    outbox.queue_worker_cordoned(worker.pk, worker.instance_id, reason)
    return True


def _take_turns() -> None:
    """Wait for other examinations until their transactions end: two workers must not count as each other's substitute."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_KEY])


def _newest_failures(worker: Worker, needed: int) -> list[Failure] | None:
    """Return the last `needed` conclusive attempts if all of them are failures of the worker's own, else None."""
    ended = Attempt.objects.filter(worker_id=worker.pk, ended_at__isnull=False, outcome__in=CONCLUSIVE)
    if worker.trusted_since is not None:
        ended = ended.filter(claimed_at__gte=worker.trusted_since)
    newest = ended.select_related("operation").order_by("-claimed_at")[:needed]
    failures = [failure for attempt in newest if (failure := _failure_of(attempt)) is not None]
    enough = len(failures) == needed and (
        needed == 1 or len({failure.operation_id for failure in failures}) > 1
    )
    return failures if enough else None


def _failure_of(attempt: Attempt) -> Failure | None:
    operation = attempt.operation
    if attempt.outcome == AttemptOutcome.LOST:
        cause = "lost"
    elif attempt.outcome == AttemptOutcome.FAILED and operation.attempt == attempt.number:
        took = (attempt.ended_at or attempt.claimed_at) - (attempt.started_at or attempt.claimed_at)
        if operation.error_class == ErrorClass.OUT_OF_MEMORY:
            cause = "out of memory"
        elif operation.error_class == ErrorClass.JOB and took < timedelta(seconds=WITHIN_S):
            cause = "the job failed within seconds"
        else:
            return None
    else:
        return None
    return Failure(operation.pk, operation.operation_type, attempt.claimed_at, cause)


def _others_do_better(worker: Worker, failures: list[Failure]) -> bool:
    since = min(failure.claimed_at for failure in failures) - timedelta(seconds=COMPARED_S)
    compared = (
        Attempt.objects.filter(
            ended_at__gt=since,
            outcome__in=CONCLUSIVE,
            operation__operation_type__in={failure.operation_type for failure in failures},
        )
        .exclude(worker_id=worker.pk)
        .order_by("-ended_at")
        .values_list("outcome", flat=True)[:MAX_COMPARED]
    )
    outcomes = list(compared)
    completed = outcomes.count(AttemptOutcome.COMPLETED)
    return completed > len(outcomes) - completed


def _has_substitute(worker: Worker) -> bool:
    usable = Worker.objects.filter(
        worker_type=worker.worker_type,
        cordoned=False,
        status__in=(WorkerStatus.AVAILABLE, WorkerStatus.BUSY),
    )
    return usable.exclude(pk=worker.pk).exists()

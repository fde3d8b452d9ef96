"""Pulls progress on demand: at most one request per second to the worker, however many clients ask.

The thread that responds to the client waits for the worker, half a second at most, and only a few threads of a process
wait at the same time. After a request without a response, no further one is sent for that operation for a while. So
people who watch operations of hanging workers do not delay other requests.
"""

from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from operations import attempts, lifecycle, reports, telemetry, waiting_threads
from operations.dispatching.claims import endpoint_of
from operations.models import Attempt, Operation
from operations.states import ACTIVE
from registry import bounded_calls
from registry.models import Worker, WorkerStatus
from registry.worker_client import WorkerClient
from registry.worker_errors import WorkerError, WorkerUncertain
from worker_agent.protocol import AgentOperation, LogsPage, MetricsPage

log = structlog.get_logger(__name__)
Pulled = tuple[Attempt, AgentOperation, MetricsPage | None, LogsPage | None]

SILENT_PAUSE_S = 5.0
"""From a request without a response to the next one for the same operation."""


def refresh(operation: Operation) -> Operation:
    """Return the operation, updated from its worker if the row is older than the cache time.

    Exactly one request, thread or process wins the UPDATE and calls the worker; the others use the row as it is. No
    transaction is open during the call. If the worker does not respond, the row is unchanged and becomes stale.
    """
    if operation.status not in ACTIVE:
        return operation
    with waiting_threads.short_wait() as is_free:
        pulled = _pull(operation) if is_free else None
    if pulled is None:
        return operation
    store(*pulled)
    operation.refresh_from_db()
    return operation


def _pull(operation: Operation) -> Pulled | None:
    """Return what the worker reports; None if the row is fresh or the worker does not respond."""
    if not _claim_refresh(operation):
        return None
    attempt = operation.attempts.filter(_worker_answers(), number=operation.attempt, ended_at=None).first()
    if attempt is None:
        return None
    try:
        return attempt, *bounded_calls.call(_fetch, attempt)
    except WorkerError as error:
        log.info(
            "could not refresh progress",
            operation_id=operation.pk,
            attempt=attempt.number,
            worker_id=attempt.worker_id,
            reason=str(error),
        )
        if isinstance(error, WorkerUncertain):
            _pause(operation)
        return None


def _worker_answers() -> Exists:
    """Select attempts whose worker has answered the last health checks."""
    workers = Worker.objects.filter(pk=OuterRef("worker_id"))
    return Exists(workers.exclude(status=WorkerStatus.TEMPORARILY_UNAVAILABLE))


def _claim_refresh(operation: Operation) -> bool:
    old = Q(progress_asked_at__isnull=True) | Q(
        progress_asked_at__lt=Now() - timedelta(seconds=settings.PROGRESS_CACHE_S)
    )
    rows = Operation.objects.filter(old, pk=operation.pk, attempt=operation.attempt, status__in=ACTIVE)
    return rows.update(progress_asked_at=Now()) == 1


def _pause(operation: Operation) -> None:
    rows = Operation.objects.filter(pk=operation.pk, attempt=operation.attempt)
    rows.update(progress_asked_at=Now() + timedelta(seconds=SILENT_PAUSE_S))


async def _fetch(attempt: Attempt) -> tuple[AgentOperation, MetricsPage | None, LogsPage | None]:
    worker = endpoint_of(attempt)
    async with WorkerClient(timeout_s=bounded_calls.WAIT_S) as client:
        state = await client.operation(worker, attempt.operation_id)
        if state.attempt != attempt.number:
            return state, None, None
        metrics = logs = None
        if state.metrics_cursor > attempt.metrics_cursor:
            metrics = await client.metrics(worker, attempt.operation_id, attempt.metrics_cursor)
        if state.logs_cursor > attempt.logs_cursor:
            logs = await client.logs(worker, attempt.operation_id, attempt.logs_cursor)
    return state, metrics, logs


def store(
    attempt: Attempt, state: AgentOperation, metrics: MetricsPage | None, logs: LogsPage | None
) -> None:
    """Store the state that the worker reported, if its attempt is still the current one."""
    if state.attempt != attempt.number:
        return
    with transaction.atomic():
        try:
            operation = lifecycle.lock(attempt.operation_id)
        except Operation.DoesNotExist:
            return  # it has ended and was deleted while the worker was asked
        current = attempts.current(operation, attempt.number)
        if current is None:
            return
        telemetry.append(operation, current, metrics.results if metrics else (), logs.results if logs else ())
        Operation.objects.filter(pk=operation.pk).update(
            progress=state.progress.model_dump(), progress_updated_at=Now()
        )
    if state.report is not None:
        # The attempt has ended, and the pushed report was lost or is still on its way.
        try:
            reports.apply(attempt.operation_id, attempt.worker_id, state.report)
        except reports.MissingFiles as error:
            log.info(
                "report is waiting for its files",
                operation_id=attempt.operation_id,
                attempt=attempt.number,
                worker_id=attempt.worker_id,
                reason=str(error),
            )

"""Pulls progress on demand: at most one request per second to the worker, however many clients ask."""

from datetime import timedelta

import structlog
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from operations import attempts, lifecycle, reports, telemetry
from operations.dispatching.claims import endpoint_of
from operations.models import Attempt, Operation
from operations.states import ACTIVE
from registry.worker_client import WorkerClient, WorkerError
from worker_agent.protocol import AgentOperation, LogsPage, MetricsPage

log = structlog.get_logger(__name__)

ASK_TIMEOUT_S = 2.0
"""The longest that a person waits for a worker that does not respond."""


def refresh(operation: Operation) -> Operation:
    """Return the operation, updated from its worker if the row is older than the cache time.

    Exactly one request, thread or process wins the UPDATE and calls the worker; the others use the row as it is. No
    transaction is open during the call. If the worker does not respond, the row is unchanged and becomes stale.
    """
    if operation.status not in ACTIVE or not _claim_refresh(operation):
        return operation
    attempt = operation.attempts.filter(number=operation.attempt, ended_at__isnull=True).first()
    if attempt is None:
        return operation
    try:
        state, metrics, logs = async_to_sync(_fetch)(attempt)
    except WorkerError as error:
        log.info(
            "could not refresh progress",
            operation_id=operation.pk,
            attempt=attempt.number,
            worker_id=attempt.worker_id,
            reason=str(error),
        )
        return operation
    store(attempt, state, metrics, logs)
    operation.refresh_from_db()
    return operation


def _claim_refresh(operation: Operation) -> bool:
    old = Q(progress_asked_at__isnull=True) | Q(
        progress_asked_at__lt=Now() - timedelta(seconds=settings.PROGRESS_CACHE_S)
    )
    rows = Operation.objects.filter(old, pk=operation.pk, attempt=operation.attempt, status__in=ACTIVE)
    return rows.update(progress_asked_at=Now()) == 1


async def _fetch(attempt: Attempt) -> tuple[AgentOperation, MetricsPage | None, LogsPage | None]:
    worker = endpoint_of(attempt)
    async with WorkerClient(timeout_s=ASK_TIMEOUT_S) as client:
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
        operation = lifecycle.lock(attempt.operation_id)
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

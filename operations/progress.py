"""Progress is pulled when somebody asks: one request a second to the worker, however many people ask."""

from datetime import timedelta

import structlog
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from operations import lifecycle, reports, telemetry
from operations.models import Attempt, Operation
from operations.states import ACTIVE
from registry.worker_client import Endpoint, WorkerClient, WorkerError
from worker_agent.protocol import AgentOperation, LogsPage, MetricsPage

log = structlog.get_logger(__name__)

ASK_TIMEOUT_S = 2.0
"""A person waits no longer than this for a worker that does not answer."""


def refresh(operation: Operation) -> Operation:
    """The operation, asked about at its worker where the row is older than the cache allows.

    Exactly one request, thread or process wins the UPDATE and asks; the others answer from the row. No
    transaction is open across the call. A worker that does not answer leaves the row as it is, which then says
    that it is stale.
    """
    if operation.status not in ACTIVE or not _may_ask(operation):
        return operation
    attempt = operation.attempts.filter(number=operation.attempt, ended_at__isnull=True).first()
    if attempt is None:
        return operation
    try:
        answer, metrics, logs = async_to_sync(_ask)(attempt)
    except WorkerError as error:
        log.info(
            "progress is stale",
            operation_id=operation.pk,
            attempt=attempt.number,
            worker_id=attempt.worker_id,
            reason=str(error),
        )
        return operation
    store(attempt, answer, metrics, logs)
    operation.refresh_from_db()
    return operation


def _may_ask(operation: Operation) -> bool:
    old = Q(progress_asked_at__isnull=True) | Q(
        progress_asked_at__lt=Now() - timedelta(seconds=settings.PROGRESS_CACHE_S)
    )
    mine = Operation.objects.filter(old, pk=operation.pk, attempt=operation.attempt, status__in=ACTIVE)
    return mine.update(progress_asked_at=Now()) == 1


async def _ask(attempt: Attempt) -> tuple[AgentOperation, MetricsPage | None, LogsPage | None]:
    worker = Endpoint(attempt.worker_id, attempt.instance_id, attempt.endpoint_url)
    async with WorkerClient(timeout_s=ASK_TIMEOUT_S) as client:
        answer = await client.operation(worker, attempt.operation_id)
        if answer.attempt != attempt.number:
            return answer, None, None
        metrics = logs = None
        if answer.metrics_cursor > attempt.metrics_cursor:
            metrics = await client.metrics(worker, attempt.operation_id, attempt.metrics_cursor)
        if answer.logs_cursor > attempt.logs_cursor:
            logs = await client.logs(worker, attempt.operation_id, attempt.logs_cursor)
    return answer, metrics, logs


def store(
    attempt: Attempt, answer: AgentOperation, metrics: MetricsPage | None, logs: LogsPage | None
) -> None:
    """Writes what the worker said of its attempt, where that is still the current one."""
    if answer.attempt != attempt.number:
        return
    with transaction.atomic():
        operation = lifecycle.lock(attempt.operation_id)
        current = lifecycle.current_attempt(operation, attempt.number)
        if current is None:
            return
        telemetry.append(operation, current, metrics.results if metrics else (), logs.results if logs else ())
        Operation.objects.filter(pk=operation.pk).update(
            progress=answer.progress.model_dump(), progress_updated_at=Now()
        )
    if answer.report is not None:
        # It ended, and the push of its report was lost or is still on its way.
        try:
            reports.apply(attempt.operation_id, attempt.worker_id, answer.report)
        except reports.MissingFiles as error:
            log.info(
                "its files are still on their way",
                operation_id=attempt.operation_id,
                attempt=attempt.number,
                worker_id=attempt.worker_id,
                reason=str(error),
            )

"""Applies the reports that a worker kept until its registration; each of them can harm only its own operation."""

from collections.abc import Sequence

import structlog

from access.isolation import isolated
from operations import reports
from operations.models import Attempt, Operation
from operations.setbacks import set_aside
from registry.kept_reports import UnreadableReport
from worker_agent.protocol import FinishedOperation

log = structlog.get_logger(__name__)


def apply_all(
    worker_id: str, kept: Sequence[FinishedOperation], unreadable: Sequence[UnreadableReport]
) -> set[str]:
    """Return the operations all of whose reports the worker may forget."""
    acknowledged: set[str] = set()
    waiting: set[str] = set()
    for finished in kept:
        with isolated("applying a kept report", atomic=False, operation_id=finished.operation_id) as unit:
            (acknowledged if _apply(worker_id, finished) else waiting).add(finished.operation_id)
        if unit.error is not None:
            waiting.add(finished.operation_id)
            _set_aside(worker_id, finished.operation_id, unit.error)
    for report in unreadable:
        with isolated("failing an unreadable report", atomic=False, operation_id=report.operation_id) as unit:
            _fail(worker_id, report)
            acknowledged.add(report.operation_id)
        if unit.error is not None:
            _set_aside(worker_id, report.operation_id, unit.error)
    return acknowledged - waiting


def _apply(worker_id: str, finished: FinishedOperation) -> bool:
    """Return whether the worker may forget the report: it was applied or refused, or the operation does not exist."""
    bound = log.bind(operation_id=finished.operation_id, attempt=finished.report.attempt, worker_id=worker_id)
    try:
        status = reports.apply(finished.operation_id, worker_id, finished.report)
    except Operation.DoesNotExist:
        status = reports.ReportStatus.REFUSED
    except reports.MissingFiles as error:
        bound.info("kept report is waiting for its files", reason=str(error))
        return False
    bound.info("kept report received", status=status)
    return True


def _fail(worker_id: str, report: UnreadableReport) -> None:
    bound = log.bind(operation_id=report.operation_id, attempt=report.attempt, worker_id=worker_id)
    try:
        status = reports.fail_unreadable(
            report.operation_id, worker_id, report.attempt, report.problem, report.attempt_secret
        )
    except Operation.DoesNotExist:
        status = reports.ReportStatus.REFUSED
    bound.warning("kept report is unreadable", status=status, reason=report.problem)


def _set_aside(worker_id: str, operation_id: str, error: Exception) -> None:
    """Set the operation aside only if the worker has it: a worker cannot harm the operations of others."""
    if Attempt.objects.filter(operation=operation_id, worker_id=worker_id, ended_at__isnull=True).exists():
        set_aside(operation_id, error)

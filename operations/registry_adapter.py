"""Implements the registry's port: what changes to workers mean for their operations."""

from collections.abc import Mapping, Sequence

import structlog
from django.db.models import Count, Q

from operations import artifacts, attempts, reconciliation, reports
from operations.actors import REGISTRATION, SWEEP
from operations.models import Attempt, Operation
from operations.models.attempt import AttemptOutcome
from operations.notifications import delivery, outbox
from operations.reconciliation import Action, ReportedState
from registry.models import Worker, WorkerStatus
from registry.operations_port import Reconciliation, WorkerHistory
from worker_agent.protocol import FinishedOperation, Health, Registration, RunningOperation

log = structlog.get_logger(__name__)


class RegistryAdapter:
    """The `registry.operations_port.OperationsPort` of this room."""

    def reconcile_registration(self, worker: Worker, registration: Registration) -> Reconciliation:
        """Apply the reports that the worker kept first, so that finished work is never marked lost."""
        acknowledged = tuple(
            finished.operation_id
            for finished in registration.completed_operations
            if _apply_kept_report(worker.worker_id, finished)
        )
        held = {finished.operation_id for finished in registration.completed_operations}
        reported = ReportedState(
            registration.current_operation, frozenset(held - set(acknowledged)), registration.instance_id
        )
        ours = _active_attempts([worker.worker_id]).get(worker.worker_id)
        resolution = reconciliation.resolve(ours, reported)
        reconciliation.apply(ours, resolution.action, reported, REGISTRATION, registration.endpoint_url)
        is_kept = ours is not None and resolution.action is not Action.LOSE
        return Reconciliation(
            status=WorkerStatus.BUSY if is_kept or reported.running is not None else WorkerStatus.AVAILABLE,
            stop_operations=(reported.running,) if resolution.stop and reported.running else (),
            acknowledged=acknowledged,
        )

    def reconcile_health(self, answers: Mapping[str, Health]) -> dict[str, list[RunningOperation]]:
        """Ignore the response of an incarnation that has been replaced since it was asked."""
        instances = dict(Worker.objects.filter(pk__in=answers).values_list("pk", "instance_id"))
        active = _active_attempts(list(answers))
        stop: dict[str, list[RunningOperation]] = {}
        for worker_id, health in answers.items():
            if instances.get(worker_id) != health.instance_id:
                continue
            reported = ReportedState(
                _running_operation(health), frozenset(health.unacknowledged), health.instance_id
            )
            ours = active.get(worker_id)
            resolution = reconciliation.resolve(ours, reported)
            reconciliation.apply(ours, resolution.action, reported, SWEEP)
            if resolution.stop and reported.running is not None:
                stop[worker_id] = [reported.running]
        return stop

    def mark_lost(self, workers: Mapping[str, str], reason: str) -> int:
        """Lose only attempts of the given incarnation: the worker may have come back meanwhile."""
        lost = 0
        for worker_id, attempt in sorted(_active_attempts(list(workers)).items()):
            if attempt.instance_id == workers[worker_id]:
                lost += attempts.mark_lost(
                    attempt.operation_id, attempt.number, SWEEP, f"{worker_id}: {reason}"
                )
        return lost

    def has_active_attempt(self, worker_id: str) -> bool:
        return Attempt.objects.filter(worker_id=worker_id, ended_at__isnull=True).exists()

    def histories(self, worker_ids: Sequence[str]) -> dict[str, WorkerHistory]:
        active = dict(
            Attempt.objects.filter(worker_id__in=worker_ids, ended_at__isnull=True).values_list(
                "worker_id", "operation_id"
            )
        )
        ended = (
            Attempt.objects.filter(worker_id__in=worker_ids)
            .order_by()
            .values("worker_id")
            .annotate(
                completed=Count("pk", filter=Q(outcome=AttemptOutcome.COMPLETED)),
                failed=Count("pk", filter=Q(outcome=AttemptOutcome.FAILED)),
            )
        )
        counts = {row["worker_id"]: (row["completed"], row["failed"]) for row in ended}
        return {
            worker_id: WorkerHistory(active.get(worker_id), *counts.get(worker_id, (0, 0)))
            for worker_id in worker_ids
        }

    def on_worker_removed(self, worker_id: str, instance_id: str, reason: str) -> None:
        outbox.queue_worker_lost(worker_id, instance_id, reason)

    def cleanup(self) -> dict[str, int]:
        return {"removed_files": artifacts.remove_unreferenced(), "removed_deliveries": delivery.delete_old()}


def _active_attempts(worker_ids: Sequence[str]) -> dict[str, Attempt]:
    """Return worker id -> its active attempt, with its operation."""
    rows = Attempt.objects.filter(worker_id__in=worker_ids, ended_at__isnull=True)
    return {attempt.worker_id: attempt for attempt in rows.select_related("operation")}


def _running_operation(health: Health) -> RunningOperation | None:
    if health.current_operation is None:
        return None
    # Without an attempt number it cannot match an attempt of ours, but the worker can still be asked to stop it.
    return RunningOperation(operation_id=health.current_operation, attempt=health.current_attempt or 1)


def _apply_kept_report(worker_id: str, finished: FinishedOperation) -> bool:
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

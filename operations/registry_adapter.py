"""Implements the registry's port: what changes to workers mean for their operations."""

from collections.abc import Callable, Collection, Mapping, Sequence

import structlog
from django.db.models import Count, Exists, OuterRef, Q

from access.isolation import isolated
from operations import (
    artifacts,
    attempts,
    blockers,
    clock_steps,
    deletion,
    file_checks,
    interruptions,
    kept_reports,
    orphans,
    reconciliation,
    stalls,
    uploads,
)
from operations.actors import REGISTRATION, SWEEP, Actor
from operations.dispatching import admission
from operations.models import Attempt
from operations.models.attempt import AttemptOutcome
from operations.notifications import delivery, outbox
from operations.reconciliation import Action, ReportedState
from operations.registered_kinds import all_kinds
from operations.setbacks import set_aside
from registry.kept_reports import UnreadableReport
from registry.models import Worker, WorkerStatus
from registry.operations_port import Reconciliation, WorkerHistory
from worker_agent.protocol import Health, Registration, RunningOperation

log = structlog.get_logger(__name__)


class RegistryAdapter:
    """The `registry.operations_port.OperationsPort` of this room."""

    def reconcile_registration(
        self, worker: Worker, registration: Registration, unreadable: Sequence[UnreadableReport]
    ) -> Reconciliation:
        """Apply the reports that the worker kept first, so that finished work is never marked lost."""
        acknowledged = kept_reports.apply_all(worker.worker_id, registration.completed_operations, unreadable)
        held = {finished.operation_id for finished in registration.completed_operations}
        reported = ReportedState(
            registration.current_operation,
            frozenset(held - acknowledged),
            registration.instance_id,
            registration.attempt_secret,
        )
        ours = _active_attempts([worker.worker_id]).get(worker.worker_id)
        resolution = reconciliation.resolve(ours, reported)
        with isolated("reconciling a registration", atomic=False, worker_id=worker.worker_id) as unit:
            reconciliation.apply(ours, resolution.action, reported, REGISTRATION, _proven_address(worker))
        if unit.error is not None and ours is not None:
            set_aside(ours.operation_id, unit.error)
        is_kept = ours is not None and resolution.action is not Action.LOSE
        return Reconciliation(
            status=WorkerStatus.BUSY if is_kept or reported.running is not None else WorkerStatus.AVAILABLE,
            stop_operations=(reported.running,) if resolution.stop and reported.running else (),
            acknowledged=tuple(sorted(acknowledged)),
        )

    def reconcile_health(self, answers: Mapping[str, Health]) -> dict[str, list[RunningOperation]]:
        """Ignore the response of an incarnation that has been replaced since it was asked."""
        # The attempts first: those of a process that replaces the worker in between would look like lost ones.
        active = _active_attempts(list(answers))
        workers = Worker.objects.filter(pk__in=answers).in_bulk()
        stop: dict[str, list[RunningOperation]] = {}
        for worker_id, health in answers.items():
            worker = workers.get(worker_id)
            if worker is None or worker.instance_id != health.instance_id:
                continue
            ours = active.get(worker_id)
            with isolated("reconciling a worker", atomic=False, worker_id=worker_id) as unit:
                if (running := _reconcile(ours, health, _proven_address(worker))) is not None:
                    stop[worker_id] = [running]
            if unit.error is not None and ours is not None:
                set_aside(ours.operation_id, unit.error)
        with isolated("recording stalled attempts"):
            stalls.record(answers)
        return stop

    def built_in_types(self) -> dict[str, str]:
        return {kind.operation_type: kind.worker_type or kind.operation_type for kind in all_kinds()}

    def mark_lost(self, workers: Mapping[str, str], reason: str) -> int:
        return _end_attempts(workers, interruptions.mark_lost, reason)

    def mark_interrupted(self, workers: Mapping[str, str], reason: str) -> int:
        return _end_attempts(workers, interruptions.mark_interrupted, reason)

    def interrupt_unregistered(self) -> int:
        """Nothing else follows such an attempt: whoever removed its worker died before it ended the attempt."""
        is_registered = Exists(Worker.objects.filter(pk=OuterRef("worker_id")))
        left = Attempt.objects.filter(~is_registered, ended_at__isnull=True)
        workers = dict(left.values_list("worker_id", "instance_id"))
        return _end_attempts(workers, interruptions.mark_interrupted, "not registered any more")

    def active_workers(self, worker_ids: Collection[str]) -> set[str]:
        active = Attempt.objects.filter(worker_id__in=worker_ids, ended_at__isnull=True)
        return set(active.values_list("worker_id", flat=True))

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

    def repair_timestamps(self) -> int:
        return clock_steps.repair_timestamps()

    def cleanup_parts(self) -> dict[str, Callable[[], int]]:
        return {
            "removed_operations": deletion.remove_deleted,
            "removed_previews": deletion.remove_previews,
            "removed_uploads": uploads.remove_expired,
            **{name: part.remove for name, part in deletion.cleanups.items()},
            "removed_files": artifacts.remove_unreferenced,
            "removed_orphans": orphans.remove_orphans,
            "damaged_files": file_checks.check_some,
            "removed_deliveries": delivery.delete_old,
            "corrected_blockers": blockers.repair,
            "removed_demands": admission.remove_idle_demands,
        }

    def cleanup_counts(self) -> dict[str, Callable[[], int]]:
        return {
            "removed_operations": deletion.count_deleted,
            "removed_previews": deletion.count_previews,
            "removed_uploads": lambda: uploads.find_expired().count(),
            **{name: part.count for name, part in deletion.cleanups.items()},
            "removed_files": lambda: artifacts.count_unreferenced()[0],
            "removed_bytes": lambda: artifacts.count_unreferenced()[1],
            "removed_orphans": orphans.count_orphans,
            "removed_deliveries": lambda: delivery.old_deliveries().count(),
        }


def _active_attempts(worker_ids: Sequence[str]) -> dict[str, Attempt]:
    """Return worker id -> its active attempt, with its operation."""
    rows = Attempt.objects.filter(worker_id__in=worker_ids, ended_at__isnull=True)
    return {attempt.worker_id: attempt for attempt in rows.select_related("operation")}


def _end_attempts(
    workers: Mapping[str, str], end: Callable[[str, int, Actor, str], bool], reason: str
) -> int:
    """End only attempts of the given incarnation: the worker may have come back meanwhile."""
    ended = 0
    for worker_id, attempt in sorted(_active_attempts(list(workers)).items()):
        if attempt.instance_id != workers[worker_id]:
            continue
        with isolated("ending the attempt of a worker", atomic=False, worker_id=worker_id) as unit:
            ended += end(attempt.operation_id, attempt.number, SWEEP, f"{worker_id}: {reason}")
        if unit.error is not None:
            set_aside(attempt.operation_id, unit.error)
    return ended


def _proven_address(worker: Worker) -> str:
    """Return the worker's address; empty before it has proved that it serves it, so nothing is sent there."""
    return "" if worker.status == WorkerStatus.TEMPORARILY_UNAVAILABLE else worker.endpoint_url


def _reconcile(ours: Attempt | None, health: Health, endpoint_url: str) -> RunningOperation | None:
    """Apply a health response to our attempt; return the attempt that the worker must stop.

    The response proves the address, which was not known to be the worker's if it registered while it could not be
    reached: the attempt is contacted there from now on.
    """
    reported = ReportedState(
        _running_operation(health),
        frozenset(health.unacknowledged),
        health.instance_id,
        health.attempt_secret,
    )
    resolution = reconciliation.resolve(ours, reported)
    reconciliation.apply(ours, resolution.action, reported, SWEEP, endpoint_url)
    is_same = ours is not None and ours.instance_id == health.instance_id
    if ours is not None and is_same and endpoint_url not in ("", ours.endpoint_url):
        attempts.adopt(ours, health.instance_id, endpoint_url)
    return reported.running if resolution.stop else None


def _running_operation(health: Health) -> RunningOperation | None:
    if health.current_operation is None:
        return None
    # Without an attempt number it cannot match an attempt of ours, but the worker can still be asked to stop it.
    return RunningOperation(operation_id=health.current_operation, attempt=health.current_attempt or 1)

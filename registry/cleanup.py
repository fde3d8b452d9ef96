"""The cleanup: removes workers that have been gone for five minutes, and deletes what nothing refers to."""

from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from access import throttling
from access.isolation import isolated
from registry import operations_port, sweeps
from registry.models import Sweep, Worker, WorkerStatus

log = structlog.get_logger(__name__)


def cleanup() -> dict[str, Any] | None:
    """Run one round and return its summary, or None if another process is running one."""
    with sweeps.exclusive(Sweep.Kind.CLEANUP) as acquired:
        if not acquired:
            return None
        row = Sweep.objects.create(kind=Sweep.Kind.CLEANUP)
        summary: dict[str, Any] = {"removed_workers": [], "held_back": [], "failed": []}
        with isolated("removing workers", atomic=False) as workers:
            summary["removed_workers"], summary["held_back"] = _remove_workers()
        if workers.error is not None:
            summary["failed"].append("removed_workers")
        parts = {
            **operations_port.operations().cleanup_parts(),
            "removed_sweeps": sweeps.prune,
            "removed_failures": throttling.delete_empty,
        }
        for name, part in parts.items():
            with isolated("part of the cleanup", atomic=False, part=name) as unit:
                summary[name] = part()
            if unit.error is not None:
                summary["failed"].append(name)
        Sweep.objects.filter(pk=row.pk).update(completed_at=Now(), summary=summary)
    return summary


def preview() -> dict[str, Any]:
    """Return the summary of a cleanup that would run now, as far as it removes something; change nothing.

    The removal of operations makes files unreferenced, which a later cleanup removes.
    """
    gone, held = _find_gone()
    counts = operations_port.operations().cleanup_counts()
    return {
        "removed_workers": sorted(gone.keys() - held),
        "held_back": sorted(held),
        **{name: count() for name, count in counts.items()},
    }


def _overdue() -> QuerySet[Worker]:
    return Worker.objects.filter(
        status=WorkerStatus.TEMPORARILY_UNAVAILABLE,
        unavailable_since__lt=Now() - timedelta(seconds=settings.REMOVAL_AFTER_S),
    )


def _find_gone() -> tuple[dict[str, str], set[str]]:
    """Return the overdue workers (worker id -> instance id), and those of them that a cleanup holds back."""
    overdue = _overdue()
    gone = dict(overdue.values_list("pk", "instance_id"))
    if not gone:
        return {}, set()
    if sweeps.were_interrupted():
        log.warning("health checks were paused; not removing any worker this round", workers=sorted(gone))
        return gone, set(gone)
    held: set[str] = set()
    if sweeps.is_mass_failure(len(gone), Worker.objects.count()):
        extended = Now() - timedelta(seconds=2 * settings.REMOVAL_AFTER_S)
        held = gone.keys() - set(overdue.filter(unavailable_since__lt=extended).values_list("pk", flat=True))
        if held:
            log.warning(
                "half of the workers would be removed at once; extending their grace period",
                workers=sorted(held),
            )
    return gone, held


def _remove_workers() -> tuple[list[str], list[str]]:
    """Return (removed, held back). A worker that came back meanwhile has another status or instance and stays."""
    gone, held = _find_gone()
    overdue, removed = _overdue(), []
    for worker_id in sorted(gone.keys() - held):
        with isolated("removing a worker", atomic=False, worker_id=worker_id):
            if _remove(overdue.filter(pk=worker_id, instance_id=gone[worker_id]), worker_id, gone[worker_id]):
                removed.append(worker_id)
                log.info("worker removed", worker_id=worker_id)
    return removed, sorted(held)


def _remove(row: QuerySet[Worker], worker_id: str, instance_id: str) -> bool:
    """Lose the worker's attempt and remove it if it has not come back; return whether it was removed."""
    reason = "removed after being unavailable for too long"
    port = operations_port.operations()
    port.mark_lost({worker_id: instance_id}, reason)
    with transaction.atomic():
        # Django deletes by the key what it selected before, so the lock keeps the worker from coming back in between.
        worker = row.select_for_update().first()
        if worker is None:
            return False
        worker.delete()
        port.on_worker_removed(worker_id, instance_id, reason)
    return True

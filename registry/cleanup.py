"""The cleanup: removes workers that have been gone for five minutes, and deletes what nothing refers to."""

from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from access import throttling
from registry import operations_port, sweeps
from registry.models import Sweep, Worker, WorkerStatus

log = structlog.get_logger(__name__)


def cleanup() -> dict[str, Any] | None:
    """Run one round and return its summary, or None if another process is running one."""
    with sweeps.exclusive(Sweep.Kind.CLEANUP) as acquired:
        if not acquired:
            return None
        row = Sweep.objects.create(kind=Sweep.Kind.CLEANUP)
        removed, held = _remove_workers()
        summary = {
            "removed_workers": removed,
            "held_back": held,
            **operations_port.operations().cleanup(),
            "removed_sweeps": sweeps.prune(),
            "removed_failures": throttling.delete_empty(),
        }
        Sweep.objects.filter(pk=row.pk).update(completed_at=Now(), summary=summary)
    return summary


def _remove_workers() -> tuple[list[str], list[str]]:
    """Return (removed, held back). A worker that came back meanwhile has another status or instance and stays."""
    overdue = Worker.objects.filter(
        status=WorkerStatus.TEMPORARILY_UNAVAILABLE,
        unavailable_since__lt=Now() - timedelta(seconds=settings.REMOVAL_AFTER_S),
    )
    gone = dict(overdue.values_list("pk", "instance_id"))
    if not gone:
        return [], []
    if sweeps.were_interrupted():
        log.warning("health checks were paused; not removing any worker this round", workers=sorted(gone))
        return [], sorted(gone)
    held: set[str] = set()
    if sweeps.is_mass_failure(len(gone), Worker.objects.count()):
        extended = Now() - timedelta(seconds=2 * settings.REMOVAL_AFTER_S)
        held = gone.keys() - set(overdue.filter(unavailable_since__lt=extended).values_list("pk", flat=True))
        if held:
            log.warning(
                "half of the workers would be removed at once; extending their grace period",
                workers=sorted(held),
            )
    removed = []
    port = operations_port.operations()
    for worker_id in sorted(gone.keys() - held):
        reason = "removed after being unavailable for too long"
        port.mark_lost({worker_id: gone[worker_id]}, reason)
        with transaction.atomic():
            count, _ = overdue.filter(pk=worker_id, instance_id=gone[worker_id]).delete()
            if count:
                port.on_worker_removed(worker_id, gone[worker_id], reason)
        if count:
            removed.append(worker_id)
            log.info("worker removed", worker_id=worker_id)
    return removed, sorted(held)

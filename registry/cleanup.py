"""The cleanup: workers gone for five minutes are removed; whatever nothing refers to is deleted."""

from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from access import throttling as failures
from registry import hooks, sweeps
from registry.models import Sweep, Worker, WorkerStatus

log = structlog.get_logger(__name__)


def cleanup() -> dict[str, Any] | None:
    """One round; its summary, or None where another process is at it."""
    with sweeps.alone(Sweep.Kind.CLEANUP) as mine:
        if not mine:
            return None
        row = Sweep.objects.create(kind=Sweep.Kind.CLEANUP)
        removed, held = _remove_workers()
        summary = {
            "removed_workers": removed,
            "held_back": held,
            **hooks.operations().cleanup(),
            "removed_sweeps": sweeps.prune(),
            "removed_failures": failures.cleanup(),
        }
        Sweep.objects.filter(pk=row.pk).update(completed_at=Now(), summary=summary)
    return summary


def _remove_workers() -> tuple[list[str], list[str]]:
    """(removed, held back). A worker that came back meanwhile has another status or instance and stays."""
    overdue = Worker.objects.filter(
        status=WorkerStatus.TEMPORARILY_UNAVAILABLE,
        unavailable_since__lt=Now() - timedelta(seconds=settings.REMOVAL_AFTER_S),
    )
    gone = dict(overdue.values_list("pk", "instance_id"))
    if not gone:
        return [], []
    if sweeps.were_away():
        log.warning("the health sweep was away; nobody is removed in this round", workers=sorted(gone))
        return [], sorted(gone)
    held: set[str] = set()
    if sweeps.held_back(len(gone), Worker.objects.count()):
        twice = Now() - timedelta(seconds=2 * settings.REMOVAL_AFTER_S)
        held = gone.keys() - set(overdue.filter(unavailable_since__lt=twice).values_list("pk", flat=True))
        if held:
            log.warning(
                "half of the workers would be removed at once; they get the time again", workers=sorted(held)
            )
    removed = []
    for worker_id in sorted(gone.keys() - held):
        reason = "removed after it was unavailable for too long"
        hooks.operations().lost({worker_id: gone[worker_id]}, reason)
        with transaction.atomic():
            count, _ = overdue.filter(pk=worker_id, instance_id=gone[worker_id]).delete()
            if count:
                hooks.operations().removed(worker_id, gone[worker_id], reason)
        if count:
            removed.append(worker_id)
            log.info("worker removed", worker_id=worker_id)
    return removed, sorted(held)

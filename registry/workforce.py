"""What people do to workers: cordon, drain, remove."""

from django.db import transaction

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from registry import hooks, notify
from registry.models import Worker

Act = AuditEntry.Act


class StillWorks(Exception):
    """The worker has an operation; drain it, or cancel that first."""


@transaction.atomic
def cordon(worker_id: str, by: Actor, reason: str = "", *, drain: bool = False) -> bool:
    """No new work for it; drained, it also leaves when idle. False where there is no such worker."""
    workers = Worker.objects.filter(pk=worker_id)
    if workers.update(cordoned=True, cordon_reason=reason[:500], draining=drain) != 1:
        return False
    audit.record(Act.WORKER_DRAINED if drain else Act.WORKER_CORDONED, worker_id, by, reason)
    return True


@transaction.atomic
def uncordon(worker_id: str, by: Actor) -> bool:
    workers = Worker.objects.filter(pk=worker_id)
    if workers.update(cordoned=False, cordon_reason="", draining=False) != 1:
        return False
    audit.record(Act.WORKER_UNCORDONED, worker_id, by)
    notify.dispatcher()
    return True


@transaction.atomic
def remove(worker_id: str, by: Actor) -> None:
    """Takes the worker off the registry; its history stays. Raises Worker.DoesNotExist, StillWorks.

    An agent that still lives registers anew by itself.
    """
    worker = Worker.objects.select_for_update().get(pk=worker_id)
    if hooks.operations().works(worker_id):
        raise StillWorks(f"{worker_id} has an operation; drain it, or cancel that operation first.")
    worker.delete()
    audit.record(Act.WORKER_REMOVED, worker_id, by)

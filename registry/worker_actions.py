"""Actions of people on workers: cordon, drain, remove."""

from django.db import transaction
from django.db.models.functions import Now

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from registry import dispatch_channel, operations_port
from registry.models import Worker

Act = AuditEntry.Act


class HasOperation(Exception):
    """The worker has an active operation, so it cannot be removed."""


@transaction.atomic
def cordon(worker_id: str, by: Actor, reason: str = "", *, drain: bool = False) -> bool:
    """Stop assigning work to the worker; with `drain` it also shuts down when idle. Return False if it does not exist."""
    workers = Worker.objects.filter(pk=worker_id)
    if workers.update(cordoned=True, cordon_reason=reason[:500], draining=drain, probe_at=None) != 1:
        return False
    audit.record(Act.WORKER_DRAINED if drain else Act.WORKER_CORDONED, worker_id, by, reason)
    return True


@transaction.atomic
def uncordon(worker_id: str, by: Actor) -> bool:
    """Assign work to the worker again. Return False if it does not exist."""
    workers = Worker.objects.filter(pk=worker_id)
    changes = {"probe_at": None, "sickness": 0, "trusted_since": Now()}
    if workers.update(cordoned=False, cordon_reason="", draining=False, **changes) != 1:
        return False
    audit.record(Act.WORKER_UNCORDONED, worker_id, by)
    dispatch_channel.notify_dispatchers()
    return True


@transaction.atomic
def remove(worker_id: str, by: Actor) -> None:
    """Remove the worker from the registry; its history stays. Raises Worker.DoesNotExist, HasOperation.

    An agent that is still alive registers again automatically.
    """
    worker = Worker.objects.select_for_update().get(pk=worker_id)
    if operations_port.operations().active_workers([worker_id]):
        raise HasOperation(
            f"{worker_id} has an active operation; drain the worker or cancel that operation first."
        )
    worker.delete()
    audit.record(Act.WORKER_REMOVED, worker_id, by)

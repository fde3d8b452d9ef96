"""What people do to workers: cordon, drain, remove."""

from django.db import transaction

from registry import hooks, notify
from registry.models import Worker


class StillWorks(Exception):
    """The worker has an operation; drain it, or cancel that first."""


def cordon(worker_id: str, reason: str = "", *, drain: bool = False) -> bool:
    """No new work for it; drained, it also leaves when idle. False where there is no such worker."""
    return (
        Worker.objects.filter(pk=worker_id).update(cordoned=True, cordon_reason=reason[:500], draining=drain)
        == 1
    )


@transaction.atomic
def uncordon(worker_id: str) -> bool:
    changed = (
        Worker.objects.filter(pk=worker_id).update(cordoned=False, cordon_reason="", draining=False) == 1
    )
    notify.dispatcher()
    return changed


@transaction.atomic
def remove(worker_id: str) -> None:
    """Takes the worker off the registry; its history stays. Raises Worker.DoesNotExist, StillWorks.

    An agent that still lives registers anew by itself.
    """
    worker = Worker.objects.select_for_update().get(pk=worker_id)
    if hooks.operations().works(worker_id):
        raise StillWorks(f"{worker_id} has an operation; drain it, or cancel that operation first.")
    worker.delete()

"""Workers that leave as planned: they shut down, or their enrolment token was revoked."""

from django.db import transaction

from registry import operations_port
from registry.models import Worker


def depart(worker_id: str, instance_id: str, reason: str) -> bool:
    """Remove this process of the worker, and end its active attempt now rather than after a minute.

    Return False if another process has the name meanwhile; that one stays.
    """
    port = operations_port.operations()
    port.mark_interrupted({worker_id: instance_id}, reason)
    with transaction.atomic():
        # Django deletes by the key what it selected before, so the lock keeps a new process from registering in between.
        row = Worker.objects.select_for_update().filter(pk=worker_id, instance_id=instance_id).first()
        if row is not None:
            row.delete()
    # A dispatcher may have claimed the worker when its attempt ended. Nothing else would end that one without a worker.
    port.mark_interrupted({worker_id: instance_id}, reason)
    return row is not None

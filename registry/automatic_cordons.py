"""Automatic cordons of workers that fail for reasons of their own, and the probes that end them.

A probe is one operation after a pause: the worker is uncordoned, and its next attempt decides. A success makes it
healthy, a failure cordons it again for twice as long. A person's cordon or uncordon replaces the automatic one.
"""

from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from registry import dispatch_channel
from registry.models import Worker

log = structlog.get_logger(__name__)

BY = Actor("health")
LONGEST_PAUSE_S = 3600.0
MAX_SICKNESS = 1000


def pause_s(sickness: int) -> float:
    """Return the pause before the probe after this many automatic cordons in a row."""
    return min(LONGEST_PAUSE_S, settings.SICK_PAUSE_S * 2.0 ** min(sickness, 20))


@transaction.atomic
def cordon(worker: Worker, reason: str) -> bool:
    """Cordon the worker until its probe. Return False if it was cordoned or replaced meanwhile."""
    pause = pause_s(worker.sickness)
    changed = Worker.objects.filter(
        pk=worker.pk, instance_id=worker.instance_id, cordoned=False, sickness=worker.sickness
    ).update(
        cordoned=True,
        cordon_reason=f"{reason} Tried again with one operation after {pause:.0f} s."[:500],
        probe_at=Now() + timedelta(seconds=pause),
        sickness=min(worker.sickness + 1, MAX_SICKNESS),
    )
    if changed != 1:
        return False
    audit.record(AuditEntry.Act.WORKER_CORDONED, worker.pk, BY, reason)
    log.warning("worker cordoned automatically", worker_id=worker.pk, reason=reason, pause_s=pause)
    return True


def release_due() -> list[str]:
    """Uncordon the workers whose pause is over, for their probe; return their ids."""
    released = []
    for worker_id in Worker.objects.filter(probe_at__lte=Now()).values_list("pk", flat=True):
        with transaction.atomic():
            due = Worker.objects.filter(pk=worker_id, probe_at__lte=Now())
            if due.update(cordoned=False, cordon_reason="", probe_at=None, trusted_since=Now()) != 1:
                continue
            audit.record(AuditEntry.Act.WORKER_UNCORDONED, worker_id, BY, "probe with one operation")
        log.info("worker gets one operation as a probe", worker_id=worker_id)
        released.append(worker_id)
    if released:
        dispatch_channel.notify_dispatchers()
    return released

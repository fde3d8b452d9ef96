"""A pause of dispatching, for maintenance: what runs goes on and is reported, what is submitted waits."""

from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from operations.models import DispatchPause
from operations.models.dispatch_pause import in_force
from registry.dispatch_channel import notify_dispatchers

MAX_HOURS = 24 * 365
SUBJECT = "dispatching"


def current() -> DispatchPause | None:
    """Return the pause that is in force."""
    return DispatchPause.objects.filter(in_force()).first()


def explain(pause: DispatchPause) -> str:
    """Return why an operation waits during the pause."""
    return f"Dispatching is paused by {pause.paused_by}: {pause.reason}"


def begin(actor: Actor, reason: str, hours: float | None = None) -> DispatchPause:
    """Start no operation from now on, for so many hours or until `end`. Replaces a pause that is in force."""
    with transaction.atomic():
        DispatchPause.objects.bulk_create(
            [DispatchPause(reason=reason, paused_by=actor.label)],
            update_conflicts=True,
            unique_fields=["number"],
            update_fields=["reason", "paused_by"],
        )
        ends_at = None if hours is None else Now() + timedelta(hours=hours)
        DispatchPause.objects.update(paused_at=Now(), ends_at=ends_at)
        audit.record(AuditEntry.Act.DISPATCHING_PAUSED, SUBJECT, actor, reason)
        return DispatchPause.objects.get()


def end(actor: Actor) -> bool:
    """Start operations again; return whether a pause was in force."""
    with transaction.atomic():
        ended = DispatchPause.objects.filter(in_force()).delete()[0]
        if ended:
            audit.record(AuditEntry.Act.DISPATCHING_RESUMED, SUBJECT, actor)
            notify_dispatchers()
    return bool(ended)

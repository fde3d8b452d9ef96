"""The audit trail: who did what to workers, tokens, data and notifications, and from where. Operations have events instead."""

from django.db.models import QuerySet

from access.actors import Actor
from access.models import AuditEntry

MAX_REASON = 1000


def record(act: AuditEntry.Act, subject: str, by: Actor, reason: str = "") -> None:
    """Append an entry. Call it in the transaction of the change it describes."""
    AuditEntry.objects.create(
        act=act,
        subject=subject,
        actor=by.label,
        user_id=by.user_id,
        address=by.address,
        reason=reason[:MAX_REASON],
    )


def entries_of_worker(worker_id: str, limit: int = 50) -> QuerySet[AuditEntry]:
    """Return a worker's entries, newest first. They outlive the worker."""
    rows = AuditEntry.objects.filter(subject=worker_id, act__startswith="worker_")
    return rows.order_by("-pk")[:limit]

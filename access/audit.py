"""The audit trail of what people do to workers, tokens, data and notifications: who, what, from where. Operations have their events."""

from django.db.models import QuerySet

from access.actors import Actor
from access.models import AuditEntry

MAX_REASON = 1000


def record(act: AuditEntry.Act, subject: str, by: Actor, reason: str = "") -> None:
    """In the transaction of what it tells of."""
    AuditEntry.objects.create(
        act=act,
        subject=subject,
        actor=by.label,
        user_id=by.user_id,
        address=by.address,
        reason=reason[:MAX_REASON],
    )


def of_worker(worker_id: str, limit: int = 50) -> QuerySet[AuditEntry]:
    """Newest first; kept when the worker is gone."""
    rows = AuditEntry.objects.filter(subject=worker_id, act__startswith="worker_")
    return rows.order_by("-pk")[:limit]

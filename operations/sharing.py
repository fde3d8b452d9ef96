"""Links at which people without an account read one result, until they expire, are revoked or lose their creator."""

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from operations.models import Operation, SharedLink
from operations.states import Status

MAX_DAYS = 365
DEFAULT_DAYS = 7
TOKEN_BYTES = 32


class NotShareable(Exception):
    """The operation has no result to read. The message is shown to users."""


def _digest(token: str) -> str:
    """Hash a token. SHA-256 is enough: its 256 random bits cannot be guessed from their hash."""
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def share(operation: Operation, days: int, by: Actor) -> str:
    """Create a link that expires after `days` and return its token, which cannot be read again.

    Raises NotShareable.
    """
    if operation.status != Status.COMPLETED or not operation.result:
        raise NotShareable("Only the result of a completed operation can be shared.")
    token = secrets.token_urlsafe(TOKEN_BYTES)
    link = SharedLink.objects.create(
        operation=operation,
        sha256=_digest(token),
        created_by_id=by.user_id,
        expires_at=Now() + timedelta(days=days),
    )
    audit.record(
        AuditEntry.Act.RESULT_SHARED, f"{operation.pk} link {link.pk}", by, f"expires after {days} days"
    )
    return token


@transaction.atomic
def revoke(operation: Operation, number: int, by: Actor) -> bool:
    """Revoke a link; return whether it was usable until now."""
    count = _usable().filter(operation=operation, pk=number).update(revoked_at=Now())
    if count:
        audit.record(AuditEntry.Act.RESULT_UNSHARED, f"{operation.pk} link {number}", by)
    return bool(count)


def usable_links(operation: Operation) -> QuerySet[SharedLink]:
    return _usable().filter(operation=operation).select_related("created_by")


def find_shared(token: str) -> Operation | None:
    """Return the operation of a usable link; None for any other, and for a deleted operation."""
    link = _usable().filter(sha256=_digest(token)).values("operation")
    return Operation.objects.filter(pk__in=link).first()


def _usable() -> QuerySet[SharedLink]:
    """Return the links that are neither revoked nor expired, and whose creator has not been deactivated or deleted."""
    return SharedLink.objects.filter(revoked_at=None, expires_at__gt=Now(), created_by__is_active=True)

"""Enrolment tokens of worker pools: issue, check, revoke. KTRDR_WORKER_TOKEN is valid in addition to them."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from registry import departures
from registry.models import EnrolmentToken, Worker

PREFIX = "kte_"
LAST_USE_RESOLUTION = timedelta(minutes=1)


class WrongPool(Exception):
    """The enrolment token is for other worker types."""


class Revoked(Exception):
    """The enrolment token was revoked."""


def digest(token: str) -> str:
    """Return the hash that is stored. Plain SHA-256 is enough for a token of 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def issue(
    name: str,
    worker_types: Sequence[str],
    by: Actor,
    user_id: int | None = None,
    operation_types: Sequence[str] = (),
) -> tuple[EnrolmentToken, str]:
    """Return the row and the token, which is not stored and cannot be read again.

    Tokens of one name are one pool (`registry.pools`).
    """
    token = PREFIX + secrets.token_urlsafe(32)
    row = EnrolmentToken.objects.create(
        name=name,
        worker_types=list(worker_types),
        operation_types=list(operation_types),
        sha256=digest(token),
        created_by_id=user_id,
    )
    audit.record(AuditEntry.Act.ENROLMENT_TOKEN_CREATED, name, by, ", ".join(worker_types) or "any type")
    return row, token


@transaction.atomic
def permit_operation_type(pool: str, operation_type: str, by: Actor) -> int:
    """Let the pool announce an operation type of another pool; return how many tokens of the pool changed."""
    changed = 0
    for token in EnrolmentToken.objects.select_for_update().filter(name=pool, revoked_at=None):
        if operation_type not in token.operation_types:
            token.operation_types = [*token.operation_types, operation_type]
            token.save(update_fields=["operation_types"])
            changed += 1
    if changed:
        audit.record(AuditEntry.Act.OPERATION_TYPE_PERMITTED, pool, by, operation_type)
    return changed


def find_valid(token: str) -> EnrolmentToken | None:
    """Return the row of a valid token. It is looked up by its hash, so the timing reveals nothing about existing tokens."""
    row = EnrolmentToken.objects.filter(sha256=digest(token), revoked_at=None).first()
    if row is not None:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=Now() - LAST_USE_RESOLUTION)
        EnrolmentToken.objects.filter(stale, pk=row.pk).update(last_used_at=Now())
    return row


def check_pool(token: EnrolmentToken | None, worker_type: str) -> None:
    """Check that the token may enrol this type. None is KTRDR_WORKER_TOKEN, which may enrol any. Raises WrongPool."""
    if token is not None and token.worker_types and worker_type not in token.worker_types:
        raise WrongPool(
            f"The enrolment token {token.name} is for {' and '.join(token.worker_types)} workers, not {worker_type}."
        )


def check_not_revoked(token: EnrolmentToken | None) -> None:
    """Check again after the worker was stored: a revocation in between may have missed that worker. Raises Revoked."""
    if token is not None and not EnrolmentToken.objects.filter(pk=token.pk, revoked_at=None).exists():
        raise Revoked(f"The enrolment token {token.name} was revoked.")


def revoke(token: EnrolmentToken, by: Actor) -> bool:
    """Revoke the token and remove its workers; their work goes to others. Return False if it was already revoked."""
    with transaction.atomic():
        rows = EnrolmentToken.objects.filter(pk=token.pk, revoked_at=None)
        if rows.update(revoked_at=Now()) != 1:
            return False
        audit.record(AuditEntry.Act.ENROLMENT_TOKEN_REVOKED, token.name, by)
    expel(token)
    return True


def expel(token: EnrolmentToken) -> None:
    """Remove the token's workers from the registry, which also invalidates their own tokens."""
    reason = f"the enrolment token {token.name} was revoked"
    enrolled = Worker.objects.filter(enrolled_with=token).order_by("pk")
    for worker_id, instance_id in enrolled.values_list("worker_id", "instance_id"):
        departures.depart(worker_id, instance_id, reason)

"""Enrolment tokens of worker pools: made, recognised, revoked. KTRDR_WORKER_TOKEN works beside them."""

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
from registry import hooks
from registry.models import EnrolmentToken, Worker

PREFIX = "kte_"
LAST_USE_RESOLUTION = timedelta(minutes=1)


class WrongPool(Exception):
    """The enrolment token is for other types of worker."""


class Revoked(Exception):
    """The enrolment token was revoked."""


def digest(token: str) -> str:
    """SHA-256 is enough: the token is 256 random bits, nobody guesses it from its hash."""
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def issue(
    name: str, worker_types: Sequence[str], by: Actor, user_id: int | None = None
) -> tuple[EnrolmentToken, str]:
    """The row, and the token, which can be read here and nowhere else."""
    token = PREFIX + secrets.token_urlsafe(32)
    row = EnrolmentToken.objects.create(
        name=name, worker_types=list(worker_types), sha256=digest(token), created_by_id=user_id
    )
    audit.record(AuditEntry.Act.ENROLMENT_TOKEN_CREATED, name, by, ", ".join(worker_types) or "any type")
    return row, token


def recognised(token: str) -> EnrolmentToken | None:
    """Looked up by its hash, so that the time it takes tells nothing of the tokens there are."""
    row = EnrolmentToken.objects.filter(sha256=digest(token), revoked_at=None).first()
    if row is not None:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=Now() - LAST_USE_RESOLUTION)
        EnrolmentToken.objects.filter(stale, pk=row.pk).update(last_used_at=Now())
    return row


def check_pool(token: EnrolmentToken | None, worker_type: str) -> None:
    """None is KTRDR_WORKER_TOKEN, which enrols any type. Raises WrongPool."""
    if token is not None and token.worker_types and worker_type not in token.worker_types:
        raise WrongPool(
            f"The enrolment token {token.name} is for {' and '.join(token.worker_types)} workers, not {worker_type}."
        )


def check_not_revoked(token: EnrolmentToken | None) -> None:
    """After the worker was entered: whoever revoked the token meanwhile may not have seen that worker. Raises Revoked."""
    if token is not None and not EnrolmentToken.objects.filter(pk=token.pk, revoked_at=None).exists():
        raise Revoked(f"The enrolment token {token.name} was revoked.")


def revoke(token: EnrolmentToken, by: Actor) -> bool:
    """At once: nobody enrols with it, and who did is off the registry; its work goes to others. False: it was already."""
    with transaction.atomic():
        rows = EnrolmentToken.objects.filter(pk=token.pk, revoked_at=None)
        if rows.update(revoked_at=Now()) != 1:
            return False
        audit.record(AuditEntry.Act.ENROLMENT_TOKEN_REVOKED, token.name, by)
    expel(token)
    return True


def expel(token: EnrolmentToken) -> None:
    """Its workers leave the registry, and with it the tokens by which they report are worth nothing."""
    reason = f"the enrolment token {token.name} was revoked"
    enrolled = dict(Worker.objects.filter(enrolled_with=token).values_list("worker_id", "instance_id"))
    hooks.operations().lost(enrolled, reason)
    for worker_id, instance_id in enrolled.items():
        Worker.objects.filter(pk=worker_id, instance_id=instance_id).delete()

"""Secrets of jobs: stored encrypted, granted per worker type, and read only by the attempt of a worker of that type."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from registry import encryption
from registry.encryption import Unreadable
from registry.models import WorkerSecret

LAST_READ_RESOLUTION = timedelta(minutes=1)


class NotGranted(Exception):
    """A secret does not exist, or the worker's type may not read it."""


@transaction.atomic
def save(
    name: str, value: str | None, worker_types: Sequence[str] | None, by: Actor
) -> tuple[WorkerSecret, bool]:
    """Create or change a secret; None keeps what is stored. Return the row and whether it is new.

    Raises WorkerSecret.DoesNotExist if the secret does not exist and `value` is None.
    """
    if value is not None:
        WorkerSecret.objects.bulk_create([WorkerSecret(name=name)], ignore_conflicts=True)
    secret = WorkerSecret.objects.select_for_update().get(pk=name)
    is_new = not secret.ciphertext
    if value is not None:
        secret.ciphertext = encryption.encrypt(value)
    if worker_types is not None:
        secret.worker_types = sorted(set(worker_types))
    secret.changed_by_id = by.user_id
    secret.changed_at = Now()
    secret.save()
    secret.refresh_from_db()
    act = AuditEntry.Act.SECRET_CREATED if is_new else AuditEntry.Act.SECRET_CHANGED
    audit.record(act, name, by, _describe(value is not None, secret.worker_types))
    return secret, is_new


def _describe(has_new_value: bool, worker_types: Sequence[str]) -> str:
    readers = f"for {', '.join(worker_types)} workers" if worker_types else "for no worker type"
    return f"{'new value' if has_new_value else 'same value'}, {readers}"


@transaction.atomic
def delete(name: str, by: Actor) -> bool:
    """Delete the secret. Return False if it does not exist."""
    deleted, _ = WorkerSecret.objects.filter(pk=name).delete()
    if deleted:
        audit.record(AuditEntry.Act.SECRET_DELETED, name, by)
    return bool(deleted)


def read(worker_type: str, names: Sequence[str]) -> dict[str, str]:
    """Return name -> value for a job of this worker type. Raises NotGranted, Unreadable.

    The error is the same for a secret that does not exist, so that a worker learns nothing about others.
    """
    granted: Mapping[str, str] = dict(
        WorkerSecret.objects.filter(pk__in=names, worker_types__contains=[worker_type]).values_list(
            "name", "ciphertext"
        )
    )
    if missing := sorted(set(names) - granted.keys()):
        raise NotGranted(
            f"No secret {missing[0]} is granted to workers of type {worker_type}. Staff store and grant secrets on the "
            f"page Secrets, or with manage.py set_secret {missing[0]} --worker-type {worker_type}."
        )
    values = {name: encryption.decrypt(granted[name]) for name in names}
    stale = Q(last_read_at=None) | Q(last_read_at__lt=Now() - LAST_READ_RESOLUTION)
    WorkerSecret.objects.filter(stale, pk__in=names).update(last_read_at=Now())
    return values


def unreadable() -> list[str]:
    """Return the names of the secrets that none of the site's secret keys decrypts."""
    rows = WorkerSecret.objects.values_list("name", "ciphertext")
    return [name for name, ciphertext in rows if not encryption.is_readable(ciphertext)]


def encrypt_all_again() -> tuple[int, list[str]]:
    """Encrypt all secrets with the current secret key. Return how many, and the names of those that are unreadable."""
    changed, failed = 0, []
    for name, ciphertext in WorkerSecret.objects.values_list("name", "ciphertext"):
        try:
            again = encryption.encrypt_again(ciphertext)
        except Unreadable:
            failed.append(name)
            continue
        # A value that was changed meanwhile is encrypted with the current key already.
        changed += WorkerSecret.objects.filter(pk=name, ciphertext=ciphertext).update(ciphertext=again)
    return changed, failed

"""Shared by the health sweep and the cleanup: only one runs at a time, each leaves a row, and both know when to hold back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from registry.models import Sweep

LOCKS = {Sweep.Kind.HEALTH: 0x6B74_6873, Sweep.Kind.CLEANUP: 0x6B74_636C}
"""Advisory locks: 'kths' and 'ktcl'."""
OUTAGE_S = 60.0
RETENTION = timedelta(days=1)


@contextmanager
def exclusive(kind: Sweep.Kind) -> Iterator[bool]:
    """Yield whether this process holds the lock. If another one does, a doubled or late task is harmless.

    The lock belongs to the session, not to a transaction, because no transaction may be open during calls to workers.
    The server releases it when the connection dies.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCKS[kind]])
        (acquired,) = cursor.fetchone() or (False,)
    if not acquired:
        yield False
        return
    try:
        yield True
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCKS[kind]])


@contextmanager
def pause(kind: Sweep.Kind) -> Iterator[None]:
    """Wait for a running round to end; no other starts until the context is left."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCKS[kind]])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCKS[kind]])


def were_interrupted() -> bool:
    """Return whether no health sweep has completed for a minute: then the outage was ours, and no worker is marked lost."""
    outage_s = 6 * settings.HEALTH_INTERVAL_S
    if settings.HEALTH_INTERVAL_S >= 10:
        outage_s = max(OUTAGE_S, outage_s)
    recent = Now() - timedelta(seconds=outage_s)
    return not Sweep.objects.filter(kind=Sweep.Kind.HEALTH, completed_at__gte=recent).exists()


def is_mass_failure(gone: int, total: int) -> bool:
    """Return whether at least half of three or more workers are gone: more likely our network failed than theirs."""
    return total >= 3 and 2 * gone >= total


def prune() -> int:
    """Delete rows older than a day; keep the newest of each kind, from which the age of the last sweep is read."""
    newest = [
        pk
        for kind in Sweep.Kind
        if (
            pk := Sweep.objects.filter(kind=kind)
            .order_by("-completed_at")
            .values_list("pk", flat=True)
            .first()
        )
    ]
    removed, _ = Sweep.objects.filter(started_at__lt=Now() - RETENTION).exclude(pk__in=newest).delete()
    return removed

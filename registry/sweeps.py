"""What the health sweep and the cleanup share: one at a time, a row each, and when to hold back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from registry.models import Sweep

LOCKS = {Sweep.Kind.HEALTH: 0x6B74_6873, Sweep.Kind.CLEANUP: 0x6B74_636C}
"""'kths', 'ktcl': advisory locks."""
AWAY_S = 60.0
KEPT = timedelta(days=1)


@contextmanager
def alone(kind: Sweep.Kind) -> Iterator[bool]:
    """False where another process is at it: a doubled or late task is harmless.

    The lock belongs to the session, not to a transaction: none may be open across the calls to workers. The
    server lets go of it when the connection dies.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCKS[kind]])
        (mine,) = cursor.fetchone() or (False,)
    if not mine:
        yield False
        return
    try:
        yield True
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCKS[kind]])


@contextmanager
def paused(kind: Sweep.Kind) -> Iterator[None]:
    """Waits for a round that is under way; none begins until this is over."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCKS[kind]])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCKS[kind]])


def were_away() -> bool:
    """Whether no health sweep has completed for a minute: it was we who were gone, so nobody is called lost now."""
    away = (
        max(AWAY_S, 6 * settings.HEALTH_INTERVAL_S)
        if settings.HEALTH_INTERVAL_S >= 10
        else 6 * settings.HEALTH_INTERVAL_S
    )
    recent = Now() - timedelta(seconds=away)
    return not Sweep.objects.filter(kind=Sweep.Kind.HEALTH, completed_at__gte=recent).exists()


def held_back(gone: int, among: int) -> bool:
    """At least half of three or more at once: more likely our own network than theirs."""
    return among >= 3 and 2 * gone >= among


def prune() -> int:
    """Rows older than a day; the newest of each kind tells the age and stays."""
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
    removed, _ = Sweep.objects.filter(started_at__lt=Now() - KEPT).exclude(pk__in=newest).delete()
    return removed

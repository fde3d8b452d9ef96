"""Shared by the health sweep and the cleanup: only one runs at a time, each leaves a row, and both know when to hold back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from registry.models import Sweep

log = structlog.get_logger(__name__)

_END_SILENT = """
    -- Materialized: the planner must not end a session before it has checked whose it is.
    WITH silent AS MATERIALIZED (
        SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND classid = 0 AND objid::bigint = %s AND objsubid = 1 AND granted
          AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND abs(extract(epoch FROM clock_timestamp() - state_change)) > %s
    )
    SELECT pid, pg_terminate_backend(pid) FROM silent
"""
LOCKS = {Sweep.Kind.HEALTH: 0x6B74_6873, Sweep.Kind.CLEANUP: 0x6B74_636C}
"""Advisory locks: 'kths' and 'ktcl'."""
MAX_FILE_WORK_S = 600.0
"""The longest time that the cleanup removes files without a statement in between."""
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
        _end_frozen_holder(kind)
        yield False
        return
    try:
        yield True
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCKS[kind]])


def _end_frozen_holder(kind: Sweep.Kind) -> None:
    """End the session that has held the lock in silence for too long; the next round then gets the lock.

    A frozen process (SIGSTOP, a paused machine) keeps its session. When it thaws, its writes fail, so it does no harm.
    """
    with connection.cursor() as cursor:
        cursor.execute(_END_SILENT, [LOCKS[kind], _max_silence_s(kind)])
        ended = [pid for pid, _ in cursor.fetchall()]
    if ended:
        log.warning("ended the session of a frozen sweep", kind=kind, pid=ended[0])


def _max_silence_s(kind: Sweep.Kind) -> float:
    """Return how long the holder may go without a statement, because it calls workers or removes files."""
    return max(45.0, 8 * settings.HEALTH_TIMEOUT_S) if kind is Sweep.Kind.HEALTH else MAX_FILE_WORK_S


def were_interrupted() -> bool:
    """Return whether no health sweep has completed for a minute: then the outage was ours, and no worker is marked lost."""
    outage_s = 6 * settings.HEALTH_INTERVAL_S
    if settings.HEALTH_INTERVAL_S >= 10:
        outage_s = max(OUTAGE_S, outage_s)
    outage = timedelta(seconds=outage_s)
    # A row of the future is from before the clock was set back, and proves nothing.
    recent = Sweep.objects.filter(
        kind=Sweep.Kind.HEALTH, completed_at__gte=Now() - outage, completed_at__lte=Now() + outage
    )
    return not recent.exists()


def is_mass_failure(gone: int, total: int) -> bool:
    """Return whether at least half of three or more workers are gone: more likely our network failed than theirs."""
    return total >= 3 and 2 * gone >= total


def prune() -> int:
    """Delete rows older than a day; keep the newest of each kind, from which the age of the last sweep is read."""
    newest = [
        pk
        for kind in Sweep.Kind
        if (
            pk := Sweep.objects.filter(kind=kind, completed_at__isnull=False)
            .order_by("-pk")
            .values_list("pk", flat=True)
            .first()
        )
    ]
    removed, _ = Sweep.objects.filter(started_at__lt=Now() - RETENTION).exclude(pk__in=newest).delete()
    return removed

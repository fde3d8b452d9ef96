"""A pause of dispatching, for maintenance: what runs goes on and is reported, what is submitted waits.

A read-only pause also refuses every change that people, programs and workers request, and the site's own processes make
none. Workers keep their reports until it ends.
"""

import time
from datetime import timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from access.prepared import fetch
from operations.models import DispatchPause
from operations.models.dispatch_pause import in_force
from registry.dispatch_channel import notify_dispatchers

MAX_HOURS = 24 * 365
SUBJECT = "dispatching"
NOTICED_AFTER_S = 2.0
"""Every process asks for the pause at least this often."""
QUIET_POLL_S = 0.1
_WRITERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL
      AND xact_start < (SELECT paused_at FROM operations_dispatchpause) + %s * interval '1 second'
"""
"""Transactions that have written and began before every process had noticed the pause."""
_READ_ONLY = """
    SELECT 1 FROM operations_dispatchpause WHERE read_only AND (ends_at IS NULL OR ends_at > statement_timestamp())
"""


def current() -> DispatchPause | None:
    """Return the pause that is in force."""
    return DispatchPause.objects.filter(in_force()).first()


def is_read_only() -> bool:
    return bool(fetch(_READ_ONLY, {}))


def explain(pause: DispatchPause) -> str:
    """Return why an operation waits during the pause."""
    return f"Dispatching is paused by {pause.paused_by}: {pause.reason}"


def begin(actor: Actor, reason: str, hours: float | None = None, *, read_only: bool = False) -> DispatchPause:
    """Start no operation from now on, for so many hours or until `end`. Replaces a pause that is in force."""
    with transaction.atomic():
        DispatchPause.objects.bulk_create(
            [DispatchPause(reason=reason, paused_by=actor.label, read_only=read_only)],
            update_conflicts=True,
            unique_fields=["number"],
            update_fields=["reason", "paused_by", "read_only"],
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


def wait_until_quiet(timeout_s: float) -> bool:
    """Wait for the transactions that were writing when the read-only pause began; return whether all ended in time."""
    until = time.monotonic() + timeout_s
    time.sleep(NOTICED_AFTER_S)
    while _writers():
        if time.monotonic() > until:
            return False
        time.sleep(QUIET_POLL_S)
    return True


def _writers() -> int:
    with connection.cursor() as cursor:
        cursor.execute(_WRITERS, [NOTICED_AFTER_S])
        return int(cursor.fetchone()[0])

"""Liveness of dispatchers: each holds a shared advisory lock in its own session, which ends with its process.

The session runs a statement between rounds, at most once a second, which distinguishes a hanging process from a working one.
"""

from django.db import connection

LOCK_KEY = 0x6B74_7264_7264_6973
"""Key of the advisory lock: the bytes of `ktrdrdis`."""
SILENT_AFTER_S = 15

_SESSIONS = """
    SELECT extract(epoch FROM clock_timestamp() - state_change)
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted
      AND classid::bigint = %s AND objid::bigint = %s AND pg_locks.database = (
          SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY 1
"""


def silences_s() -> list[float]:
    """Return the seconds since each dispatcher's last statement by the database's clock, shortest first."""
    with connection.cursor() as cursor:
        cursor.execute(_SESSIONS, [LOCK_KEY >> 32, LOCK_KEY & 0xFFFFFFFF])
        return [max(0.0, float(silence)) for (silence,) in cursor.fetchall()]


def dispatchers_alive() -> int:
    """Return the number of dispatchers that have completed a round recently."""
    return sum(silence < SILENT_AFTER_S for silence in silences_s())

"""Which dispatchers live: each holds a shared advisory lock for as long as its connection lasts."""

from django.db import connection

LOCK = 0x6B74_6470
"""'ktdp': the advisory lock's number."""


def begin() -> None:
    """Called once by a dispatcher, on the connection that it keeps."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s)", [LOCK])


def dispatchers_alive() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [LOCK],
        )
        row = cursor.fetchone()
    return int(row[0]) if row else 0

"""Wakes the dispatchers when the current transaction commits."""

from django.db import connection

CHANNEL = "ktrdr_dispatch"


def notify_dispatchers() -> None:
    """Notify the dispatchers that there may be work: an operation was submitted, or a worker became free."""
    with connection.cursor() as cursor:
        # PostgreSQL delivers a NOTIFY at commit and merges duplicates within one transaction.
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])

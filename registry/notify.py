"""Wakes the dispatchers, when the current transaction commits."""

from django.db import connection

CHANNEL = "ktrdr_dispatch"


def dispatcher() -> None:
    """There may be something to dispatch: an operation was submitted, or a worker became free."""
    with connection.cursor() as cursor:
        # PostgreSQL itself keeps a NOTIFY until the commit, and folds repeats within one transaction.
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])

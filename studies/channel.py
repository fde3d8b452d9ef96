"""Wakes `run_studies` when the current transaction commits."""

from django.db import connection

CHANNEL = "ktrdr_studies"


def notify_studies() -> None:
    """Notify `run_studies` that a study may advance."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def wait_for_change(timeout_s: float) -> bool:
    """Listen on this thread's connection until a notification or the timeout; return whether one arrived."""
    with connection.cursor() as cursor:
        cursor.execute(f'LISTEN "{CHANNEL}"')
    assert connection.connection is not None
    with connection.wrap_database_errors:
        return any(True for _ in connection.connection.notifies(timeout=timeout_s, stop_after=1))

"""Wakes the dispatchers when the current transaction commits."""

from access.prepared import fetch

CHANNEL = "ktrdr_dispatch"


def notify_dispatchers() -> None:
    """Notify the dispatchers that there may be work: an operation was submitted, or a worker became free."""
    # PostgreSQL delivers a NOTIFY at commit and merges duplicates within one transaction.
    fetch("SELECT pg_notify(%(channel)s, '')", {"channel": CHANNEL})

"""Clocks that disagree. No decision depends on them, but logs and pages become misleading."""

import time
from collections.abc import Iterator
from datetime import datetime

from django.db import connection

from ktrdr_site.doctor.finding import Finding, warning

TOLERANCE_S = 5.0
"""A Date header has whole seconds, and the response took time to arrive."""
REMEDY = "Synchronize both clocks (chrony, systemd-timesyncd) and check their time zones."


def now_s() -> float:
    return time.time()


def database_clock() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        (database_s,) = cursor.fetchone()
    yield from _compare("database clock", "The database's clock", database_s - now_s())


def worker_clock(worker_id: str, date: datetime) -> Iterator[Finding]:
    yield from _compare("workers", f"The clock of {worker_id}", date.timestamp() - now_s())


def _compare(check: str, clock: str, ahead_s: float) -> Iterator[Finding]:
    if abs(ahead_s) > TOLERANCE_S:
        side = "ahead of" if ahead_s > 0 else "behind"
        yield warning(check, f"{clock} is {abs(ahead_s):.0f} s {side} this machine's.", REMEDY)

"""Clocks that disagree. Nothing is decided by them, but logs and pages then tell a wrong story."""

import time
from collections.abc import Iterator
from datetime import datetime

from django.db import connection

from ktrdr_site.doctor.finding import Finding, warning

TOLERANCE_S = 5.0
"""An answer's Date header has whole seconds, and the answer was on its way."""
REMEDY = "Let both machines keep time (chrony, systemd-timesyncd), and look at their time zones."


def now_s() -> float:
    return time.time()


def of_database() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        (theirs,) = cursor.fetchone()
    yield from disagreement("database clock", "The database's clock", theirs - now_s())


def of_answer(worker_id: str, date: datetime) -> Iterator[Finding]:
    yield from disagreement("workers", f"The clock of {worker_id}", date.timestamp() - now_s())


def disagreement(check: str, whose: str, ahead_s: float) -> Iterator[Finding]:
    if abs(ahead_s) > TOLERANCE_S:
        side = "ahead of" if ahead_s > 0 else "behind"
        yield warning(check, f"{whose} is {abs(ahead_s):.0f} s {side} this machine's.", REMEDY)

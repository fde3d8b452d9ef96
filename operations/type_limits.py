"""Limits that workers declare for their operation types: time of an attempt, number of attempts, and slots.

Of several worker types that run one operation type, the most generous time and number of attempts count, and the
smallest number of slots.
"""

from collections.abc import Collection
from dataclasses import dataclass
from math import inf

from django.db import connection

from access.prepared import fetch
from operations.models import Operation
from operations.states import ACTIVE

LOCK_KEY = 0x6B74_736C
"""First key of the advisory lock of a type: the bytes of `ktsl`."""
DECLARED = """
    SELECT operation_type, max(timeout_s) AS timeout_s, max(max_attempts) AS max_attempts, min(max_running) AS max_running
    FROM registry_capability GROUP BY operation_type
"""
"""Query for the limits of each announced type, as a part of others."""
_DECLARED = f"SELECT * FROM ({DECLARED}) AS declared WHERE operation_type = ANY(%(operation_types)s::text[])"  # noqa: S608  (constants)
SLOTS = "SELECT min(max_running) FROM registry_capability WHERE operation_type = {operation_type}"
"""Query for the slots of a type, as a part of others; NULL without a limit."""


@dataclass(frozen=True, slots=True)
class Limits:
    """None where nothing is declared."""

    timeout_s: int | None = None
    max_attempts: int | None = None
    max_running: int | None = None


def read_limits(operation_types: Collection[str]) -> dict[str, Limits]:
    """Return the limits of each type, also of one that no worker has announced."""
    rows = fetch(_DECLARED, {"operation_types": list(operation_types)})
    declared = {operation_type: Limits(*values) for operation_type, *values in rows}
    return {operation_type: declared.get(operation_type, Limits()) for operation_type in operation_types}


def read_slots(operation_type: str) -> int | None:
    """Return how many operations of the type may run at the same time; None without a limit."""
    return read_limits([operation_type])[operation_type].max_running


def running_room(operation_type: str, slots: int | None) -> float:
    """Return how many more operations of the type may run; the answer holds until the transaction ends."""
    if slots is None:
        return inf
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [LOCK_KEY, operation_type])
    return max(0, slots - count_running(operation_type))


def count_running(operation_type: str) -> int:
    return Operation.objects.filter(status__in=ACTIVE, operation_type=operation_type).count()


def explain_type(operation_type: str) -> str:
    """Return why no more operations of the type may run now; empty if they may."""
    return explain(operation_type, read_slots(operation_type))


def explain(operation_type: str, max_running: int | None) -> str:
    """Return the explanation for a type with so many slots."""
    if max_running is None or count_running(operation_type) < max_running:
        return ""
    return f"{max_running:,} operations of type {operation_type} are running, as many as its workers declare"

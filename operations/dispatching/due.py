"""Reads with one statement what a round has to do: after most notifications it is little or nothing."""

from dataclasses import dataclass

from access.prepared import fetch
from operations.dispatching.admission import IS_ANYTHING_DUE
from operations.dispatching.lanes import READY_CONDITION

_DUE = f"""
    SELECT EXISTS (SELECT FROM operations_attempt WHERE contact_after <= statement_timestamp() AND ended_at IS NULL),
           {IS_ANYTHING_DUE},
           EXISTS (SELECT FROM operations_operation WHERE {READY_CONDITION})
"""  # noqa: S608  (constants)


@dataclass(frozen=True, slots=True)
class Due:
    """What there is at the moment of the statement; whatever is committed later notifies the dispatchers again."""

    has_follow_ups: bool
    has_admissions: bool
    """Operations that wait for admission to the queue."""
    has_ready: bool
    """Operations that can be claimed if a worker is free."""


def read_due() -> Due:
    ((has_follow_ups, has_admissions, has_ready),) = fetch(_DUE, {})
    return Due(has_follow_ups, has_admissions, has_ready)

"""The state machine of an operation, as a table.

    PENDING ──claim──> DISPATCHING ──worker accepted──> RUNNING ──> COMPLETED
       ^                    │                              ├─────> FAILED
       │<──rejected, lost───┴──────────lost────────────────┤
       │                                                   └─────> CANCELLING ──> CANCELLED
       └──retry, resume── FAILED, CANCELLED

A report may arrive before the dispatcher has recorded the acceptance, so DISPATCHING may end directly. Cancelling a
PENDING operation ends it immediately. Cancel wins: a job that finishes while CANCELLING ends as CANCELLED, and its
outputs are kept.
"""

from enum import StrEnum


class Status(StrEnum):
    PENDING = "PENDING"
    DISPATCHING = "DISPATCHING"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


ACTIVE = frozenset({Status.DISPATCHING, Status.RUNNING, Status.CANCELLING})
"""A worker has the operation, or may have it: exactly these statuses have an attempt without an end."""

FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.DISPATCHING, Status.CANCELLED, Status.FAILED}),
    Status.DISPATCHING: frozenset(
        {Status.PENDING, Status.RUNNING, Status.CANCELLING, Status.COMPLETED, Status.FAILED, Status.CANCELLED}
    ),
    Status.RUNNING: frozenset(
        {Status.PENDING, Status.CANCELLING, Status.COMPLETED, Status.FAILED, Status.CANCELLED}
    ),
    Status.CANCELLING: frozenset({Status.CANCELLED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset({Status.PENDING}),
    Status.CANCELLED: frozenset({Status.PENDING}),
}


def sources(target: Status) -> frozenset[Status]:
    """Return the statuses from which `target` can be reached."""
    return frozenset(source for source, targets in TRANSITIONS.items() if target in targets)

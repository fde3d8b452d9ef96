"""The state machine of a study, as a table.

    RUNNING <──pause, resume──> PAUSED
       │  ^                       │
       │  └──────extend───────────┼──── COMPLETED
       v                          v       ^
    REPORTING ────────────────────┴───────┘

Any live study may become CANCELLED or FAILED. A report that fails pauses the study; resuming it tries the report again.
"""

from enum import StrEnum


class StudyStatus(StrEnum):
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    REPORTING = "REPORTING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


WORKING = frozenset({StudyStatus.RUNNING, StudyStatus.REPORTING})
"""`run_studies` advances them."""
LIVE = WORKING | {StudyStatus.PAUSED}

TRANSITIONS: dict[StudyStatus, frozenset[StudyStatus]] = {
    StudyStatus.RUNNING: frozenset(
        {StudyStatus.PAUSED, StudyStatus.REPORTING, StudyStatus.CANCELLED, StudyStatus.FAILED}
    ),
    StudyStatus.PAUSED: frozenset({StudyStatus.RUNNING, StudyStatus.CANCELLED, StudyStatus.FAILED}),
    StudyStatus.REPORTING: frozenset(
        {StudyStatus.COMPLETED, StudyStatus.PAUSED, StudyStatus.CANCELLED, StudyStatus.FAILED}
    ),
    StudyStatus.COMPLETED: frozenset({StudyStatus.RUNNING, StudyStatus.REPORTING}),
    StudyStatus.FAILED: frozenset(),
    StudyStatus.CANCELLED: frozenset(),
}

"""What `manage.py doctor` says: a sentence about what is wrong, and one about what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    PROBLEM = "problem"
    """Something does not work, or is open to others."""
    WARNING = "warning"
    """It works, and will not for ever."""


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    severity: Severity
    problem: str
    remedy: str


def problem(check: str, what: str, remedy: str) -> Finding:
    return Finding(check, Severity.PROBLEM, what, remedy)


def warning(check: str, what: str, remedy: str) -> Finding:
    return Finding(check, Severity.WARNING, what, remedy)

"""One result of `manage.py doctor`: a sentence about the problem and one about its remedy."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    PROBLEM = "problem"
    """Something does not work or is insecure."""
    WARNING = "warning"
    """It works now but needs attention."""


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    severity: Severity
    problem: str
    remedy: str


def problem(check: str, text: str, remedy: str) -> Finding:
    return Finding(check, Severity.PROBLEM, text, remedy)


def warning(check: str, text: str, remedy: str) -> Finding:
    return Finding(check, Severity.WARNING, text, remedy)

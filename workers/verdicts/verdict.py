"""The verdict on a result: one sentence before its figures."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Verdict:
    level: str
    """good, warn or bad: the colour of the box"""
    title: str
    sentence: str


def warning_codes(result: dict[str, Any]) -> set[str]:
    """Return the codes of the warnings; those of old results are text only."""
    return {str(warning.get("code")) for warning in result.get("warnings") or [] if isinstance(warning, dict)}

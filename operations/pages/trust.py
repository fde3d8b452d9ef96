"""What a result says about itself: warnings, and the audits that it passed or failed."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class AuditLine:
    text: str
    is_good: bool


def warnings_of(result: dict[str, Any]) -> list[str]:
    """Warnings as sentences, whether the worker wrote them as text or with a code beside."""
    found = []
    for warning in result.get("warnings") or []:
        found.append(
            str(warning.get("message") or warning.get("text") or warning)
            if isinstance(warning, dict)
            else str(warning)
        )
    return found


def audit_lines(result: dict[str, Any]) -> list[AuditLine]:
    """The audits one a line; a part without a verdict is a figure and no trouble."""
    audit = result.get("audit")
    if not isinstance(audit, dict):
        return []
    lines = []
    for name, value in audit.items():
        readable = name.replace("_", " ")
        if isinstance(value, bool):
            lines.append(AuditLine(f"{readable}: {'yes' if value else 'no'}", value))
        elif isinstance(value, dict):
            passed = value.get("passed", value.get("ok"))
            rest = ", ".join(
                f"{key.replace('_', ' ')} {inner}"
                for key, inner in value.items()
                if key not in ("passed", "ok") and isinstance(inner, int | float | str)
            )
            lines.append(AuditLine(f"Audit of {readable}: {rest or 'passed'}", passed is not False))
        elif isinstance(value, int | float | str):
            lines.append(AuditLine(f"{readable}: {value}", True))
    return lines

"""What a result says about itself: warnings, and the audits that it passed or failed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from operations.presentation.numbers import signed_percent


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
    """What was tried on the result, one sentence each; what is not known here is shown as it came."""
    audit = result.get("audit")
    if not isinstance(audit, dict):
        return []
    lines: list[AuditLine] = []
    for name, value in audit.items():
        lines += _KNOWN.get(name, _other(name))(value)
    return lines


def _look_ahead(value: Any) -> list[AuditLine]:
    if not isinstance(value, dict):
        return _other("look_ahead")(value)
    cuts = (value.get("cuts") or 0) + ((value.get("features") or {}).get("cuts") or 0)
    if value.get("passed", value.get("ok")) is False:
        return [AuditLine("It changes when only later bars change: it sees the future.", False)]
    return [AuditLine(f"Computed again with the future cut off at {cuts} bars: nothing changed.", True)]


STRESSES = {"doubled_costs": "With doubled costs", "one_bar_later": "With every decision one bar later"}


def _sensitivity(value: Any) -> list[AuditLine]:
    runs = value if isinstance(value, dict) else {}
    return [
        AuditLine(f"{words}: {signed_percent(run.get('total_return'))}", (run.get("total_return") or 0) > 0)
        for name, words in STRESSES.items()
        if isinstance(run := runs.get(name), dict)
    ]


def _other(name: str) -> Callable[[Any], list[AuditLine]]:
    def line(value: Any) -> list[AuditLine]:
        readable = name.replace("_", " ").capitalize()
        if isinstance(value, bool):
            return [AuditLine(f"{readable}: {'yes' if value else 'no'}", value)]
        if isinstance(value, int | float | str):
            return [AuditLine(f"{readable}: {value}", True)]
        passed = not isinstance(value, dict) or value.get("passed", value.get("ok")) is not False
        return [AuditLine(f"{readable}: {'passed' if passed else 'failed'}", passed)]

    return line


_KNOWN: dict[str, Callable[[Any], list[AuditLine]]] = {"look_ahead": _look_ahead, "sensitivity": _sensitivity}

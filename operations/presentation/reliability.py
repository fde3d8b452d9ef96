"""Warnings and audits of a result, as sentences."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from operations.presentation.numbers import signed_percent


@dataclass(frozen=True, slots=True)
class AuditLine:
    text: str
    is_good: bool


def warnings_of(result: dict[str, Any]) -> list[str]:
    """Return warnings as sentences, whether the worker stored them as text or as objects."""
    return [
        str(warning.get("message") or warning.get("text") or warning)
        if isinstance(warning, dict)
        else str(warning)
        for warning in result.get("warnings") or []
    ]


def audit_lines(result: dict[str, Any]) -> list[AuditLine]:
    """Return a sentence for each audit of the result; unknown audits are shown generically."""
    audit = result.get("audit")
    if not isinstance(audit, dict):
        return []
    lines: list[AuditLine] = []
    for name, value in audit.items():
        lines += AUDITS.get(name, _other(name))(value)
    return lines


def _look_ahead(value: Any) -> list[AuditLine]:
    if not isinstance(value, dict):
        return _other("look_ahead")(value)
    cuts = (value.get("cuts") or 0) + ((value.get("features") or {}).get("cuts") or 0)
    if value.get("passed", value.get("ok")) is False:
        return [AuditLine("Look-ahead check: failed. Results depend on future bars.", False)]
    return [AuditLine(f"Look-ahead check: passed ({cuts} cut points).", True)]


STRESSES = {"doubled_costs": "With doubled costs", "one_bar_later": "With decisions delayed by one bar"}


def _sensitivity(value: Any) -> list[AuditLine]:
    runs = value if isinstance(value, dict) else {}
    return [
        AuditLine(f"{words}: {signed_percent(run.get('total_return'))}", (run.get("total_return") or 0) > 0)
        for name, words in STRESSES.items()
        if isinstance(run := runs.get(name), dict)
    ]


def _other(name: str) -> Callable[[Any], list[AuditLine]]:
    def line(value: Any) -> list[AuditLine]:
        title = name.replace("_", " ").capitalize()
        if isinstance(value, bool):
            return [AuditLine(f"{title}: {'yes' if value else 'no'}", value)]
        if isinstance(value, int | float | str):
            return [AuditLine(f"{title}: {value}", True)]
        passed = not isinstance(value, dict) or value.get("passed", value.get("ok")) is not False
        return [AuditLine(f"{title}: {'passed' if passed else 'failed'}", passed)]

    return line


AUDITS: dict[str, Callable[[Any], list[AuditLine]]] = {"look_ahead": _look_ahead, "sensitivity": _sensitivity}

"""Separates the kept reports of a registration that can be read from those that cannot.

A worker repeats at each registration what the backend has not acknowledged. One report that nobody can read must not
keep the worker from registering: it fails its operation instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, ValidationError

from access.problems import Invalid, validate
from worker_agent.protocol import Attempt, FinishedOperation, Identifier, Message, Registration, Secret
from worker_agent.values import escape

FIELD = "completed_operations"
MAX_PROBLEM = 300


@dataclass(frozen=True, slots=True)
class UnreadableReport:
    operation_id: str
    attempt: int
    attempt_secret: str
    problem: str
    """Where the report is invalid, and why."""


class _ReportHeader(Message):
    attempt: Attempt
    attempt_secret: Secret = ""

    model_config = ConfigDict(extra="ignore")


class _Header(Message):
    """The parts of a kept report that identify it."""

    operation_id: Identifier
    report: _ReportHeader


def parse(data: Mapping[str, Any]) -> tuple[Registration, tuple[UnreadableReport, ...]]:
    """Return the registration without its unreadable reports, and those. Raises Invalid.

    A report that does not even name its operation and attempt is dropped.
    """
    kept = data.get(FIELD)
    if not isinstance(kept, list):
        return validate(Registration, data), ()
    readable: list[FinishedOperation] = []
    unreadable: list[UnreadableReport] = []
    for raw in kept:
        try:
            readable.append(validate(FinishedOperation, raw))
        except Invalid as problem:
            if (header := _read_header(raw)) is not None:
                text = "; ".join(f"{error['pointer']}: {error['detail']}" for error in problem.errors)
                unreadable.append(
                    UnreadableReport(
                        header.operation_id,
                        header.report.attempt,
                        header.report.attempt_secret,
                        escape(text)[:MAX_PROBLEM],
                    )
                )
    return validate(Registration, {**data, FIELD: readable}), tuple(unreadable)


def _read_header(raw: Any) -> _Header | None:
    try:
        return _Header.model_validate(raw)
    except ValidationError:
        return None

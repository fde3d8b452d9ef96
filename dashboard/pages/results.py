"""The context of a result: its figures, and the parts of its report."""

from typing import Any

import structlog

from operations import replaced_bars
from operations.kind import Kind
from operations.models import Operation
from operations.presentation import stored_reports
from operations.registered_kinds import kind_of
from operations.states import Status

logger = structlog.get_logger(__name__)


def result_context(operation: Operation) -> dict[str, Any]:
    """Return the context of the kind's `result_template`, which is part of it."""
    # The result of an operation that was cancelled or failed has only the values of that time.
    kind = kind_of(operation.operation_type) if operation.status == Status.COMPLETED else Kind()
    return {
        "result_facts": flatten(operation.result or {}),
        "result_values": kind_of(operation.operation_type).shown_values(operation.result or {}),
        "result_template": kind.result_template,
        "changed_bars": replaced_bars.bars_changed_since(operation) if kind.is_run else [],
        **kind.result_context(operation),
        **(_report_context(operation, kind) if kind.has_report else {}),
    }


def _report_context(operation: Operation, kind: Kind) -> dict[str, Any]:
    """Build the parts of the page from the report; if it is missing or broken, show the reason instead."""
    provenance = {"provenance": flatten((operation.result or {}).get("provenance") or {})}
    try:
        return {**provenance, **kind.report_context(operation, stored_reports.read(operation))}
    except stored_reports.ReportUnavailableError as error:
        return {**provenance, "report_missing": str(error)}
    except stored_reports.UNKNOWN_FORMAT as error:
        logger.exception("report could not be rendered", operation_id=operation.pk)
        return {
            **provenance,
            "report_missing": f"It has an unknown format ({type(error).__name__}: {error}).",
        }


def flatten(data: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Flatten nested values into a list of (dotted name, value)."""
    items: list[tuple[str, Any]] = []
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            items += flatten(value, f"{name}.")
        else:
            items.append((name, value))
    return items

"""Reads `report.json` of operations, as stored by their workers."""

import json
from typing import Any

import structlog

from operations import artifacts
from operations.models import Artifact, Operation

NAME = "report.json"
MAX_BYTES = 30_000_000
"""a report with 5,000 points per series has a few hundred thousand"""

UNKNOWN_FORMAT = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, OSError)
"""Raised by code that reads content that no worker of ours writes; OSError by times that the C library does not have."""

logger = structlog.get_logger(__name__)


class ReportUnavailableError(Exception):
    """The report is missing or unreadable. The message is shown to users."""


def read(operation: Operation) -> dict[str, Any]:
    """Read the report of one operation. Raises ReportUnavailableError."""
    file = _files([operation]).first()
    if file is None:
        raise ReportUnavailableError(f"This operation has no {NAME}, or it has been deleted.")
    return _read(file)


def read_several(operations: list[Operation]) -> dict[str, dict[str, Any]]:
    """Read reports by operation id with one query; unreadable ones are skipped."""
    reports = {}
    for file in _files(operations):
        try:
            reports[file.operation_id] = _read(file)
        except ReportUnavailableError as error:
            logger.warning("skipping an unreadable report", operation_id=file.operation_id, reason=str(error))
    return reports


def _files(operations: list[Operation]) -> Any:
    outputs = Artifact.objects.filter(operation__in=operations, role=Artifact.Role.OUTPUT, name=NAME)
    return outputs.select_related("file").order_by("pk")


def _read(artifact: Artifact) -> dict[str, Any]:
    if artifact.file.size >= MAX_BYTES:
        raise ReportUnavailableError(
            f"{NAME} has {artifact.file.size} bytes; only files below {MAX_BYTES} are shown."
        )
    try:
        with artifacts.open_file(artifact.file_id) as file:
            report = json.load(file)
    except OSError:
        raise ReportUnavailableError(f"{NAME} has been deleted.") from None
    except (ValueError, RecursionError):
        raise ReportUnavailableError(f"{NAME} is not valid JSON.") from None
    if not isinstance(report, dict):
        raise ReportUnavailableError(f"{NAME} is not a JSON object.")
    return report

"""`report.json` of operations, as their workers left it."""

import json
from typing import Any

import structlog

from operations import artifacts
from operations.models import Artifact, Operation

NAME = "report.json"
LARGEST = 30_000_000
"""bytes; a report of 5,000 points a series has a few hundred thousand"""

logger = structlog.get_logger(__name__)


class ReportUnavailableError(Exception):
    """The report is not there or cannot be read; the message says why and is for people."""


def read(operation: Operation) -> dict[str, Any]:
    """Raises ReportUnavailableError."""
    file = _files([operation]).first()
    if file is None:
        raise ReportUnavailableError(f"This operation left no {NAME}, or it is not kept any more.")
    return _read(file)


def read_several(operations: list[Operation]) -> dict[str, dict[str, Any]]:
    """By the operation's id, in one query; those that cannot be read are left out."""
    found = {}
    for file in _files(operations):
        try:
            found[file.operation_id] = _read(file)
        except ReportUnavailableError as error:
            logger.warning("a report is left out", operation_id=file.operation_id, reason=str(error))
    return found


def _files(operations: list[Operation]) -> Any:
    outputs = Artifact.objects.filter(operation__in=operations, role=Artifact.Role.OUTPUT, name=NAME)
    return outputs.select_related("file").order_by("pk")


def _read(artifact: Artifact) -> dict[str, Any]:
    if artifact.file.size >= LARGEST:
        raise ReportUnavailableError(f"{NAME} has {LARGEST} bytes or more; that is not shown.")
    try:
        report = json.loads(artifacts.path_of(artifact.file_id).read_bytes())
    except OSError:
        raise ReportUnavailableError(f"{NAME} is not there any more.") from None
    except ValueError:
        raise ReportUnavailableError(f"{NAME} is not JSON.") from None
    if not isinstance(report, dict):
        raise ReportUnavailableError(f"{NAME} is not an object.")
    return report

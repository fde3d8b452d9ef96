"""`report.json` of an operation, read back from the artifacts."""

import json
from typing import Any

from operations.models import Operation

NAME = "report.json"
LARGEST = 30_000_000
"""bytes; a report of 5,000 points a series has a few hundred thousand"""


class ReportUnavailableError(Exception):
    """The report is not there or cannot be read; the message says why and is for people."""


def load_report(operation: Operation) -> dict[str, Any]:
    from operations.artifacts import file_path

    artifact = operation.artifacts.filter(role="output", name=NAME).select_related("file").first()
    if artifact is None:
        raise ReportUnavailableError(f"This operation left no {NAME}.")
    if artifact.file.size > LARGEST:
        raise ReportUnavailableError(
            f"{NAME} has {artifact.file.size} bytes; more than {LARGEST} are not shown."
        )
    try:
        report = json.loads(file_path(artifact.file_id).read_bytes())
    except FileNotFoundError:
        raise ReportUnavailableError(f"{NAME} is not on this machine's disk any more.") from None
    except ValueError:
        raise ReportUnavailableError(f"{NAME} is not JSON.") from None
    if not isinstance(report, dict):
        raise ReportUnavailableError(f"{NAME} is not an object.")
    return report

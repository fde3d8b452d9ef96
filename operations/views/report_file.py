"""`report.json` of an operation, as the API serves it."""

import json
from typing import Any

from django.http import HttpRequest

from operations.models import Operation
from operations.views.through_api import download

NAME = "report.json"
LARGEST = 30_000_000
"""bytes; a report of 5,000 points a series has a few hundred thousand"""


class ReportUnavailableError(Exception):
    """The report is not there or cannot be read; the message says why and is for people."""


def load_report(request: HttpRequest, operation: Operation) -> dict[str, Any]:
    content = download(request, f"/operations/{operation.pk}/artifacts/{NAME}", LARGEST)
    if content is None:
        raise ReportUnavailableError(f"This operation left no {NAME}, or it is not kept any more.")
    if len(content) >= LARGEST:
        raise ReportUnavailableError(f"{NAME} has {LARGEST} bytes or more; that is not shown.")
    try:
        report = json.loads(content)
    except ValueError:
        raise ReportUnavailableError(f"{NAME} is not JSON.") from None
    if not isinstance(report, dict):
        raise ReportUnavailableError(f"{NAME} is not an object.")
    return report

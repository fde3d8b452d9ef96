"""Example requests and responses for the API document."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

from operations.example_requests import OPERATION

SUBMITTED = {
    "operation_id": OPERATION,
    "task_id": OPERATION,
    "status": "PENDING",
    "url": f"https://ktrdr.example/operations/{OPERATION}",
}


def request_example(name: str, body: dict[str, Any]) -> OpenApiExample:
    return OpenApiExample(name, value=body, request_only=True)


ACCEPTED = OpenApiExample("Submitted", value=SUBMITTED, response_only=True, status_codes=["202"])

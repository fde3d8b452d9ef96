"""A delivery as a person reads it in a mail."""

from typing import Any

from operations.models import Delivery
from operations.models.notification import Kind


def text_of(delivery: Delivery) -> tuple[str, str]:
    """(subject, body)"""
    data: dict[str, Any] = delivery.payload["data"]
    match delivery.kind:
        case Kind.COMPLETED:
            subject = f"KTRDR: {data['operation_type']} {data['operation_id']} completed"
            lines = [f"It ran on {data['worker_id']}, attempt {data['attempt']}."]
        case Kind.FAILED:
            subject = f"KTRDR: {data['operation_type']} {data['operation_id']} failed"
            error = data["error"]
            lines = [f"{error['class']}: {error['message']}", f"Worker: {data['worker_id'] or 'none'}."]
        case Kind.WORKER_LOST:
            subject = f"KTRDR: the worker {data['worker_id']} was lost"
            lines = [data["reason"]]
            if data["operation_id"]:
                lines.append(f"It had the operation {data['operation_id']}.")
        case _:
            subject = "KTRDR: a test"
            lines = ["Somebody asked for a test of this subscription. Nothing happened."]
    return subject, "\n".join([*lines, "", data["url"], ""])

"""The text of notification e-mails."""

from typing import Any

from operations.models import Delivery
from operations.models.notification import Kind


def text_of(delivery: Delivery) -> tuple[str, str]:
    """Return (subject, body)."""
    data: dict[str, Any] = delivery.payload["data"]
    match delivery.kind:
        case Kind.COMPLETED:
            subject = f"KTRDR: {data['operation_type']} {data['operation_id']} completed"
            lines = [f"Worker: {data['worker_id']}, attempt {data['attempt']}."]
        case Kind.FAILED:
            subject = f"KTRDR: {data['operation_type']} {data['operation_id']} failed"
            error = data["error"]
            lines = [f"{error['class']}: {error['message']}", f"Worker: {data['worker_id'] or 'none'}."]
        case Kind.WORKER_LOST:
            subject = f"KTRDR: worker {data['worker_id']} was lost"
            lines = [data["reason"]]
            if data["operation_id"]:
                lines.append(f"Its operation: {data['operation_id']}.")
        case Kind.WORKER_CORDONED:
            subject = f"KTRDR: worker {data['worker_id']} was cordoned automatically"
            lines = [data["reason"]]
        case _:
            subject = "KTRDR: test"
            lines = ["This is a test message for your subscription. No action is needed."]
    return subject, "\n".join([*lines, "", data["url"], ""])

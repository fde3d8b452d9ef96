"""Fetch the secrets that a job needs from the backend, before the job starts."""

from worker_agent.attempt.record import AttemptRecord
from worker_agent.attempt.retrying import fetch_with_retries
from worker_agent.attempt.services import Services
from worker_agent.backend.errors import Refused
from worker_agent.protocol import SecretsRequest


async def fetch_secrets(names: tuple[str, ...], record: AttemptRecord, services: Services) -> dict[str, str]:
    """Return name -> value. Raises Refused at once, and BackendError after several tries."""
    if not names:
        return {}
    request = SecretsRequest(
        attempt=record.attempt,
        attempt_secret=record.secret,
        instance_id=services.instance_id,
        names=names,
    )
    return await fetch_with_retries(
        lambda: services.client.secrets(record.operation_id, request), "secrets", (Refused,), record, services
    )

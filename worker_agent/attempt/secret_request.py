"""Fetch the secrets that a job needs from the backend, before the job starts."""

import asyncio

from worker_agent.attempt.record import AttemptRecord
from worker_agent.attempt.services import Services
from worker_agent.backend.errors import BackendError, Refused, Unauthorized
from worker_agent.protocol import LogLevel, SecretsRequest

MAX_TRIES = 3
PAUSE_S = 1.0


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
    tries = 0
    while True:
        try:
            return await services.client.secrets(record.operation_id, request)
        except Refused:
            raise
        except BackendError as error:
            tries += 1
            if tries == MAX_TRIES:
                raise
            if isinstance(error, Unauthorized):
                await services.registrar.register_again()
            record.add_log(f"Could not fetch the secrets; trying again: {error}", LogLevel.WARNING)
            await asyncio.sleep(PAUSE_S)

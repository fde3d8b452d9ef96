"""Checks at registration that the registered address is the worker's, before anything is sent there."""

from asgiref.sync import async_to_sync

from registry import protocol_versions
from registry.endpoint import Endpoint
from registry.models import Worker, WorkerStatus
from registry.worker_client import WorkerClient
from registry.worker_errors import WorkerError
from worker_agent.protocol import Registration

TIMEOUT_S = 2.0
WAITING = "its address is not verified yet: the next health check decides"


def find_problem(registration: Registration, url: str, holder: Worker | None) -> str:
    """Return why the address is not known to be the worker's; empty if it is. No transaction is open here.

    Each process of a worker is asked once, at its first registration; from then on the health sweep asks it. A
    worker that is unavailable is therefore not asked again here: hundreds of them may repeat their registration.
    """
    if (
        holder is not None
        and (holder.instance_id, holder.endpoint_url) == (registration.instance_id, url)
        and holder.protocol_version == registration.protocol_version
    ):
        is_unavailable = holder.status == WorkerStatus.TEMPORARILY_UNAVAILABLE
        return (holder.health_problem or WAITING) if is_unavailable else ""
    if registration.protocol_version < protocol_versions.PROVING or not registration.proof_key:
        # It cannot answer before it has the response to its registration.
        return WAITING
    endpoint = Endpoint(registration.worker_id, registration.instance_id, url, must_prove=True)
    try:
        _challenge(endpoint, registration.proof_key)
    except WorkerError as error:
        return f"its address could not be verified: {error}"[:500]
    return ""


@async_to_sync
async def _challenge(endpoint: Endpoint, key: str) -> None:
    async with WorkerClient(timeout_s=TIMEOUT_S) as client:
        await client.challenge(endpoint, key)

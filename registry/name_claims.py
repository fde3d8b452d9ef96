"""Decides who may register under a worker's name.

A name belongs to the pool that enrolled it, as long as the registry has the worker. While its process is alive, only
that process, or one that has its token, may register under the name again.
"""

from asgiref.sync import async_to_sync

from registry import auth, pools
from registry.endpoint import Endpoint
from registry.models import EnrolmentToken, Worker
from registry.worker_client import WorkerClient
from registry.worker_errors import WorkerError
from worker_agent.protocol import Registration

CHECK_TIMEOUT_S = 2.0


class WorkerIdTaken(Exception):
    """Another live agent uses this worker id, or another registration under it was faster."""


class ForeignName(Exception):
    """The worker id belongs to another pool."""


def check(registration: Registration, enrolled_with: EnrolmentToken | None) -> Worker | None:
    """Return the worker that has the name now, which the caller may replace. Raises ForeignName, WorkerIdTaken.

    Without proof the current process is asked whether it is alive. No transaction is open during the call.
    """
    holder = Worker.objects.select_related("enrolled_with").filter(pk=registration.worker_id).first()
    if holder is None:
        return None
    pool = pools.pool_of(holder.enrolled_with)
    if pool != pools.pool_of(enrolled_with):
        raise ForeignName(
            f"The worker {holder.worker_id} belongs to {pools.describe(pool)}; use another --worker-id, "
            "or have staff remove that worker."
        )
    if not _is_successor(holder, registration) and _is_alive(Endpoint.of(holder)):
        raise WorkerIdTaken(
            f"A live worker at {holder.endpoint_url} is already registered as {holder.worker_id}; "
            "use another --worker-id."
        )
    return holder


def _is_successor(holder: Worker, registration: Registration) -> bool:
    """Return whether the registration carries the token of the holder's current process."""
    identity = auth.verify_worker_token(registration.previous_token)
    return identity == (holder.worker_id, holder.instance_id)


@async_to_sync
async def _is_alive(endpoint: Endpoint) -> bool:
    """Only a response with the token and the key of that process counts."""
    try:
        async with WorkerClient(timeout_s=CHECK_TIMEOUT_S) as client:
            await client.health(endpoint)
    except WorkerError:
        return False
    return True


def check_unchanged(worker_id: str, holder: Worker | None) -> None:
    """Lock the row, and check that nobody else has registered since `check`. Raises WorkerIdTaken."""
    current = (
        Worker.objects.select_for_update().filter(pk=worker_id).values_list("instance_id", flat=True).first()
    )
    if current is not None and (holder is None or current != holder.instance_id):
        raise WorkerIdTaken(f"Another registration as {worker_id} was faster; try again.")

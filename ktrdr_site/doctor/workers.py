"""Each registered worker, asked as the health sweep asks it."""

import asyncio
import os
from collections.abc import Iterator

from asgiref.sync import async_to_sync
from django.conf import settings

from ktrdr_site.doctor import clocks
from ktrdr_site.doctor.finding import Finding, problem, warning
from registry import tls
from registry.health_checks import CONCURRENCY
from registry.models import EnrolmentToken, Worker
from registry.worker_client import (
    Endpoint,
    WorkerClient,
    WorkerError,
    WorkerMisbehaved,
    WorkerRefused,
    WorkerUnauthorized,
    WorkerUncertain,
)

REMEDIES: dict[type[WorkerError], str] = {
    WorkerRefused: (
        "Is it running, and is that its address as seen from here? A worker on another machine needs --host 0.0.0.0"
        " or its own address, and --public-url where that is not the one that others see."
    ),
    WorkerUncertain: (
        "A firewall between here and there may drop the packets, or the machine has no processor time left: open its"
        " port, look at its load."
    ),
    WorkerUnauthorized: (
        "It enrolled with a site that has another KTRDR_SECRET_KEY, or has not yet enrolled anew: look at its log"
        " and its KTRDR_API_URL."
    ),
    WorkerMisbehaved: (
        "Something else than this worker answers at its address: restart the worker, and look who has the port."
    ),
}


TLS_REMEDY = (
    "Give the worker a certificate of the CA in KTRDR_WORKER_CA, for the name or address in its URL (--tls-cert,"
    " --tls-key), and start it again."
)


def can_enrol() -> Iterator[Finding]:
    has_token = settings.WORKER_TOKEN or EnrolmentToken.objects.filter(revoked_at=None).exists()
    if not has_token and not settings.TRUST_NETWORK:
        yield problem(
            "enrolment",
            "There is no enrolment token: no worker can register.",
            "Set KTRDR_WORKER_TOKEN for the site and its workers, or make one: manage.py create_enrolment_token NAME",
        )


def reachable() -> Iterator[Finding]:
    workers = list(Worker.objects.order_by("worker_id"))
    if not workers:
        yield warning(
            "workers",
            "No worker is registered: nothing can be trained or backtested.",
            "Start one: python -m workers backtest, with KTRDR_API_URL and KTRDR_WORKER_TOKEN set.",
        )
    for found in _ask_all([Endpoint(w.worker_id, w.instance_id, w.endpoint_url) for w in workers]):
        yield from found


@async_to_sync
async def _ask_all(endpoints: list[Endpoint]) -> list[list[Finding]]:
    room = asyncio.Semaphore(CONCURRENCY)

    async def ask(client: WorkerClient, endpoint: Endpoint) -> list[Finding]:
        async with room:
            try:
                _, date = await client.health_and_clock(endpoint)
            except WorkerError as error:
                return [_unreachable(endpoint, error)]
        return [] if date is None else list(clocks.of_answer(endpoint.worker_id, date))

    async with WorkerClient(connections=CONCURRENCY) as client:
        return list(await asyncio.gather(*(ask(client, endpoint) for endpoint in endpoints)))


def _unreachable(endpoint: Endpoint, error: WorkerError) -> Finding:
    remedy = TLS_REMEDY if tls.explain(error) else REMEDIES.get(type(error), "Look at the worker's log.")
    said = f"{endpoint.worker_id} at {endpoint.url} cannot be used: {_reason(error)}."
    return problem("workers", said, remedy)


def _reason(error: WorkerError) -> str:
    """With what the system says: "connection refused" rather than that all attempts failed."""
    if isinstance(error, WorkerUnauthorized):
        return f"401, {error}"
    if tls.explain(error):
        return str(error)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, TimeoutError):
            return (
                os.strerror(cause.errno).lower()
                if cause.errno and cause.errno > 0
                else cause.strerror.lower()
            )
        cause = cause.__cause__ or cause.__context__
    return str(error)

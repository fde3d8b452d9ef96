"""Each registered worker, checked as the health sweep checks it."""

import asyncio
import os
from collections.abc import Iterator

from asgiref.sync import async_to_sync
from django.conf import settings

from ktrdr_site.doctor import clocks
from ktrdr_site.doctor.finding import Finding, problem, warning
from registry import tls
from registry.endpoint import Endpoint
from registry.health_checks import CONCURRENCY
from registry.models import EnrolmentToken, Worker
from registry.worker_client import WorkerClient
from registry.worker_errors import (
    WorkerError,
    WorkerMisbehaved,
    WorkerRefused,
    WorkerUnauthorized,
    WorkerUncertain,
)

REMEDIES: dict[type[WorkerError], str] = {
    WorkerRefused: (
        "Check that it is running and reachable from here at this address. A worker on another machine needs"
        " --host 0.0.0.0 or its own address, and --public-url where others reach it at another one."
    ),
    WorkerUncertain: (
        "A firewall may drop the packets, or the machine is overloaded: open the worker's port and check the load."
    ),
    WorkerUnauthorized: (
        "It enrolled with a site that has another KTRDR_SECRET_KEY, or has not enrolled again yet; check its log and"
        " its KTRDR_API_URL."
    ),
    WorkerMisbehaved: (
        "Something other than this worker is listening at its address; restart the worker and check which process"
        " holds the port."
    ),
}


TLS_REMEDY = (
    "Give the worker a certificate from the CA in KTRDR_WORKER_CA for the name or address in its URL (--tls-cert,"
    " --tls-key) and restart it."
)


def can_enrol() -> Iterator[Finding]:
    has_token = settings.WORKER_TOKEN or EnrolmentToken.objects.filter(revoked_at=None).exists()
    if not has_token and not settings.TRUST_NETWORK:
        yield problem(
            "enrolment",
            "No enrolment token exists; workers cannot register.",
            "Set KTRDR_WORKER_TOKEN for the site and its workers, or run manage.py create_enrolment_token NAME.",
        )


def reachable() -> Iterator[Finding]:
    workers = list(Worker.objects.order_by("worker_id"))
    if not workers:
        yield warning(
            "workers",
            "No worker is registered; operations cannot run.",
            "Start one: python -m workers backtest, with KTRDR_API_URL and KTRDR_WORKER_TOKEN set.",
        )
    for findings in _check_all([Endpoint.of(worker) for worker in workers]):
        yield from findings


@async_to_sync
async def _check_all(endpoints: list[Endpoint]) -> list[list[Finding]]:
    slots = asyncio.Semaphore(CONCURRENCY)

    async def check(client: WorkerClient, endpoint: Endpoint) -> list[Finding]:
        async with slots:
            try:
                _, date = await client.health_and_clock(endpoint)
            except WorkerError as error:
                return [_unreachable(endpoint, error)]
        return [] if date is None else list(clocks.worker_clock(endpoint.worker_id, date))

    async with WorkerClient(connections=CONCURRENCY) as client:
        return list(await asyncio.gather(*(check(client, endpoint) for endpoint in endpoints)))


def _unreachable(endpoint: Endpoint, error: WorkerError) -> Finding:
    remedy = TLS_REMEDY if tls.explain(error) else REMEDIES.get(type(error), "Check the worker's log.")
    text = f"Cannot use {endpoint.worker_id} at {endpoint.url}: {_reason(error)}."
    return problem("workers", text, remedy)


def _reason(error: WorkerError) -> str:
    """Return the system's reason, such as "connection refused", rather than "all attempts failed"."""
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

"""The health sweep: checks all workers, reconciles their operations, and marks as lost what has been gone too long.

Three failed checks make a worker TEMPORARILY_UNAVAILABLE, which only means that it is suspect. Its operation is lost
only if it stays so for another KTRDR_LOST_AFTER_S. No worker is marked lost in the first round after an outage of our
own, and if half of three or more would be, they get that time once more: most likely our own network failed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now

from access.isolation import isolated
from registry import automatic_cordons, clock_steps, dispatch_channel, operations_port, sweeps
from registry.endpoint import Endpoint
from registry.health_checks import CONCURRENCY, check_all, log_changes, write_failed, write_healthy
from registry.models import Sweep, Worker, WorkerStatus
from registry.worker_client import WorkerClient
from registry.worker_errors import WorkerError
from worker_agent.protocol import RunningOperation

log = structlog.get_logger(__name__)


def sweep() -> dict[str, Any] | None:
    """Run one round and return its summary, or None if another process is running one."""
    with sweeps.exclusive(Sweep.Kind.HEALTH) as acquired:
        if not acquired:
            return None
        away = sweeps.were_interrupted()
        with isolated("repairing timestamps"):
            if repaired := clock_steps.repair_timestamps():
                log.warning("timestamps of the future repaired; was the clock set back?", rows=repaired)
        row = Sweep.objects.create(kind=Sweep.Kind.HEALTH)
        workers = list(Worker.objects.all())
        endpoints = {w.worker_id: Endpoint.of(w) for w in workers}
        results = check_all(list(endpoints.values()))
        write_healthy(endpoints, results.healthy, row)
        write_failed(endpoints, results.failed)
        log_changes(workers, results)
        stop = operations_port.operations().reconcile_health(results.healthy)
        # Read now: a person may have ended a drain while the workers were asked.
        draining = Worker.objects.filter(pk__in=results.healthy, draining=True)
        leaving = [endpoints[worker_id] for worker_id in draining.values_list("pk", flat=True)]
        _send_stops_and_drains(endpoints, stop, leaving)
        lost, held = _mark_lost(away, len(workers))
        operations_port.operations().interrupt_unregistered()
        summary = {
            "workers": len(workers),
            "healthy": len(results.healthy),
            "failed": len(results.failed),
            "lost": lost,
            "held_back": held,
            "away": away,
        }
        Sweep.objects.filter(pk=row.pk).update(completed_at=Now(), summary=summary)
        automatic_cordons.release_due()
        dispatch_channel.notify_dispatchers()
    return summary


@async_to_sync
async def _send_stops_and_drains(
    endpoints: Mapping[str, Endpoint], stop: Mapping[str, list[RunningOperation]], leaving: Sequence[Endpoint]
) -> None:
    """Ask workers to stop superseded attempts, and drained ones to shut down. The next sweep repeats what failed."""
    if not stop and not leaving:
        return

    async def cancel(client: WorkerClient, endpoint: Endpoint, running: RunningOperation) -> None:
        try:
            await client.cancel(endpoint, running.operation_id, running.attempt, "the attempt was superseded")
        except WorkerError as error:
            log.info(
                "could not stop a superseded attempt yet",
                worker_id=endpoint.worker_id,
                operation_id=running.operation_id,
                attempt=running.attempt,
                reason=str(error),
            )
        except Exception:
            log.exception("stopping a superseded attempt failed unexpectedly", worker_id=endpoint.worker_id)

    async def drain(client: WorkerClient, endpoint: Endpoint) -> None:
        try:
            await client.drain(endpoint)
        except WorkerError as error:
            log.info("could not drain yet", worker_id=endpoint.worker_id, reason=str(error))
        except Exception:
            log.exception("draining a worker failed unexpectedly", worker_id=endpoint.worker_id)

    async with WorkerClient(connections=CONCURRENCY) as client:
        await asyncio.gather(
            *(
                cancel(client, endpoints[worker_id], running)
                for worker_id, attempts in stop.items()
                for running in attempts
            ),
            *(drain(client, endpoint) for endpoint in leaving),
        )


def _mark_lost(away: bool, total: int) -> tuple[int, list[str]]:
    """End the attempts of workers that have been unavailable for long enough; return (how many, workers held back)."""
    overdue = Worker.objects.filter(
        status=WorkerStatus.TEMPORARILY_UNAVAILABLE,
        unavailable_since__lt=Now() - timedelta(seconds=settings.LOST_AFTER_S),
    )
    port = operations_port.operations()
    instances = {worker.worker_id: worker.instance_id for worker in overdue}
    working = port.active_workers(instances.keys())
    if not working:
        return 0, []
    if away:
        log.warning(
            "health checks were paused; not marking any worker lost this round", workers=sorted(working)
        )
        return 0, sorted(working)
    held: list[str] = []
    if sweeps.is_mass_failure(overdue.count(), total):
        extended = Now() - timedelta(seconds=2 * settings.LOST_AFTER_S)
        expired = set(overdue.filter(unavailable_since__lt=extended).values_list("pk", flat=True))
        held = sorted(working - expired)
        if held:
            log.warning("half of the workers disappeared at once; extending their grace period", workers=held)
    lost = {worker_id: instances[worker_id] for worker_id in working.difference(held)}
    return port.mark_lost(lost, "unavailable for too long"), held


def age_s() -> float | None:
    """Return the seconds since the last completed health sweep by the database's clock, or None if there is none.

    After a step of that clock, in either direction, the age is wrong by the step until the next sweep has completed.
    """
    completed = Sweep.objects.filter(kind=Sweep.Kind.HEALTH, completed_at__isnull=False)
    # By number: a row from before the clock was set back has the latest time.
    ages = completed.order_by("-pk").annotate(age=Now() - F("completed_at")).values_list("age", flat=True)
    newest = ages.first()
    return None if newest is None else abs(float(newest.total_seconds()))

"""The health sweep: every worker is asked at once, and the answers are written in a handful of statements.

Three failures make a worker TEMPORARILY_UNAVAILABLE: suspect, no more. Its operation is lost only when it stays
so for another KTRDR_LOST_AFTER_S. Nobody is lost in the first round after we were away, and when half of three or
more would be, they get that time once more: it is then most likely our own network.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from registry import hooks, notify, sweeps
from registry.models import Sweep, Worker, WorkerStatus
from registry.worker_client import Endpoint, WorkerClient, WorkerError
from worker_agent.protocol import AgentState, Health, RunningOperation

log = structlog.get_logger(__name__)

CONCURRENCY = 250
"""Above the number that may hang at once, so that those that answer never queue behind them."""
MAX_PROBLEM = 500


@dataclass(slots=True)
class Answers:
    healthy: dict[str, Health] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Worker id -> why."""


def sweep() -> dict[str, Any] | None:
    """One round; its summary, or None where another process is at it."""
    with sweeps.alone(Sweep.Kind.HEALTH) as mine:
        if not mine:
            return None
        away = sweeps.were_away()
        row = Sweep.objects.create(kind=Sweep.Kind.HEALTH)
        workers = list(Worker.objects.all())
        endpoints = {w.worker_id: Endpoint(w.worker_id, w.instance_id, w.endpoint_url) for w in workers}
        draining = {w.worker_id for w in workers if w.draining}
        answers = ask_all(list(endpoints.values()))
        _write_healthy(endpoints, answers.healthy, row)
        _write_failed(endpoints, answers.failed)
        _say_what_changed(workers, answers)
        stop = hooks.operations().reconcile_health(answers.healthy)
        leaving = [endpoints[worker_id] for worker_id in draining & answers.healthy.keys()]
        tell(endpoints, stop, leaving)
        lost, held = _lose(away, len(workers))
        summary = {
            "workers": len(workers),
            "healthy": len(answers.healthy),
            "failed": len(answers.failed),
            "lost": lost,
            "held_back": held,
            "away": away,
        }
        Sweep.objects.filter(pk=row.pk).update(completed_at=Now(), summary=summary)
        notify.dispatcher()
    return summary


@async_to_sync
async def ask_all(endpoints: Sequence[Endpoint]) -> Answers:
    answers = Answers()
    room = asyncio.Semaphore(CONCURRENCY)

    async def ask(client: WorkerClient, endpoint: Endpoint) -> None:
        async with room:
            try:
                answers.healthy[endpoint.worker_id] = await client.health(endpoint)
            except WorkerError as error:
                answers.failed[endpoint.worker_id] = str(error)[:MAX_PROBLEM].replace("\x00", "")

    async with WorkerClient(connections=CONCURRENCY) as client:
        await asyncio.gather(*(ask(client, endpoint) for endpoint in endpoints))
    return answers


HEALTHY = """
UPDATE registry_worker AS w
   SET last_health_check = statement_timestamp(), last_healthy_at = statement_timestamp(),
       health_check_failures = 0, health_problem = '', unavailable_since = NULL,
       resources = a.resources::jsonb,
       -- It may have been claimed after it was asked: that claim is the newer truth.
       status = CASE WHEN a.busy OR (w.status = 'BUSY' AND w.last_selected_at >= %s) THEN 'BUSY' ELSE 'AVAILABLE' END
  FROM unnest(%s::text[], %s::text[], %s::bool[], %s::text[]) AS a(worker_id, instance_id, busy, resources)
 WHERE w.worker_id = a.worker_id AND w.instance_id = a.instance_id
"""

FAILED = """
UPDATE registry_worker AS w
   SET last_health_check = statement_timestamp(), health_problem = a.problem,
       health_check_failures = w.health_check_failures + 1,
       status = CASE WHEN w.health_check_failures + 1 >= %s THEN 'TEMPORARILY_UNAVAILABLE' ELSE w.status END,
       unavailable_since = CASE WHEN w.health_check_failures + 1 >= %s
                                THEN COALESCE(w.unavailable_since, statement_timestamp()) END
  FROM unnest(%s::text[], %s::text[], %s::text[]) AS a(worker_id, instance_id, problem)
 WHERE w.worker_id = a.worker_id AND w.instance_id = a.instance_id
"""


def _write_healthy(endpoints: Mapping[str, Endpoint], healthy: Mapping[str, Health], row: Sweep) -> None:
    if not healthy:
        return
    row.refresh_from_db(fields=["started_at"])
    ids = sorted(healthy)
    with connection.cursor() as cursor:
        cursor.execute(
            HEALTHY,
            [
                row.started_at,
                ids,
                [endpoints[worker_id].instance_id for worker_id in ids],
                [healthy[worker_id].status is AgentState.BUSY for worker_id in ids],
                [json.dumps(healthy[worker_id].resources).replace("\\u0000", "") for worker_id in ids],
            ],
        )


def _write_failed(endpoints: Mapping[str, Endpoint], failed: Mapping[str, str]) -> None:
    if not failed:
        return
    ids = sorted(failed)
    limit = settings.HEALTH_FAILURES
    with connection.cursor() as cursor:
        instances = [endpoints[worker_id].instance_id for worker_id in ids]
        cursor.execute(FAILED, [limit, limit, ids, instances, [failed[worker_id] for worker_id in ids]])


def _say_what_changed(workers: Sequence[Worker], answers: Answers) -> None:
    """`workers` as they were before this round."""
    for worker in workers:
        was_gone = worker.status == WorkerStatus.TEMPORARILY_UNAVAILABLE
        problem = answers.failed.get(worker.worker_id)
        if problem is None:
            if was_gone:
                log.info("worker answers again", worker_id=worker.worker_id)
        elif not was_gone:
            failures = worker.health_check_failures + 1
            said = log.bind(worker_id=worker.worker_id, failures=failures, reason=problem)
            if failures >= settings.HEALTH_FAILURES:
                said.warning("worker is TEMPORARILY_UNAVAILABLE")
            else:
                said.info("a health check failed")


@async_to_sync
async def tell(
    endpoints: Mapping[str, Endpoint], stop: Mapping[str, list[RunningOperation]], leaving: Sequence[Endpoint]
) -> None:
    """Tells workers to end superseded attempts, and drained ones to go. Whoever does not hear it is told again."""
    if not stop and not leaving:
        return

    async def end(client: WorkerClient, endpoint: Endpoint, running: RunningOperation) -> None:
        try:
            await client.cancel(
                endpoint, running.operation_id, running.attempt, "this attempt does not count any more"
            )
        except WorkerError as error:
            log.info(
                "could not stop a superseded attempt yet",
                worker_id=endpoint.worker_id,
                operation_id=running.operation_id,
                attempt=running.attempt,
                reason=str(error),
            )

    async def go(client: WorkerClient, endpoint: Endpoint) -> None:
        try:
            await client.drain(endpoint)
        except WorkerError as error:
            log.info("could not drain yet", worker_id=endpoint.worker_id, reason=str(error))

    async with WorkerClient(connections=CONCURRENCY) as client:
        await asyncio.gather(
            *(
                end(client, endpoints[who], running)
                for who, all_of_it in stop.items()
                for running in all_of_it
            ),
            *(go(client, endpoint) for endpoint in leaving),
        )


def _lose(away: bool, among: int) -> tuple[int, list[str]]:
    """Ends the attempts of who has been unavailable for long enough; (how many, workers held back)."""
    overdue = Worker.objects.filter(
        status=WorkerStatus.TEMPORARILY_UNAVAILABLE,
        unavailable_since__lt=Now() - timedelta(seconds=settings.LOST_AFTER_S),
    )
    working = {w.worker_id: w for w in overdue if hooks.operations().works(w.worker_id)}
    if not working:
        return 0, []
    if away:
        log.warning("the sweep was away; nobody is called lost in this round", workers=sorted(working))
        return 0, sorted(working)
    held: list[str] = []
    if sweeps.held_back(overdue.count(), among):
        twice = Now() - timedelta(seconds=2 * settings.LOST_AFTER_S)
        patient = set(overdue.filter(unavailable_since__lt=twice).values_list("pk", flat=True))
        held = sorted(working.keys() - patient)
        if held:
            log.warning("half of the workers are gone at once; they get the time again", workers=held)
    gone = {worker_id: w.instance_id for worker_id, w in working.items() if worker_id not in held}
    return hooks.operations().lost(gone, "unavailable for too long"), held


def age_s() -> float | None:
    """Seconds since the newest completed health sweep, by the database's clock; None where there is none."""
    row = (
        Sweep.objects.filter(kind=Sweep.Kind.HEALTH, completed_at__isnull=False)
        .order_by("-completed_at")
        .annotate(age=Now() - F("completed_at"))
        .values_list("age", flat=True)
        .first()
    )
    return None if row is None else float(row.total_seconds())

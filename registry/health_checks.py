"""Asks every worker for its health at once, and writes the results in a handful of statements."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connection

from access.isolation import isolated
from registry.endpoint import Endpoint
from registry.models import Sweep, Worker, WorkerStatus
from registry.worker_client import WorkerClient
from registry.worker_errors import WorkerError
from worker_agent.protocol import AgentState, Health
from worker_agent.values import escape

log = structlog.get_logger(__name__)

CONCURRENCY = 250
"""Above the number of workers that may hang at once, so that the others never queue behind them."""
MAX_PROBLEM = 500


@dataclass(slots=True)
class CheckResults:
    healthy: dict[str, Health] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Worker id -> reason."""


@async_to_sync
async def check_all(endpoints: Sequence[Endpoint]) -> CheckResults:
    """Check all workers concurrently."""
    results = CheckResults()
    slots = asyncio.Semaphore(CONCURRENCY)

    async def check(client: WorkerClient, endpoint: Endpoint) -> None:
        async with slots:
            try:
                results.healthy[endpoint.worker_id] = await client.health(endpoint)
            except WorkerError as error:
                results.failed[endpoint.worker_id] = escape(str(error))[:MAX_PROBLEM]
            except Exception as error:
                log.exception("health check failed unexpectedly", worker_id=endpoint.worker_id)
                results.failed[endpoint.worker_id] = f"the health check raised {type(error).__name__}"

    async with WorkerClient(connections=CONCURRENCY) as client:
        await asyncio.gather(*(check(client, endpoint) for endpoint in endpoints))
    return results


KEPT_LOADS = 60
"""Health checks whose load is kept: ten minutes of one each ten seconds."""
LOADS = ("cpu_percent", "memory_percent", "gpu_percent")
LARGEST_LOAD = 1000
HEALTHY = """
UPDATE registry_worker AS w
   SET last_health_check = statement_timestamp(), last_healthy_at = statement_timestamp(),
       health_check_failures = 0, health_problem = '', unavailable_since = NULL,
       resources = a.resources::jsonb,
       load_history = CASE WHEN jsonb_array_length(w.load_history) >= %s THEN w.load_history - 0
                           ELSE w.load_history END || jsonb_build_array(a.load::jsonb),
       -- A worker claimed after it was asked stays BUSY: the claim is newer than its response.
       status = CASE WHEN a.busy OR (w.status = 'BUSY' AND w.last_selected_at >= %s) THEN 'BUSY' ELSE 'AVAILABLE' END
  FROM unnest(%s::text[], %s::text[], %s::text[], %s::bool[], %s::text[], %s::text[])
       AS a(worker_id, instance_id, endpoint_url, busy, resources, load)
 WHERE w.worker_id = a.worker_id AND w.instance_id = a.instance_id AND w.endpoint_url = a.endpoint_url
"""

FAILED = """
UPDATE registry_worker AS w
   SET last_health_check = statement_timestamp(), health_problem = a.problem,
       health_check_failures = w.health_check_failures + 1,
       status = CASE WHEN w.health_check_failures + 1 >= %s THEN 'TEMPORARILY_UNAVAILABLE' ELSE w.status END,
       -- A worker that has never proved its address is unavailable before its first failure.
       unavailable_since = CASE WHEN w.status = 'TEMPORARILY_UNAVAILABLE' OR w.health_check_failures + 1 >= %s
                                THEN COALESCE(w.unavailable_since, statement_timestamp()) END
  FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS a(worker_id, instance_id, endpoint_url, problem)
 WHERE w.worker_id = a.worker_id AND w.instance_id = a.instance_id AND w.endpoint_url = a.endpoint_url
"""
"""Of a process that has registered with another address since, the checks of both kinds prove nothing."""


def write_healthy(endpoints: Mapping[str, Endpoint], healthy: Mapping[str, Health], sweep: Sweep) -> None:
    """Record the successful checks of `sweep`."""
    sweep.refresh_from_db(fields=["started_at"])

    def write(ids: list[str]) -> None:
        values: list[Any] = [
            KEPT_LOADS,
            sweep.started_at,
            ids,
            *_instances_and_urls(endpoints, ids),
            [healthy[worker_id].status is AgentState.BUSY for worker_id in ids],
            [json.dumps(healthy[worker_id].resources).replace("\\u0000", "") for worker_id in ids],
            [json.dumps(_load(healthy[worker_id].resources)) for worker_id in ids],
        ]
        with connection.cursor() as cursor:
            cursor.execute(HEALTHY, values)

    _write_isolated(write, sorted(healthy))


def _instances_and_urls(endpoints: Mapping[str, Endpoint], ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the instance ids and the addresses that were asked."""
    asked = [endpoints[worker_id] for worker_id in ids]
    return [endpoint.instance_id for endpoint in asked], [endpoint.url for endpoint in asked]


def _load(resources: Mapping[str, Any]) -> list[float | None]:
    """Return CPU, memory and GPU in percent; None for what the worker does not report as a number."""
    values = (resources.get(name) for name in LOADS)
    return [
        round(float(value), 1)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LARGEST_LOAD
        else None
        for value in values
    ]


def write_failed(endpoints: Mapping[str, Endpoint], failed: Mapping[str, str]) -> None:
    """Record the failed checks; the third in a row makes a worker TEMPORARILY_UNAVAILABLE."""
    limit = settings.HEALTH_FAILURES

    def write(ids: list[str]) -> None:
        problems = [failed[worker_id] for worker_id in ids]
        with connection.cursor() as cursor:
            cursor.execute(FAILED, [limit, limit, ids, *_instances_and_urls(endpoints, ids), problems])

    _write_isolated(write, sorted(failed))


def _write_isolated(write: Callable[[list[str]], None], ids: list[str]) -> None:
    """Write the checks of all workers in one statement, or one by one if the values of a worker make it fail."""
    if not ids:
        return
    with isolated("writing health checks", workers=len(ids)) as together:
        write(ids)
    if together.error is None:
        return
    for worker_id in ids:
        with isolated("writing the health check of a worker", worker_id=worker_id):
            write([worker_id])


def log_changes(workers: Sequence[Worker], results: CheckResults) -> None:
    """Log failures and recoveries. `workers` are the rows as they were before this round."""
    for worker in workers:
        was_unavailable = worker.status == WorkerStatus.TEMPORARILY_UNAVAILABLE
        problem = results.failed.get(worker.worker_id)
        if problem is None:
            if was_unavailable:
                log.info("worker responds again", worker_id=worker.worker_id)
        elif not was_unavailable:
            failures = worker.health_check_failures + 1
            bound = log.bind(worker_id=worker.worker_id, failures=failures, reason=problem)
            if failures >= settings.HEALTH_FAILURES:
                bound.warning("worker is TEMPORARILY_UNAVAILABLE")
            else:
                bound.info("health check failed")

"""The workers that are free for an operation.

Django takes longer to compile these queries than the database to answer them, so the compiled ones are kept.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef, QuerySet, TextChoices, TextField
from django.db.models.functions import Cast, Greatest, Now
from psycopg import sql

from access.prepared import fetch, instance
from operations.models import Attempt, DispatchPause, Operation
from operations.models.attempt import AttemptOutcome
from operations.models.dispatch_pause import in_force
from registry import protocol_versions, selection
from registry.models import Worker

Query = tuple[str, tuple[Any, ...]]
Constants = tuple[float, int, int]
"""Everything besides the arguments that a compiled query contains: health interval, oldest and newest protocol version."""
ProfileKey = tuple[str, str]
"""Operation type, and capabilities as JSON text: the same for workers that are equal to every demand."""


@dataclass(frozen=True, slots=True)
class FreeWorker:
    """A worker that is locked for a claim."""

    worker: Worker
    start_path: str
    """At which it starts operations of the type."""
    profile: ProfileKey


def free_profiles() -> dict[ProfileKey, int]:
    """Return how many workers of each profile are free. A worker counts once for each operation type it announced."""
    rows = fetch(*_profiles_query(_constants()))
    return {(operation_type, capabilities): number for operation_type, capabilities, number in rows}


def lock_free(operation: Operation, *, wait: bool, number: int = 1) -> list[FreeWorker]:
    """Lock up to `number` workers that can take the operation, or one with the same demand, now; the best one comes first.

    With `wait`, wait for locked rows instead of skipping them.
    """
    requirements = json.dumps(operation.requirements)
    statement, parameters = _choice_query(
        operation.operation_type, requirements, operation.prefer_gpu, wait, _constants()
    )
    return [
        FreeWorker(instance(Worker, columns), start_path, (operation.operation_type, profile))
        for *columns, start_path, profile in fetch(statement, (*parameters, number))
    ]


def _constants() -> Constants:
    return settings.HEALTH_INTERVAL_S, protocol_versions.oldest(), protocol_versions.newest()


@lru_cache(maxsize=1)
def _profiles_query(constants: Constants) -> Query:
    workers = _without_work(Worker.objects.filter(selection.available()))
    rows = (
        workers.order_by()
        .filter(announced__isnull=False)
        .values_list("announced__operation_type", Cast("capabilities", TextField()))
        .annotate(number=Count("pk"))
    )
    return _with_constants(*rows.query.sql_with_params())


@lru_cache(maxsize=1024)
def _choice_query(
    operation_type: str, requirements: str, prefer_gpu: bool, wait: bool, constants: Constants
) -> Query:
    candidates = selection.candidates(operation_type, json.loads(requirements), prefer_gpu)
    workers = _without_work(candidates).annotate(
        start_path=F("announced__start_path"), profile=Cast("capabilities", TextField())
    )
    statement, parameters = _with_constants(*workers.query.sql_with_params())
    lock = f"FOR UPDATE OF registry_worker{'' if wait else ' SKIP LOCKED'}"
    return f"{statement} LIMIT %s {lock}", parameters


def _with_constants(statement: str, parameters: tuple[Any, ...]) -> Query:
    """Write the constants into the text: the kept plan of a prepared statement then uses indexes with a condition on them.

    The operation type and the requirements remain parameters, so that few texts serve many demands.
    """
    first, *others = statement.split("%s")
    text, kept = first, []
    for parameter, part in zip(parameters, others, strict=True):
        if isinstance(parameter, bool | int | timedelta | TextChoices):
            text += sql.Literal(parameter).as_string() + part
        else:
            text += "%s" + part
            kept.append(parameter)
    return text, tuple(kept)


def _without_work(workers: QuerySet[Worker]) -> QuerySet[Worker]:
    """Exclude workers with an attempt, and those that rejected or lost work and have not reported healthy since.

    During a pause of dispatching no worker is left.
    """
    on_worker = Attempt.objects.filter(worker_id=OuterRef("pk"))
    recently_failed = on_worker.filter(
        outcome__in=[AttemptOutcome.REJECTED, AttemptOutcome.LOST],
        instance_id=OuterRef("instance_id"),
        ended_at__gt=Greatest(
            OuterRef("registered_at"),
            OuterRef("last_healthy_at"),
            Now() - timedelta(seconds=2 * settings.HEALTH_INTERVAL_S),
        ),
    )
    return workers.filter(
        ~Exists(on_worker.filter(ended_at__isnull=True)),
        ~Exists(recently_failed),
        ~Exists(DispatchPause.objects.filter(in_force())),
    )

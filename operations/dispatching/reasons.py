"""Stores with each demand why no worker takes its operations, and ends the operations that were not to wait.

One dispatcher at a time does this, every two seconds at most and in at most a tenth of its time. A reason that did not change
is not written.
"""

import time

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from access.isolation import isolated
from access.prepared import fetch
from operations import attempts, dispatch_pauses, lifecycle, type_limits
from operations.dispatching import admission
from operations.models import Attempt, Demand, Operation
from operations.models.operation import READY
from registry.workforce import Workforce

PAUSE_S = 2.0
LARGEST_SHARE = 0.1
LOCK_KEY = 0x6B74_7277
"""Key of the advisory lock: the bytes of `ktrw`."""

_WAITING = """
    WITH RECURSIVE ready AS (
        (SELECT demand FROM operations_operation
         WHERE status = 'PENDING' AND blockers = 0 AND not_before IS NULL ORDER BY demand LIMIT 1)
    UNION ALL
        SELECT (SELECT demand FROM operations_operation
                WHERE status = 'PENDING' AND blockers = 0 AND not_before IS NULL AND demand > ready.demand
                ORDER BY demand LIMIT 1)
        FROM ready WHERE ready.demand IS NOT NULL
    )
    SELECT demand, digest IS NOT NULL FROM ready LEFT JOIN operations_demand ON digest = demand
    WHERE demand IS NOT NULL
"""
_STORE = """
    UPDATE operations_demand SET waiting_reason = new.reason, workers = new.number
    FROM unnest(%s::text[], %s::text[], %s::int[]) AS new(digest, reason, number)
    WHERE operations_demand.digest = new.digest AND (waiting_reason, workers) <> (new.reason, new.number)
    RETURNING 1
"""
_IS_ANY_IMPATIENT = "SELECT EXISTS (SELECT FROM operations_operation WHERE status = 'PENDING' AND NOT queue)"


class Reasons:
    """The clock of a dispatcher: `refresh_if_due` may be called after every round."""

    def __init__(self) -> None:
        self._due = 0.0

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._due

    def refresh_if_due(self) -> None:
        if not self.is_due:
            return
        started = time.monotonic()
        with isolated("explaining why operations wait"):
            refresh()
        took = time.monotonic() - started
        self._due = started + max(PAUSE_S, took / LARGEST_SHARE)


def refresh() -> None:
    """Explain every demand with ready operations, unless another dispatcher is at it. Call it in a transaction."""
    ((is_acquired,),) = fetch("SELECT pg_try_advisory_xact_lock(%s)", [LOCK_KEY])
    if not is_acquired:
        return
    waiting = dict(fetch(_WAITING, ()))
    _store_missing([digest for digest, is_stored in waiting.items() if not is_stored])
    if not waiting:
        return
    pause = dispatch_pauses.current()
    workforce = Workforce.load()
    demands = Demand.objects.in_bulk(list(waiting))
    limits = type_limits.read_limits({demand.operation_type for demand in demands.values()})
    slot_reasons = {
        name: type_limits.explain(name, declared.max_running) for name, declared in limits.items()
    }
    reasons: dict[str, str] = {}
    numbers: list[int] = []
    for digest, demand in demands.items():
        with isolated("explaining a demand", demand=digest, atomic=False):
            reason = (
                dispatch_pauses.explain(pause)
                if pause
                else slot_reasons[demand.operation_type]
                or workforce.explain(demand.operation_type, demand.requirements)
            )
            numbers.append(workforce.in_service(demand.operation_type, demand.requirements))
            reasons[digest] = reason[: lifecycle.MAX_WAITING_REASON]
    fetch(_STORE, [list(reasons), list(reasons.values()), numbers])
    ((is_any_impatient,),) = fetch(_IS_ANY_IMPATIENT, ())
    if is_any_impatient:
        _fail_impatient(reasons)


def _store_missing(digests: list[str]) -> None:
    """Store demands whose row was deleted: without it the dispatcher does not look for their operations."""
    for digest in digests:
        example = Operation.objects.filter(READY, demand=digest).values_list("pk", flat=True).first()
        admission.store_demands([example] if example else [])


def _fail_impatient(reasons: dict[str, str]) -> None:
    """Fail operations with `queue: false` that nobody took: their dispatcher died before it did so.

    After a rejection their dispatcher still tries other workers, and knows the reason; it has the time of its lease.
    """
    just_rejected = Exists(
        Attempt.objects.filter(operation=OuterRef("pk"), ended_at__gt=Now() - attempts.push_lease())
    )
    impatient = Operation.objects.filter(READY, ~just_rejected, queue=False, started_at=None).order_by("pk")
    for operation_id, demand in impatient.values_list("pk", "demand"):
        with isolated("failing an operation that nobody took", operation_id=operation_id):
            lifecycle.fail_without_worker(operation_id, reasons.get(demand, "no worker took it"))

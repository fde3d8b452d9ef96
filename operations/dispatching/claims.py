"""Claims: give the operation whose turn it is a worker, and build the start request.

A claim is one transaction that locks an operation and a worker without waiting (SKIP LOCKED), so two dispatchers can
never choose the same one. Unique indexes in the schema enforce this as well.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from access.isolation import isolated
from access.prepared import columns_of, fetch_one, instance
from operations import attempt_secrets, attempts, inputs, quotas
from operations.actors import Actor
from operations.dispatching import workers
from operations.dispatching.lanes import OWNER, READY_CONDITION, Lane
from operations.dispatching.turns import Plan
from operations.dispatching.workers import FreeWorker
from operations.kind import kind_of
from operations.models import Artifact, Attempt, Checkpoint, Operation
from operations.models.operation import LARGE, READY
from operations.setbacks import set_aside
from operations.states import Status
from registry.worker_client import Endpoint
from worker_agent.protocol import ArtifactRef, CheckpointRef, StartRequest
from worker_agent.trace import Trace

_UNUSED = LARGE - {"parameters"}
_LOCK_HEAD = f"""
    SELECT {columns_of(Operation, "o", without=_UNUSED)} FROM operations_operation AS o
    WHERE {READY_CONDITION} AND demand = %(demand)s AND {OWNER} = %(owner)s
      AND NOT operation_id = ANY(%(without)s::text[])
    ORDER BY rank, operation_id LIMIT 1 FOR UPDATE SKIP LOCKED
"""  # noqa: S608  (constants)
MAX_OTHERS = 3
"""Other workers that are tried immediately after the first one rejected the operation."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An attempt and the start request for its worker."""

    operation_id: str
    attempt: int
    endpoint: Endpoint
    start_path: str
    request: StartRequest
    trace: Trace


def claim_next(plan: Plan, actor: Actor) -> Claim | None:
    """Claim a worker for the operation whose turn it is; None if no operation of the plan can have one.

    An operation whose claim raises is set aside, and the next one gets its turn.
    """
    while (lane := plan.choose()) is not None:
        if (claim := _claim_head(plan, lane, actor)) is not None:
            return claim
    return None


def _claim_head(plan: Plan, lane: Lane, actor: Actor) -> Claim | None:
    """Try to claim a worker for the head of the lane; None if the plan had to be corrected instead."""
    claim, operation = None, None
    with isolated("claiming an operation", demand=lane.demand) as unit:
        if not quotas.is_below_running_limit(lane.owner, plan.allowances[lane.owner]):
            plan.close_owner(lane.owner)
            return None
        operation = _lock_head(lane, plan.failed)
        if operation is None:
            plan.close(lane)
        elif _is_still_chosen(plan, lane, operation):
            claim = _claim_for(plan, lane, operation, actor)
    if unit.error is None:
        return claim
    if operation is None:
        plan.close(lane)
    else:
        plan.failed.add(operation.pk)
        set_aside(operation.pk, unit.error)
    return None


def _lock_head(lane: Lane, without: set[str]) -> Operation | None:
    """Lock the first operation of the lane that no other transaction holds."""
    row = fetch_one(_LOCK_HEAD, {"demand": lane.demand, "owner": lane.owner, "without": list(without)})
    return None if row is None else instance(Operation, row, without=_UNUSED)


def _is_still_chosen(plan: Plan, lane: Lane, operation: Operation) -> bool:
    """Return whether the lane's turn is now, with the head that it really has."""
    if (lane.rank, lane.priority) == (operation.rank, operation.priority):
        return True
    lane.rank, lane.priority = operation.rank, operation.priority
    return plan.choose() is lane


def _claim_for(plan: Plan, lane: Lane, operation: Operation, actor: Actor) -> Claim | None:
    free = workers.lock_free(operation, wait=False)
    if free is None:
        plan.exhaust(lane.demand)
        return None
    claim = _begin(operation, free, actor, push=True)
    plan.take(lane, free.profile)
    return claim


def claim_another(operation_id: str, actor: Actor) -> Claim | None:
    """Claim another worker for an operation that the last one rejected; set it aside if that raises."""
    claim = None
    with isolated("claiming another worker", operation_id=operation_id) as unit:
        rows = Operation.objects.select_for_update(of=("self",), skip_locked=True)
        operation = rows.filter(READY, pk=operation_id).first()
        claim = None if operation is None else claim_for(operation, actor)
    if unit.error is not None:
        set_aside(operation_id, unit.error)
        return None
    return claim


def claim_for(operation: Operation, actor: Actor, *, push: bool = True, wait: bool = False) -> Claim | None:
    """Claim a worker for the locked, PENDING operation; None if none is free.

    With `push` the caller sends the start immediately; otherwise the next dispatcher does. With `wait` a locked worker
    row is waited for instead of skipped, so None is reliable; use it only for an operation that is not yet visible
    to others.
    """
    free = workers.lock_free(operation, wait=wait)
    return None if free is None else _begin(operation, free, actor, push=push)


def _begin(operation: Operation, free: FreeWorker, actor: Actor, *, push: bool) -> Claim:
    """Begin an attempt of the locked operation on the locked worker."""
    kind_of(operation.operation_type).prepare(operation)
    checkpoint = newest_checkpoint(operation)
    attempt = attempts.begin(
        operation, free.worker, actor, push=push, resumed_from=checkpoint.step if checkpoint else None
    )
    return build_claim(operation, attempt, checkpoint, free.start_path)


def build_claim(
    operation: Operation, attempt: Attempt, checkpoint: Checkpoint | None, start_path: str
) -> Claim:
    """Build the claim of an attempt that has begun; its worker starts such operations at `start_path`."""
    trace = operation.trace
    return Claim(
        operation_id=operation.pk,
        attempt=attempt.number,
        endpoint=endpoint_of(attempt),
        start_path=start_path,
        request=StartRequest(
            task_id=operation.pk,
            attempt=attempt.number,
            attempt_secret=attempt_secrets.secret_of(attempt) if attempt.must_prove else "",
            parameters=operation.parameters,
            inputs=_refs(inputs.take(operation.pk)),
            resume_from=_checkpoint_ref(checkpoint),
            request_id=trace.request_id,
            traceparent=trace.traceparent,
        ),
        trace=trace,
    )


def endpoint_of(attempt: Attempt) -> Endpoint:
    return Endpoint(attempt.worker_id, attempt.instance_id, attempt.endpoint_url, attempt.must_prove)


def newest_checkpoint(operation: Operation) -> Checkpoint | None:
    """Return the checkpoint from which the next attempt resumes."""
    if not operation.resume or not operation.attempt:
        return None
    return operation.checkpoints.order_by("-attempt", "-step").first()


def _checkpoint_ref(checkpoint: Checkpoint | None) -> CheckpointRef | None:
    if checkpoint is None:
        return None
    artifacts = Artifact.objects.filter(checkpoint=checkpoint).order_by("name")
    files = _refs(artifacts.values_list("name", "file_id", "file__size"))
    return CheckpointRef(attempt=checkpoint.attempt, step=checkpoint.step, files=files)


def _refs(rows: Iterable[tuple[Any, ...]]) -> tuple[ArtifactRef, ...]:
    """Build the references from rows of name, SHA-256 and size."""
    return tuple(ArtifactRef(name=name, sha256=sha256, size=size) for name, sha256, size in rows)


def ready() -> Q:
    """Select PENDING operations that may be claimed now: no pause, and everything they wait for COMPLETED."""
    return Q(status=Status.PENDING, blockers=0) & (Q(not_before__isnull=True) | Q(not_before__lte=Now()))

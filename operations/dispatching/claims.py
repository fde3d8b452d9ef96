"""Claims: give the operation whose turn it is a worker, and build the start request.

A claim is one transaction that locks an operation and a worker without waiting (SKIP LOCKED), so two dispatchers can
never choose the same one. Unique indexes in the schema enforce this as well. While the operations of only one user and
demand are left, several are claimed in a transaction.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from access.isolation import isolated
from access.prepared import columns_of, fetch, instance
from operations import attempt_secrets, attempts, inputs, quotas, type_limits
from operations.actors import Actor
from operations.dispatching import workers
from operations.dispatching.lanes import OWNER, READY_CONDITION, Lane
from operations.dispatching.turns import Plan
from operations.dispatching.workers import FreeWorker
from operations.models import Artifact, Attempt, Checkpoint, Operation
from operations.models.operation import LARGE, READY
from operations.registered_kinds import kind_of
from operations.setbacks import set_aside
from operations.states import Status
from operations.type_limits import SLOTS
from registry.endpoint import Endpoint
from worker_agent.protocol import ArtifactRef, CheckpointRef, StartRequest
from worker_agent.trace import Trace

_UNUSED = LARGE - {"parameters"}
_LOCK_HEADS = f"""
    SELECT {columns_of(Operation, "o", without=_UNUSED)}, ({SLOTS.format(operation_type="o.operation_type")}),
           {inputs.HAS_INPUTS.format(operation_id="o.operation_id")}
    FROM operations_operation AS o
    WHERE {READY_CONDITION} AND demand = %(demand)s AND {OWNER} = %(owner)s
      AND NOT operation_id = ANY(%(without)s::text[])
    ORDER BY rank, operation_id LIMIT %(number)s FOR UPDATE SKIP LOCKED
"""  # noqa: S608  (constants)
MAX_TOGETHER = 20
"""Claims per transaction. Their starts are sent when it has ended."""
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


def claim_some(plan: Plan, actor: Actor, at_most: int = MAX_TOGETHER) -> list[Claim]:
    """Claim workers for the operations whose turn it is; empty if no operation of the plan can have one.

    An operation whose claim raises is set aside, and the next one gets its turn.
    """
    while (lane := plan.choose()) is not None:
        if claims := _claim_heads(plan, lane, min(at_most, plan.consecutive(lane)), actor):
            return claims
    return []


def _claim_heads(plan: Plan, lane: Lane, at_most: int, actor: Actor) -> list[Claim]:
    """Try to claim workers for the first operations of the lane; empty if the plan had to be corrected instead.

    If claiming several raises, all are rolled back, and from then on the plan's operations are claimed one by one.
    """
    claims: list[Claim] = []
    heads: list[Operation] = []
    free: list[FreeWorker] = []
    with_inputs: set[str] = set()
    with isolated("claiming operations", demand=lane.demand) as unit:
        number = int(min(at_most, quotas.running_room(lane.owner, plan.allowances[lane.owner])))
        if number < 1:
            plan.close_owner(lane.owner)
            return []
        heads, slots, with_inputs = _lock_heads(lane, number, plan.failed)
        if heads and not _is_still_chosen(plan, lane, heads[0]):
            return []
        if heads and (room := type_limits.running_room(heads[0].operation_type, slots)) < len(heads):
            heads, number = heads[: int(room)], int(room)
            if not heads:
                plan.close_demand(lane.demand)
                return []
        if heads:
            free = workers.lock_free(heads[0], wait=False, number=len(heads))
            claims = _begin(list(zip(heads, free, strict=False)), actor, push=True, with_inputs=with_inputs)
    if unit.error is not None:
        _correct(plan, lane, heads, unit.error)
        return []
    for worker in free:
        plan.take(lane, worker.profile)
    if len(heads) < number:
        plan.close(lane)
    elif len(free) < len(heads):
        plan.exhaust(lane.demand)
    return claims


def _correct(plan: Plan, lane: Lane, heads: Sequence[Operation], error: Exception) -> None:
    """Keep claims that raised from being tried again without end."""
    if not heads:
        plan.close(lane)
    elif len(heads) > 1:
        plan.claims_together = False
    else:
        plan.failed.add(heads[0].pk)
        set_aside(heads[0].pk, error)


def _lock_heads(lane: Lane, number: int, without: set[str]) -> tuple[list[Operation], int | None, set[str]]:
    """Lock the first operations of the lane that no other transaction holds.

    Return them, the slots of their type, and the ids of those with input files.
    """
    parameters = {"demand": lane.demand, "owner": lane.owner, "without": list(without), "number": number}
    rows = fetch(_LOCK_HEADS, parameters)
    heads = [instance(Operation, columns, without=_UNUSED) for *columns, _, _ in rows]
    with_inputs = {head.pk for head, (*_, has_inputs) in zip(heads, rows, strict=True) if has_inputs}
    return heads, next((slots for *_, slots, _ in rows), None), with_inputs


def _is_still_chosen(plan: Plan, lane: Lane, operation: Operation) -> bool:
    """Return whether the lane's turn is now, with the head that it really has."""
    if (lane.rank, lane.priority) == (operation.rank, operation.priority):
        return True
    lane.rank, lane.priority = operation.rank, operation.priority
    return plan.choose() is lane


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
    slots = type_limits.read_slots(operation.operation_type)
    if type_limits.running_room(operation.operation_type, slots) < 1:
        return None
    pairs = [(operation, free) for free in workers.lock_free(operation, wait=wait)]
    return next(iter(_begin(pairs, actor, push=push, with_inputs={operation.pk})), None)


def _begin(
    pairs: Sequence[tuple[Operation, FreeWorker]], actor: Actor, *, push: bool, with_inputs: Collection[str]
) -> list[Claim]:
    """Begin an attempt of each locked operation on its locked worker; those not in `with_inputs` have no input files."""
    if not pairs:
        return []
    checkpoints = [_prepare(operation) for operation, _ in pairs]
    starts = [
        attempts.Start(operation, free.worker, checkpoint.step if checkpoint else None)
        for (operation, free), checkpoint in zip(pairs, checkpoints, strict=True)
    ]
    begun = attempts.begin(starts, actor, push=push)
    files = inputs.take([operation.pk for operation, _ in pairs if operation.pk in with_inputs])
    return [
        build_claim(operation, attempt, checkpoint, free.start_path, files.get(operation.pk, ()))
        for (operation, free), attempt, checkpoint in zip(pairs, begun, checkpoints, strict=True)
    ]


def _prepare(operation: Operation) -> Checkpoint | None:
    """Let the operation's kind prepare it; return the checkpoint from which it resumes."""
    kind_of(operation.operation_type).prepare(operation)
    return newest_checkpoint(operation)


def build_claim(
    operation: Operation,
    attempt: Attempt,
    checkpoint: Checkpoint | None,
    start_path: str,
    files: Iterable[tuple[str, str, int]],
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
            inputs=_refs(files),
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

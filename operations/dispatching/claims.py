"""The queue: selects the next operation and its worker, and builds the start request.

A claim is one transaction that locks an operation and a worker without waiting (SKIP LOCKED), so two dispatchers can
never choose the same one. Unique indexes in the schema enforce this as well.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Greatest, Now

from access.isolation import isolated
from operations import attempts, lifecycle
from operations.actors import Actor
from operations.kind import kind_of
from operations.models import Artifact, Attempt, Checkpoint, Operation
from operations.models.attempt import AttemptOutcome
from operations.setbacks import set_aside
from operations.states import Status
from registry import selection
from registry.models import Worker
from registry.worker_client import Endpoint
from worker_agent.protocol import ArtifactRef, CheckpointRef, StartRequest
from worker_agent.trace import Trace

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


@dataclass(frozen=True, slots=True)
class Demand:
    """The properties that decide which workers can run an operation; equal for operations that fit the same workers."""

    operation_type: str
    requirements: dict[str, Any]

    @classmethod
    def of(cls, operation: Operation) -> "Demand":
        return cls(operation.operation_type, operation.requirements)

    @property
    def operations(self) -> Q:
        return Q(operation_type=self.operation_type, requirements=self.requirements)


def claim_next(unmet: list[Demand], actor: Actor) -> Claim | None:
    """Claim a worker for the first operation in the queue that can have one; None if none can.

    A demand that no worker meets now is appended to `unmet` and skipped from then on. An operation whose claim raises is
    set aside.
    """
    failed: set[str] = set()
    while True:
        claim = operation = None
        with isolated("claiming a worker") as unit:
            operation = _head(unmet, failed)
            claim = None if operation is None else claim_for(operation, actor)
        if operation is None:
            return None
        if unit.error is not None:
            failed.add(operation.pk)
            set_aside(operation.pk, unit.error)
        elif claim is not None:
            return claim
        else:
            unmet.append(Demand.of(operation))


def claim_another(operation_id: str, actor: Actor) -> Claim | None:
    """Claim another worker for an operation that the last one rejected."""
    claim = None
    with isolated("claiming another worker", operation_id=operation_id) as unit:
        operation = _queue().filter(pk=operation_id).first()
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
    worker = free_workers(operation).select_for_update(of=("self",), skip_locked=not wait).first()
    if worker is None:
        return None
    kind_of(operation.operation_type).prepare(operation)
    checkpoint = newest_checkpoint(operation)
    attempt = attempts.begin(
        operation, worker, actor, push=push, resumed_from=checkpoint.step if checkpoint else None
    )
    return build_claim(operation, attempt, checkpoint)


def build_claim(operation: Operation, attempt: Attempt, checkpoint: Checkpoint | None) -> Claim:
    worker = Worker(worker_id=attempt.worker_id)
    trace = operation.trace
    return Claim(
        operation_id=operation.pk,
        attempt=attempt.number,
        endpoint=endpoint_of(attempt),
        start_path=selection.start_path(worker, operation.operation_type),
        request=StartRequest(
            task_id=operation.pk,
            attempt=attempt.number,
            parameters=operation.parameters,
            inputs=_refs(operation.artifacts.filter(role=Artifact.Role.INPUT)),
            resume_from=_checkpoint_ref(checkpoint),
            request_id=trace.request_id,
            traceparent=trace.traceparent,
        ),
        trace=trace,
    )


def endpoint_of(attempt: Attempt) -> Endpoint:
    return Endpoint(attempt.worker_id, attempt.instance_id, attempt.endpoint_url)


def newest_checkpoint(operation: Operation) -> Checkpoint | None:
    """Return the checkpoint from which the next attempt resumes."""
    if not operation.resume or not operation.attempt:
        return None
    return operation.checkpoints.order_by("-attempt", "-step").first()


def _checkpoint_ref(checkpoint: Checkpoint | None) -> CheckpointRef | None:
    if checkpoint is None:
        return None
    files = _refs(Artifact.objects.filter(checkpoint=checkpoint))
    return CheckpointRef(attempt=checkpoint.attempt, step=checkpoint.step, files=files)


def _refs(artifacts: QuerySet[Artifact]) -> tuple[ArtifactRef, ...]:
    rows = artifacts.order_by("name").values_list("name", "file_id", "file__size")
    return tuple(ArtifactRef(name=name, sha256=sha256, size=size) for name, sha256, size in rows)


def ready() -> Q:
    """Select PENDING operations that may be claimed now: backoff over, everything they wait for COMPLETED."""
    waits = Operation.after.through.objects.exclude(to_operation__status=Status.COMPLETED)
    return (
        Q(status=Status.PENDING)
        & (Q(not_before__isnull=True) | Q(not_before__lte=Now()))
        & ~Q(pk__in=waits.values("from_operation"))
    )


def _queue() -> QuerySet[Operation]:
    return Operation.objects.select_for_update(of=("self",), skip_locked=True).filter(ready())


def _head(unmet: list[Demand], failed: set[str]) -> Operation | None:
    queue = _queue().exclude(pk__in=failed).order_by(F("priority").desc(), "created_at", "pk")
    for demand in unmet:
        queue = queue.exclude(demand.operations)
    return queue.first()


def free_workers(operation: Operation) -> QuerySet[Worker]:
    """Return idle workers that can run it, except those that rejected or lost work and have not reported healthy since."""
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
    free = selection.candidates(operation.operation_type, operation.requirements, operation.prefer_gpu)
    return free.filter(~Exists(on_worker.filter(ended_at__isnull=True)), ~Exists(recently_failed))


def update_waiting_reasons(unmet: list[Demand]) -> None:
    """Store why operations could not get a worker; fail those with `queue: false`."""
    for demand in unmet:
        with isolated("updating waiting reasons", operation_type=demand.operation_type, atomic=False):
            _update_waiting_reason(demand)


def _update_waiting_reason(demand: Demand) -> None:
    waiting = Operation.objects.filter(ready(), demand.operations)
    reason = selection.explain(demand.operation_type, demand.requirements)
    for operation_id in waiting.filter(queue=False, started_at=None).values_list("pk", flat=True):
        lifecycle.fail_without_worker(operation_id, reason)
    waiting.exclude(waiting_reason=reason).filter(status=Status.PENDING).update(waiting_reason=reason)

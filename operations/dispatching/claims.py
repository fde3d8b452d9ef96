"""The queue: which operation is next, on which worker, and what that worker is sent.

A claim is one transaction that locks an operation and a worker without waiting (SKIP LOCKED): two dispatchers
can never choose the same one, and the unique indexes of the schema say so once more.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Greatest, Now

from operations import lifecycle
from operations.actors import Actor
from operations.kind import kind_of
from operations.models import Artifact, Attempt, Checkpoint, Operation
from operations.models.attempt import AttemptOutcome
from operations.states import Status
from registry import selection
from registry.models import Worker
from registry.worker_client import Endpoint
from worker_agent.protocol import ArtifactRef, CheckpointRef, StartRequest
from worker_agent.trace import Trace

MAX_OTHERS = 3
"""Workers that are asked at once after the first one did not take it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An attempt and what its worker is to be sent."""

    operation_id: str
    attempt: int
    endpoint: Endpoint
    start_path: str
    request: StartRequest
    trace: Trace


@dataclass(frozen=True, slots=True)
class Demand:
    """What operations that any of the same workers could take have in common."""

    operation_type: str
    requirements: dict[str, Any]

    @classmethod
    def of(cls, operation: Operation) -> "Demand":
        return cls(operation.operation_type, operation.requirements)

    @property
    def operations(self) -> Q:
        return Q(operation_type=self.operation_type, requirements=self.requirements)


def claim_next(unmet: list[Demand], actor: Actor) -> Claim | None:
    """Claims a worker for the first operation in the queue that can have one; None when none can.

    A demand that no worker meets now is appended to `unmet` and not looked at again.
    """
    while True:
        with transaction.atomic():
            operation = _head(unmet)
            if operation is None:
                return None
            claim = claim_for(operation, actor)
            if claim is not None:
                return claim
        unmet.append(Demand.of(operation))


def claim_again(operation_id: str, actor: Actor) -> Claim | None:
    """Claims another worker for an operation that the last one did not take."""
    with transaction.atomic():
        operation = _queue().filter(pk=operation_id).first()
        return None if operation is None else claim_for(operation, actor)


def claim_for(operation: Operation, actor: Actor, *, push: bool = True, wait: bool = False) -> Claim | None:
    """Claims a worker for the locked, PENDING operation; None where none is free.

    With `push` the caller sends the start at once; else the next dispatcher does. With `wait` a worker whose row
    somebody else is writing is waited for, so that None is true; only for an operation that nobody else sees yet.
    """
    worker = free_workers(operation).select_for_update(of=("self",), skip_locked=not wait).first()
    if worker is None:
        return None
    kind_of(operation.operation_type).prepare(operation)
    checkpoint = newest_checkpoint(operation)
    attempt = lifecycle.begin_attempt(
        operation, worker, actor, push=push, resumed_from=checkpoint.step if checkpoint else None
    )
    return of_attempt(operation, attempt, checkpoint)


def of_attempt(operation: Operation, attempt: Attempt, checkpoint: Checkpoint | None) -> Claim:
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
            resume_from=_resume_from(checkpoint),
            request_id=trace.request_id,
            traceparent=trace.traceparent,
        ),
        trace=trace,
    )


def endpoint_of(attempt: Attempt) -> Endpoint:
    return Endpoint(attempt.worker_id, attempt.instance_id, attempt.endpoint_url)


def newest_checkpoint(operation: Operation) -> Checkpoint | None:
    """From which the next attempt goes on."""
    if not operation.resume or not operation.attempt:
        return None
    return operation.checkpoints.order_by("-attempt", "-step").first()


def _resume_from(checkpoint: Checkpoint | None) -> CheckpointRef | None:
    if checkpoint is None:
        return None
    files = _refs(Artifact.objects.filter(checkpoint=checkpoint))
    return CheckpointRef(attempt=checkpoint.attempt, step=checkpoint.step, files=files)


def _refs(artifacts: QuerySet[Artifact]) -> tuple[ArtifactRef, ...]:
    rows = artifacts.order_by("name").values_list("name", "file_id", "file__size")
    return tuple(ArtifactRef(name=name, sha256=sha256, size=size) for name, sha256, size in rows)


def ready() -> Q:
    """PENDING operations that may be claimed at this moment: backoff over, everything they wait for COMPLETED."""
    waits = Operation.after.through.objects.exclude(to_operation__status=Status.COMPLETED)
    return (
        Q(status=Status.PENDING)
        & (Q(not_before__isnull=True) | Q(not_before__lte=Now()))
        & ~Q(pk__in=waits.values("from_operation"))
    )


def _queue() -> QuerySet[Operation]:
    return Operation.objects.select_for_update(of=("self",), skip_locked=True).filter(ready())


def _head(unmet: list[Demand]) -> Operation | None:
    queue = _queue().order_by(F("priority").desc(), "created_at", "pk")
    for demand in unmet:
        queue = queue.exclude(demand.operations)
    return queue.first()


def free_workers(operation: Operation) -> QuerySet[Worker]:
    """Idle workers for it, without those that turned work away and have said nothing good of themselves since."""
    attempts = Attempt.objects.filter(worker_id=OuterRef("pk"))
    turned_away = attempts.filter(
        outcome__in=[AttemptOutcome.REJECTED, AttemptOutcome.LOST],
        instance_id=OuterRef("instance_id"),
        ended_at__gt=Greatest(
            OuterRef("registered_at"),
            OuterRef("last_healthy_at"),
            Now() - timedelta(seconds=2 * settings.HEALTH_INTERVAL_S),
        ),
    )
    free = selection.candidates(operation.operation_type, operation.requirements, operation.prefer_gpu)
    return free.filter(~Exists(attempts.filter(ended_at__isnull=True)), ~Exists(turned_away))


def explain_waiting(unmet: list[Demand]) -> None:
    """Says of each operation that could not have a worker why; fails the one that was not to wait."""
    for demand in unmet:
        waiting = Operation.objects.filter(ready(), demand.operations)
        reason = selection.explain(demand.operation_type, demand.requirements)
        for operation_id in waiting.filter(queue=False, started_at=None).values_list("pk", flat=True):
            lifecycle.refuse_to_wait(operation_id, reason)
        waiting.exclude(waiting_reason=reason).filter(status=Status.PENDING).update(waiting_reason=reason)

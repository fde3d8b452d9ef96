"""What a worker says it runs, held against what we believe it runs.

The table, one cell per way to disagree (`judge`). Rows: the worker's active attempt as it stands in the database
("other incarnation": it was given to a process of this worker that has been replaced since). Columns: what the
worker says, at registration or at a health check.

| ours                     | idle        | has finished ours | runs ours        | runs something else |
|--------------------------|-------------|-------------------|------------------|---------------------|
| none                     | leave       | -                 | -                | leave, stop that    |
| DISPATCHING              | leave (1)   | ask               | accept           | leave (1), stop that |
| RUNNING                  | ask (2)     | ask               | leave            | ask (2), stop that  |
| CANCELLING               | ask         | ask               | leave, stop it   | ask, stop that      |
| other incarnation        | lose        | ask               | accept           | lose, stop that     |
| the same, CANCELLING     | lose (3)    | ask               | leave, stop it   | lose (3), stop that |

"ask": a dispatcher asks the worker about this very operation (or repeats the cancel) and acts on that answer,
never on this one, which may have been given before we sent a start that it has by now (2). An unanswered start
is asked about in any case (1). A cancelled operation whose worker is lost is CANCELLED (3). "stop": the attempt
is superseded, cancelled or unknown to us; the worker is told to end it, and its fence makes whatever it still
reports harmless.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog
from django.db.models import Count, Q

from operations import artifacts, lifecycle, reports
from operations.actors import REGISTRATION, SWEEP, Actor
from operations.models import Attempt, Operation
from operations.models.attempt import AttemptOutcome
from operations.notifications import announce, chores
from operations.states import Status
from registry.models import Worker, WorkerStatus
from registry.operations_port import Reconciliation, WorkerHistory
from worker_agent.protocol import FinishedOperation, Health, Registration, RunningOperation

log = structlog.get_logger(__name__)


class Action(StrEnum):
    LEAVE = "leave"
    ACCEPT = "accept"
    ASK = "ask"
    LOSE = "lose"


@dataclass(frozen=True, slots=True)
class Says:
    """What a worker's message means for one attempt of ours."""

    runs: RunningOperation | None
    finished: frozenset[str] = frozenset()
    """Operations whose report it still holds."""
    instance_id: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    action: Action
    stop: bool
    """Whether what the worker runs is to be ended."""


def judge(ours: Attempt | None, says: Says) -> Judgement:
    """The table above."""
    if ours is None:
        return Judgement(Action.LEAVE, stop=says.runs is not None)
    status = Status(ours.operation.status)
    replaced = ours.instance_id != says.instance_id
    if _is_same(ours, says.runs):
        if status is Status.CANCELLING:
            return Judgement(Action.LEAVE, stop=True)
        accept = replaced or status is Status.DISPATCHING
        return Judgement(Action.ACCEPT if accept else Action.LEAVE, stop=False)
    stop = says.runs is not None
    if ours.operation_id in says.finished:
        return Judgement(Action.ASK, stop)
    if replaced:
        return Judgement(Action.LOSE, stop)
    return Judgement(Action.LEAVE if status is Status.DISPATCHING else Action.ASK, stop)


def _is_same(ours: Attempt, runs: RunningOperation | None) -> bool:
    return runs is not None and (runs.operation_id, runs.attempt) == (ours.operation_id, ours.number)


class OperationsOfWorkers:
    """What the registry asks of this room (`registry.operations_port.OperationsPort`)."""

    def reconcile_registration(self, worker: Worker, registration: Registration) -> Reconciliation:
        """Reports that the worker kept come first: what it finished is never called lost."""
        acknowledged = tuple(
            finished.operation_id
            for finished in registration.completed_operations
            if _take_over(worker.worker_id, finished)
        )
        held = {finished.operation_id for finished in registration.completed_operations}
        says = Says(
            registration.current_operation, frozenset(held - set(acknowledged)), registration.instance_id
        )
        ours = _active([worker.worker_id]).get(worker.worker_id)
        judgement = judge(ours, says)
        _act(ours, judgement.action, says, REGISTRATION, registration.endpoint_url)
        kept = ours is not None and judgement.action is not Action.LOSE
        return Reconciliation(
            status=WorkerStatus.BUSY if kept or says.runs is not None else WorkerStatus.AVAILABLE,
            stop_operations=(says.runs,) if judgement.stop and says.runs else (),
            acknowledged=acknowledged,
        )

    def reconcile_health(self, answers: Mapping[str, Health]) -> dict[str, list[RunningOperation]]:
        """An answer of an incarnation that has been replaced since it was asked says nothing."""
        current = dict(Worker.objects.filter(pk__in=answers).values_list("pk", "instance_id"))
        slots = _active(list(answers))
        stop: dict[str, list[RunningOperation]] = {}
        for worker_id, health in answers.items():
            if current.get(worker_id) != health.instance_id:
                continue
            says = Says(_running(health), frozenset(health.unacknowledged), health.instance_id)
            ours = slots.get(worker_id)
            judgement = judge(ours, says)
            _act(ours, judgement.action, says, SWEEP)
            if judgement.stop and says.runs is not None:
                stop[worker_id] = [says.runs]
        return stop

    def mark_lost(self, workers: Mapping[str, str], reason: str) -> int:
        """Only attempts of the incarnation that is meant: the worker may have come back meanwhile."""
        lost = 0
        for worker_id, attempt in sorted(_active(list(workers)).items()):
            if attempt.instance_id == workers[worker_id]:
                lost += lifecycle.lose(attempt.operation_id, attempt.number, SWEEP, f"{worker_id}: {reason}")
        return lost

    def has_active_attempt(self, worker_id: str) -> bool:
        return Attempt.objects.filter(worker_id=worker_id, ended_at__isnull=True).exists()

    def histories(self, worker_ids: Sequence[str]) -> dict[str, WorkerHistory]:
        active = dict(
            Attempt.objects.filter(worker_id__in=worker_ids, ended_at__isnull=True).values_list(
                "worker_id", "operation_id"
            )
        )
        ended = (
            Attempt.objects.filter(worker_id__in=worker_ids)
            .order_by()
            .values("worker_id")
            .annotate(
                completed=Count("pk", filter=Q(outcome=AttemptOutcome.COMPLETED)),
                failed=Count("pk", filter=Q(outcome=AttemptOutcome.FAILED)),
            )
        )
        counts = {row["worker_id"]: (row["completed"], row["failed"]) for row in ended}
        return {
            worker_id: WorkerHistory(active.get(worker_id), *counts.get(worker_id, (0, 0)))
            for worker_id in worker_ids
        }

    def on_worker_removed(self, worker_id: str, instance_id: str, reason: str) -> None:
        announce.worker_lost(worker_id, instance_id, reason)

    def cleanup(self) -> dict[str, int]:
        return {"removed_files": artifacts.remove_unreferenced(), "removed_deliveries": chores.forget()}


def _active(worker_ids: Sequence[str]) -> dict[str, Attempt]:
    """worker id -> its active attempt, with its operation."""
    rows = Attempt.objects.filter(worker_id__in=worker_ids, ended_at__isnull=True)
    return {attempt.worker_id: attempt for attempt in rows.select_related("operation")}


def _running(health: Health) -> RunningOperation | None:
    if health.current_operation is None:
        return None
    # Without its number it is no fence of ours, but it can still be told to stop.
    return RunningOperation(operation_id=health.current_operation, attempt=health.current_attempt or 1)


def _take_over(worker_id: str, finished: FinishedOperation) -> bool:
    """Whether the worker may forget it: applied, refused for ever, or of an operation that is not known."""
    said = log.bind(operation_id=finished.operation_id, attempt=finished.report.attempt, worker_id=worker_id)
    try:
        verdict = reports.apply(finished.operation_id, worker_id, finished.report)
    except Operation.DoesNotExist:
        verdict = reports.Verdict.REFUSED
    except reports.MissingFiles as error:
        said.info("a kept report waits for its files", reason=str(error))
        return False
    said.info("a kept report was delivered", verdict=verdict)
    return True


def _act(ours: Attempt | None, action: Action, says: Says, actor: Actor, endpoint_url: str = "") -> None:
    if ours is None or action is Action.LEAVE:
        return
    if action is Action.LOSE:
        reason = f"{ours.worker_id} restarted and does not know it any more"
        lifecycle.lose(ours.operation_id, ours.number, actor, reason)
        return
    lifecycle.adopt(ours, says.instance_id, endpoint_url or ours.endpoint_url)
    if action is Action.ACCEPT:
        lifecycle.accept(ours.operation_id, ours.number, actor, "the worker says that it runs it")
    else:
        lifecycle.contact(Attempt.objects.filter(pk=ours.pk))

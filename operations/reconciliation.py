"""Reconciles the attempts that workers report with those that the database has.

The table has one cell per kind of disagreement (`resolve`). Rows: the worker's active attempt in the database ("other
incarnation": it was given to a process of this worker that has been replaced since). Columns: the state that the
worker reports, at registration or in a health check.

| ours                     | idle        | has finished ours | runs ours        | runs something else |
|--------------------------|-------------|-------------------|------------------|---------------------|
| none                     | leave       | -                 | -                | leave, stop that    |
| DISPATCHING              | leave (1)   | ask               | accept           | leave (1), stop that |
| RUNNING                  | ask (2)     | ask               | leave            | ask (2), stop that  |
| CANCELLING               | ask         | ask               | leave, stop it   | ask, stop that      |
| other incarnation        | lose        | ask               | accept           | lose, stop that     |
| the same, CANCELLING     | lose (3)    | ask               | leave, stop it   | lose (3), stop that |

"ask": a dispatcher asks the worker about this very operation (or repeats the cancel) and acts on that response, never
on this one, which may be older than a start that the worker has received by now (2). A dispatcher asks about an
unanswered start in any case (1). A cancelled operation whose worker is lost is CANCELLED (3). Another incarnation
"runs ours" only if it knows the attempt's secret. "stop": the attempt is superseded, cancelled or unknown to us; the
worker must end it, and its fence makes anything it still reports harmless.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from operations import attempt_secrets, attempts, interruptions
from operations.actors import Actor
from operations.models import Attempt
from operations.states import Status
from worker_agent.protocol import RunningOperation


class Action(StrEnum):
    LEAVE = "leave"
    ACCEPT = "accept"
    ASK = "ask"
    LOSE = "lose"


@dataclass(frozen=True, slots=True)
class ReportedState:
    """The state that a worker reports in a registration or a health response."""

    running: RunningOperation | None
    finished: frozenset[str] = frozenset()
    """Operations whose report it still holds."""
    instance_id: str = ""
    attempt_secret: str = field(default="", repr=False)
    """That of `running`."""


@dataclass(frozen=True, slots=True)
class Resolution:
    action: Action
    stop: bool
    """Whether the worker must stop what it runs."""


def resolve(ours: Attempt | None, reported: ReportedState) -> Resolution:
    """Return the cell of the table above."""
    if ours is None:
        return Resolution(Action.LEAVE, stop=reported.running is not None)
    status = Status(ours.operation.status)
    is_replaced = ours.instance_id != reported.instance_id
    if _is_same(ours, reported.running) and (
        not is_replaced or attempt_secrets.is_proven(ours, reported.attempt_secret)
    ):
        if status is Status.CANCELLING:
            return Resolution(Action.LEAVE, stop=True)
        accept = is_replaced or status is Status.DISPATCHING
        return Resolution(Action.ACCEPT if accept else Action.LEAVE, stop=False)
    stop = reported.running is not None
    if ours.operation_id in reported.finished:
        return Resolution(Action.ASK, stop)
    if is_replaced:
        return Resolution(Action.LOSE, stop)
    return Resolution(Action.LEAVE if status is Status.DISPATCHING else Action.ASK, stop)


def _is_same(ours: Attempt, running: RunningOperation | None) -> bool:
    return running is not None and (running.operation_id, running.attempt) == (ours.operation_id, ours.number)


def apply(
    ours: Attempt | None, action: Action, reported: ReportedState, actor: Actor, endpoint_url: str = ""
) -> None:
    """Apply the action to our attempt."""
    if ours is None or action is Action.LEAVE:
        return
    if action is Action.LOSE:
        reason = f"{ours.worker_id} restarted and no longer knows the operation"
        interruptions.mark_lost(ours.operation_id, ours.number, actor, reason)
        return
    attempts.adopt(ours, reported.instance_id, endpoint_url or ours.endpoint_url)
    if action is Action.ACCEPT:
        attempts.accept(ours.operation_id, ours.number, actor, "the worker reports that it is running")
    else:
        attempts.schedule_contact(Attempt.objects.filter(pk=ours.pk))

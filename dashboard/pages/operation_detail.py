"""Data for the page of one operation: actions, failure, log, metrics and files."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Max, QuerySet
from django.utils import timezone

from operations.models import Artifact, Attempt, Checkpoint, LogLine, Operation
from operations.models.attempt import AttemptOutcome
from operations.registered_kinds import kind_of
from operations.states import FINAL, Status
from worker_agent.protocol import ErrorClass

LOG_PAGE = 500


@dataclass(frozen=True, slots=True)
class Action:
    """A button; `refusal` is the reason why it is disabled, empty if it is enabled."""

    name: str
    refusal: str


def actions(operation: Operation, not_permitted: str) -> dict[str, Action]:
    """Return the actions for the operation's status, by name.

    `not_permitted` is the reason why this user may not act on operations, empty if they may.
    """
    if operation.is_final:
        refusal = not_permitted or _retry_refusal(operation)
        return {
            "retry": Action("Retry", refusal),
            "resume": Action("Resume", refusal or _resume_refusal(operation)),
        }
    return {"cancel": Action("Cancel", not_permitted or _cancel_refusal(operation))}


def _cancel_refusal(operation: Operation) -> str:
    if operation.status == Status.CANCELLING:
        return "Already cancelling."
    return ""


def _retry_refusal(operation: Operation) -> str:
    return "Completed. Clone to run it again." if operation.status == Status.COMPLETED else ""


def _resume_refusal(operation: Operation) -> str:
    return "" if operation.checkpoints.exists() else "Cannot be resumed: no checkpoint was saved."


@dataclass(frozen=True, slots=True)
class Failure:
    sentence: str
    advice: str


ADVICE = {
    ErrorClass.INVALID: (
        "The input is invalid.",
        "{again}. Retrying it unchanged will fail the same way.",
    ),
    ErrorClass.JOB: (
        "The job raised an error.",
        "See the last log lines and the traceback. Retry if the cause was external. Otherwise: {again}.",
    ),
    ErrorClass.OUT_OF_MEMORY: (
        "The worker ran out of memory.",
        "Use fewer symbols, a shorter range or a smaller batch, or require a worker with more memory.",
    ),
    ErrorClass.TIMEOUT: (
        "The time limit was exceeded.",
        "Resume from the newest checkpoint, or reduce the amount of work.",
    ),
    ErrorClass.LOST: (
        "The worker was lost and no attempts remain.",
        "Check the workers page. Resume continues from the newest checkpoint; retry starts from the beginning.",
    ),
}


def failure(operation: Operation) -> Failure | None:
    """Summarize why the operation failed, with advice; None if it has not failed."""
    if operation.status != Status.FAILED:
        return None
    sentence, advice = ADVICE[ErrorClass(operation.error_class)]
    is_clonable = kind_of(operation.operation_type).is_clonable
    again = "Clone it and correct the input" if is_clonable else "Submit it again with a corrected input"
    return Failure(operation.error_message.strip().split("\n")[0] or sentence, advice.format(again=again))


def status_text(operation: Operation) -> str:
    """Describe what an operation that has not ended is doing."""
    match operation.status:
        case Status.PENDING:
            return operation.waiting_reason or "Queued."
        case Status.CANCELLING:
            return "Cancelling: waiting for the worker to stop the job."
        case _:
            return operation.progress.get("current_step") or "Starting"


def steps_text(operation: Operation) -> str:
    """Return for example `3 of 10`; empty if the operation has no steps or its status text already contains this."""
    total = operation.progress.get("steps_total")
    text = f"{operation.progress.get('steps_completed') or 0} of {total}"
    return "" if not total or text in status_text(operation) else text


def elapsed_time(operation: Operation) -> timedelta | None:
    """Return the time from the first start to the end; None before either."""
    if operation.started_at is None or operation.completed_at is None:
        return None
    return operation.completed_at - operation.started_at


def running_time(active: Attempt | None) -> timedelta | None:
    """Return how long the active attempt has been running; None while no worker runs it."""
    return timezone.now() - active.started_at if active and active.started_at else None


def interruption(operation: Operation) -> str:
    """Describe how the previous attempt of a waiting operation ended, and where the next one starts; or return ""."""
    if operation.status not in (Status.PENDING, Status.DISPATCHING):
        return ""
    ended = operation.attempts.filter(ended_at__isnull=False).order_by("-number").first()
    if ended is None or ended.outcome not in (AttemptOutcome.LOST, AttemptOutcome.INTERRUPTED):
        return ""
    checkpoint = newest_checkpoint(operation) if operation.resume else None
    start = f"resumes from step {checkpoint.step}" if checkpoint else "starts from the beginning"
    reason = f" ({ended.error})" if ended.error else ""
    return f"Attempt {ended.number} was {ended.outcome}{reason}. The next attempt {start}."


def active_attempt(operation: Operation) -> Attempt | None:
    return operation.attempts.filter(ended_at__isnull=True).first() if operation.is_active else None


def version(operation: Operation, active: Attempt | None) -> str:
    """Hash the state that the live part of the page shows, for its ETag."""
    state = (
        operation.status,
        operation.attempt,
        operation.worker_id,
        operation.progress,
        operation.waiting_reason,
        operation.completed_at,
        active and (active.silent_since, active.stop_reason),
    )
    return hashlib.sha256(repr(state).encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class LogPage:
    lines: list[LogLine]
    cursor: int
    """id of the newest line; the next request continues after it"""
    is_cut: bool
    """whether older lines were left out"""


def log_page(operation: Operation, level: str, search: str, after: int | None) -> LogPage:
    """Return the newest lines that match, or with `after` only the lines since then."""
    lines = filter_log(operation, level, search)
    newest = operation.log_lines.aggregate(newest=Max("pk"))["newest"] or 0
    if after is not None:
        return LogPage(list(lines.filter(pk__gt=after, pk__lte=newest)[:LOG_PAGE]), newest, False)
    last = list(lines.order_by("-pk")[: LOG_PAGE + 1])
    return LogPage(last[:LOG_PAGE][::-1], newest, len(last) > LOG_PAGE)


def filter_log(operation: Operation, level: str, search: str) -> QuerySet[LogLine]:
    """Select the lines of at least this level that contain `search`."""
    lines = LogLine.objects.filter(operation=operation).order_by("pk")
    if level == "warning":
        lines = lines.filter(level__in=["warning", "error"])
    elif level == "error":
        lines = lines.filter(level="error")
    return lines.filter(message__icontains=search) if search else lines


def files(operation: Operation) -> list[Artifact]:
    return list(operation.artifacts.select_related("file", "checkpoint").order_by("role", "name"))


def newest_checkpoint(operation: Operation) -> Checkpoint | None:
    return operation.checkpoints.order_by("-attempt", "-step").first()


def is_live(operation: Operation) -> bool:
    return operation.status not in FINAL

"""What the page of one operation shows: what may be done with it, why it failed, its log, metrics and files."""

import difflib
import hashlib
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Max, QuerySet
from django.utils import timezone

from operations.models import Artifact, Checkpoint, LogLine, Operation
from operations.states import FINAL, Status
from worker_agent.protocol import ErrorClass

LOG_PAGE = 500


@dataclass(frozen=True, slots=True)
class Action:
    """A button: `refusal` says why it cannot be pressed now, empty where it can."""

    name: str
    refusal: str


def actions(operation: Operation, not_permitted: str) -> dict[str, Action]:
    """Those that make sense in its state, by name; a refused one is shown with its reason.

    `not_permitted` says why this person may do none of them, empty where they may.
    """
    if operation.is_final:
        why_not_again = not_permitted or _why_not_again(operation)
        return {
            "retry": Action("Retry", why_not_again),
            "resume": Action("Resume", why_not_again or _why_not_resume(operation)),
        }
    return {"cancel": Action("Cancel", not_permitted or _why_not_cancel(operation))}


def _why_not_cancel(operation: Operation) -> str:
    if operation.status == Status.CANCELLING:
        return "Cancelling was asked for already; the worker is being told."
    return ""


def _why_not_again(operation: Operation) -> str:
    is_done = operation.status == Status.COMPLETED
    return "It has completed; clone it to run it again." if is_done else ""


def _why_not_resume(operation: Operation) -> str:
    return "" if operation.checkpoints.exists() else "Resume is not possible: it left no checkpoint."


@dataclass(frozen=True, slots=True)
class Failure:
    sentence: str
    advice: str


ADVICE = {
    ErrorClass.INVALID: (
        "Its input cannot be used.",
        "Clone it, change what the message names, and submit it again. Retrying it as it stands will fail alike.",
    ),
    ErrorClass.JOB: (
        "The job raised an error.",
        "Read the last log lines and the traceback. Retry it if the cause was outside of it, else clone and change it.",
    ),
    ErrorClass.OUT_OF_MEMORY: (
        "The worker ran out of memory.",
        "Use fewer symbols, a shorter range or a smaller batch, or ask for a worker with more memory.",
    ),
    ErrorClass.TIMEOUT: (
        "It took longer than it was allowed.",
        "Resume it from its newest checkpoint, or make the work smaller.",
    ),
    ErrorClass.LOST: (
        "Its worker was lost, and so were all the attempts it had.",
        "Look at the workers page. Resume goes on from the newest checkpoint, retry starts afresh.",
    ),
}


def failure(operation: Operation) -> Failure | None:
    if operation.status != Status.FAILED:
        return None
    sentence, advice = ADVICE[ErrorClass(operation.error_class)]
    return Failure(operation.error_message.strip().split("\n")[0] or sentence, advice)


def elapsed(operation: Operation) -> timedelta | None:
    if operation.started_at is None:
        return None
    return (operation.completed_at or timezone.now()) - operation.started_at


def version(operation: Operation) -> str:
    """Changes whenever the live part of the page would; the ETag of that part."""
    state = (
        operation.status,
        operation.attempt,
        operation.worker_id,
        operation.progress,
        operation.waiting_reason,
        operation.completed_at,
    )
    return hashlib.sha256(repr(state).encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class LogPage:
    lines: list[LogLine]
    cursor: int
    """id of the newest line there is; what comes later is asked for with it"""
    is_cut: bool
    """older lines exist that are not shown"""


def log_page(operation: Operation, level: str, search: str, after: int | None) -> LogPage:
    """The newest lines, or with `after` only what came since, filtered."""
    lines = filtered_log(operation, level, search)
    newest = operation.log_lines.aggregate(newest=Max("pk"))["newest"] or 0
    if after is not None:
        return LogPage(list(lines.filter(pk__gt=after, pk__lte=newest)[:LOG_PAGE]), newest, False)
    last = list(lines.order_by("-pk")[: LOG_PAGE + 1])
    return LogPage(last[:LOG_PAGE][::-1], newest, len(last) > LOG_PAGE)


def filtered_log(operation: Operation, level: str, search: str) -> QuerySet[LogLine]:
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


@dataclass(frozen=True, slots=True)
class Difference:
    kind: str
    """add, del or same"""
    text: str


def differences(before: str, after: str) -> list[Difference]:
    """Line by line, with three lines around each change."""
    kinds = {"+": "add", "-": "del", " ": "same"}
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    return [
        Difference(kinds[line[0]], line)
        for line in lines
        if line[:1] in kinds and not line.startswith(("+++", "---"))
    ]


def is_live(operation: Operation) -> bool:
    return operation.status not in FINAL

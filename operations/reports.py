"""Applies a worker's report of an attempt's end, exactly once, if the attempt is current."""

import hashlib
from enum import StrEnum
from typing import Any

from django.db.models.functions import Now

from access.conflicts import atomic_with_retries
from operations import (
    attempt_rows,
    attempt_secrets,
    attempts,
    interruptions,
    lifecycle,
    telemetry,
    time_limits,
)
from operations.actors import Actor
from operations.endings import Ending
from operations.followers import lock_with_followers
from operations.kind import ResultUnusable
from operations.models import Artifact, Attempt, Checkpoint, Operation, StoredFile
from operations.models.attempt import AttemptOutcome
from operations.registered_kinds import kind_of
from operations.runs import recording
from operations.states import Status
from worker_agent.protocol import ArtifactRef, CheckpointReport, ErrorClass, OperationError, Outcome, Report

COMPLETED = "completed"
"""The reason of the event."""


class ReportStatus(StrEnum):
    APPLIED = "applied"
    REPEATED = "repeated"
    """The same report was applied before; the response is the same."""
    REFUSED = "refused"
    """The attempt is not the current one; nothing changed."""


class RefusalReason(StrEnum):
    """Why an attempt is not current; the first word of the event's reason."""

    SUPERSEDED = "superseded"
    """A newer attempt is current."""
    ENDED = "ended"
    """The attempt has already ended otherwise."""
    FOREIGN = "foreign"
    """The attempt belongs to another worker."""
    UNPROVEN = "unproven"
    """The sender does not know the attempt's secret."""


class MissingFiles(Exception):
    """The report refers to files that were not uploaded before it."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"not stored: {', '.join(names)}")
        self.names = names


@atomic_with_retries
def apply(operation_id: str, worker_id: str, report: Report) -> ReportStatus:
    """Apply the report in one transaction.

    A report from a newer incarnation of the same worker is accepted while the attempt is current: a restarted agent
    delivers what its predecessor finished. Raises Operation.DoesNotExist, MissingFiles.
    """
    digest = digest_of(report)
    if report.outcome in (Outcome.FAILED, Outcome.CANCELLED):
        lock_with_followers([operation_id])
    operation, attempt = attempt_rows.lock_reported(operation_id, worker_id, report.attempt)
    subject = f"{report.outcome} of attempt {report.attempt}"
    if attempt is not None and not attempt_secrets.is_proven(attempt, report.attempt_secret):
        return _refuse(operation, attempt, worker_id, subject, RefusalReason.UNPROVEN)
    if attempt is not None and attempt.ended_at is not None and attempt.report_sha256 == digest:
        return ReportStatus.REPEATED
    if attempt is None or attempt.ended_at is not None or attempt.number != operation.attempt:
        return _refuse(operation, attempt, worker_id, subject)
    _apply(operation, attempt, report, digest)
    return ReportStatus.APPLIED


@atomic_with_retries
def fail_unreadable(
    operation_id: str, worker_id: str, number: int, problem: str, attempt_secret: str
) -> ReportStatus:
    """Fail the operation if the attempt is current and this worker's: its report arrived but cannot be read.

    Raises Operation.DoesNotExist.
    """
    lock_with_followers([operation_id])
    operation, attempt = attempt_rows.lock_reported(operation_id, worker_id, number)
    subject = f"unreadable report of attempt {number}"
    if attempt is not None and not attempt_secrets.is_proven(attempt, attempt_secret):
        return _refuse(operation, attempt, worker_id, subject, RefusalReason.UNPROVEN)
    if attempt is None or attempt.ended_at is not None or attempt.number != operation.attempt:
        return _refuse(operation, attempt, worker_id, subject)
    actor = Actor.worker(worker_id)
    message = f"The worker's report is not valid: {problem}"
    ending = attempts.ending(attempt, AttemptOutcome.FAILED, message)
    if operation.status == Status.CANCELLING:
        lifecycle.move(operation, Status.CANCELLED, actor, f"cancelled; {message}", ending=ending)
    else:
        error = OperationError(error_class=ErrorClass.JOB, message=message)
        lifecycle.fail(operation, error, actor, ending=ending)
    return ReportStatus.APPLIED


def _refuse(
    operation: Operation,
    attempt: Attempt | None,
    worker_id: str,
    subject: str,
    cause: RefusalReason | None = None,
) -> ReportStatus:
    if cause is RefusalReason.UNPROVEN:
        explanation = "without the secret that this attempt's worker got"
    else:
        explanation = f"but attempt {operation.attempt} is current"
    if cause is None and attempt is None:
        cause = RefusalReason.FOREIGN
    elif cause is None and attempt is not None:
        cause = RefusalReason.SUPERSEDED if attempt.number != operation.attempt else RefusalReason.ENDED
    number = attempt.number if attempt else None
    reason = f"{cause}: {subject}, {explanation}"
    lifecycle.record(operation, "refused_report", Actor.worker(worker_id), reason, attempt=number)
    return ReportStatus.REFUSED


def digest_of(report: Report) -> str:
    """Return the digest of the report without the parts in which a repetition may differ (sender, telemetry)."""
    content = report.model_dump_json(include={"attempt", "outcome", "result", "error", "artifacts"})
    return hashlib.sha256(content.encode()).hexdigest()


def _apply(operation: Operation, attempt: Attempt, report: Report, digest: str) -> None:
    actor = Actor.worker(attempt.worker_id)
    telemetry.append(operation, attempt, report.metrics, report.logs)
    _store_outputs(operation, attempt, report.artifacts)
    if report.progress is not None:
        Operation.objects.filter(pk=operation.pk).update(
            progress=report.progress.model_dump(), progress_updated_at=Now()
        )
    if report.outcome is Outcome.INTERRUPTED and operation.status != Status.CANCELLING:
        cause = report.error.message if report.error else "the worker stopped"
        interruptions.interrupt(
            operation,
            attempt,
            AttemptOutcome.INTERRUPTED,
            actor,
            f"interrupted: {cause}",
            report_sha256=digest,
            has_run=True,
        )
        return
    error = report.error.message if report.error else ""
    # The report may have arrived before the dispatcher recorded the acceptance.
    ending = attempts.ending(
        attempt, AttemptOutcome(report.outcome), error, report_sha256=digest, has_run=True
    )
    _end(operation, attempt, report, actor, ending)


def _end(operation: Operation, attempt: Attempt, report: Report, actor: Actor, ending: Ending) -> None:
    result = report.result
    if operation.status == Status.CANCELLING:
        reason = (
            "cancelled"
            if report.outcome is Outcome.CANCELLED
            else f"cancelled; the job had already {report.outcome}"
        )
        lifecycle.move(operation, Status.CANCELLED, actor, reason, result=result, ending=ending)
        return
    match report.outcome:
        case Outcome.COMPLETED:
            _complete(operation, report, actor, ending)
        case _ if attempt.stop_reason:
            error = time_limits.error(attempt.stop_reason)
            lifecycle.fail(operation, error, actor, result=result, ending=ending)
        case Outcome.FAILED:
            assert report.error is not None, "the message requires an error for a failure"
            lifecycle.fail(operation, report.error, actor, result=result, ending=ending)
        case Outcome.CANCELLED:
            reason = "cancelled by the worker"
            lifecycle.move(operation, Status.CANCELLED, actor, reason, result=result, ending=ending)


def _complete(operation: Operation, report: Report, actor: Actor, ending: Ending) -> None:
    try:
        kind_of(operation.operation_type).complete(operation, report)
    except ResultUnusable as problem:
        message = f"The worker reported success, but the result is unusable: {problem}."
        error = OperationError(error_class=ErrorClass.JOB, message=message)
        lifecycle.fail(operation, error, actor, ending=ending)
        return
    lifecycle.move(
        operation,
        Status.COMPLETED,
        actor,
        COMPLETED,
        ending=ending,
        result=report.result or {},
        progress=final_progress(report),
        progress_updated_at=Now(),
    )
    recording.record(operation)


def final_progress(report: Report) -> dict[str, Any]:
    """Return the progress of an operation that this report completes."""
    return {**(report.progress.model_dump() if report.progress else {}), "percentage": 100.0}


def _store_outputs(operation: Operation, attempt: Attempt, refs: tuple[ArtifactRef, ...]) -> None:
    files = _lock_files(refs)
    for ref in refs:
        Artifact.objects.update_or_create(
            operation=operation,
            role=Artifact.Role.OUTPUT,
            name=ref.name,
            defaults={"attempt": attempt.number, "file": files[ref.sha256]},
        )


def _lock_files(refs: tuple[ArtifactRef, ...]) -> dict[str, StoredFile]:
    """Return the files of `refs`, locked against the cleanup until the transaction ends. Raises MissingFiles."""
    if not refs:
        return {}
    hashes = {ref.sha256 for ref in refs}
    files = {
        f.sha256: f
        for f in StoredFile.objects.select_for_update().filter(sha256__in=hashes).order_by("sha256")
    }
    missing = [ref.name for ref in refs if ref.sha256 not in files]
    if missing:
        raise MissingFiles(missing)
    return files


@atomic_with_retries
def add_checkpoint(operation_id: str, worker_id: str, report: CheckpointReport) -> ReportStatus:
    """Store a checkpoint of the current attempt and drop the one before, which may be of the same step.

    Raises Operation.DoesNotExist, MissingFiles.
    """
    operation, attempt = attempt_rows.lock_reported(operation_id, worker_id, report.attempt)
    subject = f"checkpoint of attempt {report.attempt}"
    if attempt is not None and not attempt_secrets.is_proven(attempt, report.attempt_secret):
        return _refuse(operation, attempt, worker_id, subject, RefusalReason.UNPROVEN)
    if attempt is None or attempt.ended_at is not None or attempt.number != operation.attempt:
        return _refuse(operation, attempt, worker_id, subject)
    files = _lock_files(report.files)
    earlier = operation.checkpoints.filter(attempt=report.attempt, step=report.step).first()
    if earlier is not None:
        stored = set(earlier.files.values_list("name", "file_id"))
        if stored == {(ref.name, ref.sha256) for ref in report.files}:
            return ReportStatus.REPEATED
        earlier.delete()
    checkpoint = Checkpoint.objects.create(operation=operation, attempt=report.attempt, step=report.step)
    Artifact.objects.bulk_create(
        Artifact(
            operation=operation,
            role=Artifact.Role.CHECKPOINT,
            name=ref.name,
            attempt=report.attempt,
            checkpoint=checkpoint,
            file=files[ref.sha256],
        )
        for ref in report.files
    )
    operation.checkpoints.exclude(pk=checkpoint.pk).delete()
    lifecycle.record(
        operation, "checkpoint", Actor.worker(worker_id), f"step {report.step}", attempt=report.attempt
    )
    return ReportStatus.APPLIED

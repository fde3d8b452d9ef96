"""The report of an ended attempt, from how its process ended and whether it had been asked to stop."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from worker_agent.attempt.record import AttemptRecord
from worker_agent.backend.file_cache import sha256_of
from worker_agent.job.process import Ending
from worker_agent.job.repair import text_of
from worker_agent.protocol import ArtifactRef, ErrorClass, LogLevel, OperationError, Outcome, Report
from worker_agent.validation_messages import first_problem

MAX_MESSAGE = 4000


@dataclass(frozen=True, slots=True)
class Stop:
    """Why the attempt was asked to stop. The outcome is cancelled, or interrupted if it may continue elsewhere."""

    reason: str
    outcome: Outcome


def final_report(record: AttemptRecord, instance_id: str, ending: Ending, stop: Stop | None) -> Report:
    """Return the report. An attempt is completed only if its final message says so.

    Reads and hashes the artifacts: do not call it in the event loop.
    """
    message = ending.message
    if message is None:
        if stop is not None and ending.killed_by_agent:
            return stop_report(record, instance_id, stop)
        return _report_failure(record, instance_id, ending.error())
    if stop is not None and message["cancel_observed"]:
        # The job observed the cancellation and stopped because of it, whatever it then returned or raised.
        return stop_report(record, instance_id, stop, message.get("result"))
    if message["outcome"] == "failed":
        return _report_failure(record, instance_id, OperationError.model_validate(message["error"]))
    if record.refused_file:
        return failure_report(record, instance_id, f"The result cannot be reported: {record.refused_file}")
    try:
        return _report(
            record,
            instance_id,
            Outcome.COMPLETED,
            result=message["result"],
            artifacts=_artifacts(record),
        )
    except ValidationError as error:
        return failure_report(record, instance_id, f"The result cannot be reported: {first_problem(error)}.")
    except OSError as error:
        return failure_report(record, instance_id, f"The result cannot be reported: {error}")


def stop_report(
    record: AttemptRecord, instance_id: str, stop: Stop, result: dict[str, Any] | None = None
) -> Report:
    """The report of a cancelled or interrupted attempt, with its artifacts so far."""
    error = OperationError(error_class=ErrorClass.JOB, message=text_of(stop.reason, MAX_MESSAGE))
    return _report(
        record, instance_id, stop.outcome, result=result, error=error, artifacts=_artifacts(record)
    )


def failure_report(record: AttemptRecord, instance_id: str, message: str) -> Report:
    error = OperationError(error_class=ErrorClass.JOB, message=text_of(message, MAX_MESSAGE))
    return _report_failure(record, instance_id, error)


def _report_failure(record: AttemptRecord, instance_id: str, error: OperationError) -> Report:
    """The report of a failed attempt, with its artifacts so far."""
    try:
        artifacts = _artifacts(record)
    except OSError as problem:  # the failure itself matters more
        record.add_log(f"The files of the job could not be read: {problem}", LogLevel.WARNING)
        artifacts = ()
    return _report(record, instance_id, Outcome.FAILED, error=error, artifacts=artifacts)


def _artifacts(record: AttemptRecord) -> tuple[ArtifactRef, ...]:
    return tuple(
        ArtifactRef(name=name, sha256=sha256_of(path), size=path.stat().st_size)
        for name, path in record.artifacts.items()
    )


def _report(
    record: AttemptRecord,
    instance_id: str,
    outcome: Outcome,
    *,
    result: dict[str, Any] | None = None,
    error: OperationError | None = None,
    artifacts: tuple[ArtifactRef, ...] = (),
) -> Report:
    metrics, logs = record.unsent()
    return Report(
        attempt=record.attempt,
        attempt_secret=record.secret,
        instance_id=instance_id,
        outcome=outcome,
        result=result,
        error=error,
        artifacts=artifacts,
        progress=record.progress,
        metrics=metrics,
        logs=logs,
    )

"""The report of an attempt that is over: how its process ended, seen with whether somebody wanted that."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from worker_agent.files import sha256_of
from worker_agent.job_process import Ending
from worker_agent.protocol import ArtifactRef, ErrorClass, OperationError, Outcome, Report
from worker_agent.running import RunningOperation

MAX_MESSAGE = 4000


@dataclass(frozen=True, slots=True)
class Stop:
    """Why an attempt was asked to end, and what it then has become: cancelled, or interrupted to go on elsewhere."""

    reason: str
    outcome: Outcome


def judge(operation: RunningOperation, instance_id: str, ending: Ending, stop: Stop | None) -> Report:
    """Reads and hashes the attempt's files, so it is not for the event loop. Completed is only what said so."""
    word = ending.message
    if word is None:
        if stop is not None and ending.killed_by_us:
            return stopped(operation, instance_id, stop)
        return _failure(operation, instance_id, OperationError.model_validate(ending.error()))
    if stop is not None and word["cancel_observed"]:
        # It saw the wish and ended because of it, whatever it returned or raised on the way out.
        return stopped(operation, instance_id, stop, word.get("result"))
    if word["outcome"] == "failed":
        return _failure(operation, instance_id, OperationError.model_validate(word["error"]))
    try:
        return _report(
            operation,
            instance_id,
            Outcome.COMPLETED,
            result=word["result"],
            artifacts=_artifacts(operation),
        )
    except (ValidationError, OSError) as error:
        return failed(operation, instance_id, f"The result cannot be reported: {error}")


def stopped(
    operation: RunningOperation, instance_id: str, stop: Stop, result: dict[str, Any] | None = None
) -> Report:
    """With the artifacts that there are so far."""
    error = OperationError(error_class=ErrorClass.JOB, message=stop.reason[:MAX_MESSAGE])
    return _report(
        operation, instance_id, stop.outcome, result=result, error=error, artifacts=_artifacts(operation)
    )


def failed(operation: RunningOperation, instance_id: str, message: str) -> Report:
    error = OperationError(error_class=ErrorClass.JOB, message=message[:MAX_MESSAGE])
    return _failure(operation, instance_id, error)


def _failure(operation: RunningOperation, instance_id: str, error: OperationError) -> Report:
    return _report(operation, instance_id, Outcome.FAILED, error=error)


def _artifacts(operation: RunningOperation) -> tuple[ArtifactRef, ...]:
    return tuple(
        ArtifactRef(name=name, sha256=sha256_of(path), size=path.stat().st_size)
        for name, path in operation.artifacts.items()
    )


def _report(
    operation: RunningOperation,
    instance_id: str,
    outcome: Outcome,
    *,
    result: dict[str, Any] | None = None,
    error: OperationError | None = None,
    artifacts: tuple[ArtifactRef, ...] = (),
) -> Report:
    metrics, logs = operation.not_pulled()
    return Report(
        attempt=operation.attempt,
        instance_id=instance_id,
        outcome=outcome,
        result=result,
        error=error,
        artifacts=artifacts,
        progress=operation.progress,
        metrics=metrics,
        logs=logs,
    )

"""The end of an attempt as a part of statements, so that it can be stored together with the operation's new status."""

from dataclasses import dataclass

from operations.models.attempt import AttemptOutcome

SET_ENDED = """
    ended_at = statement_timestamp(), outcome = %(outcome)s, error = %(error)s, contact_after = NULL,
    report_sha256 = COALESCE(%(report_sha256)s, attempt.report_sha256),
    started_at = COALESCE(attempt.started_at, CASE WHEN %(starts)s THEN statement_timestamp() END)
"""
"""Of the row `attempt`."""
FREE_WORKER = """
    UPDATE registry_worker
    SET status = 'AVAILABLE', sickness = CASE WHEN %(outcome)s = 'completed' THEN 0 ELSE sickness END
    FROM ended
    WHERE registry_worker.worker_id = ended.worker_id AND registry_worker.instance_id = ended.instance_id
      AND registry_worker.status = 'BUSY'
"""
FENCE = """
    AND attempt = %(attempt)s::int
    AND EXISTS (SELECT FROM operations_attempt WHERE id = %(attempt_id)s AND ended_at IS NULL)
"""
"""Of the operation's row, which the caller has locked: the attempt is its newest one and has not ended."""
END = f""", ended AS (
        UPDATE operations_attempt AS attempt SET {SET_ENDED} FROM moved
        WHERE attempt.id = %(attempt_id)s AND attempt.operation_id = moved.operation_id AND attempt.ended_at IS NULL
        RETURNING attempt.worker_id, attempt.instance_id
    ), worker AS ({FREE_WORKER})"""  # noqa: S608  (constants)
"""The part of the statement that changes a status; `moved` is the changed row."""
SET_STARTED = "started_at = COALESCE(operation.started_at, statement_timestamp()), expires_at = NULL"
"""Of the row `operation`."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ends, and whether it is thereby known to have started."""

    attempt_id: int
    outcome: AttemptOutcome
    error: str
    report_sha256: str | None
    starts: bool

    @property
    def parameters(self) -> dict[str, object]:
        return {
            "attempt_id": self.attempt_id,
            "outcome": self.outcome.value,
            "error": self.error,
            "report_sha256": self.report_sha256,
            "starts": self.starts,
        }

"""Completes an operation whose report has only a result, in one round trip to the database.

Most operations of a worker's own type end so. A report is applied by three statements in a transaction (`reports`), which
are five round trips; here two statements are sent together, and the second one checks everything itself.
"""

from django.utils.crypto import constant_time_compare

from access.conflicts import statement_with_retries
from access.prepared import columns_of, fetch_together, instance
from operations import attempt_secrets, event_log
from operations.actors import Actor
from operations.blockers import RELEASE
from operations.endings import FREE_WORKER, SET_ENDED, SET_STARTED
from operations.event_log import NOT_LOGGED
from operations.models import Operation
from operations.models.attempt import AttemptOutcome
from operations.registered_kinds import types_with_completion
from operations.reports import COMPLETED, digest_of, final_progress
from operations.status_changes import adapt
from registry.dispatch_channel import CHANNEL
from worker_agent.protocol import Outcome, Report

_LOCK = "SELECT FROM operations_operation WHERE operation_id = %(operation_id)s FOR UPDATE"
"""A statement of its own: the next one then sees every operation that was submitted to follow this one."""
_COMPLETE = f"""
    WITH reported AS MATERIALIZED (
        SELECT operation.operation_id, operation.status AS from_status, attempt.id AS attempt_id
        FROM operations_operation AS operation
        JOIN operations_attempt AS attempt
          ON attempt.operation_id = operation.operation_id AND attempt.number = operation.attempt
        JOIN registry_worker AS worker ON worker.worker_id = attempt.worker_id
        WHERE operation.operation_id = %(operation_id)s AND operation.status IN ('DISPATCHING', 'RUNNING')
          AND operation.attempt = %(number)s AND operation.operation_type <> ALL(%(with_completion)s::text[])
          AND attempt.worker_id = %(worker_id)s AND attempt.ended_at IS NULL
          AND worker.instance_id = %(instance_id)s
          AND NOT EXISTS (SELECT FROM operations_subscription WHERE active)
    ), moved AS (
        UPDATE operations_operation AS operation
        SET status = 'COMPLETED', result = %(result)s, progress = %(progress)s, waiting_reason = '', not_before = NULL,
            completed_at = statement_timestamp(), progress_updated_at = statement_timestamp(), {SET_STARTED}
        FROM reported WHERE operation.operation_id = %(operation_id)s
        RETURNING {columns_of(Operation, "operation", without=NOT_LOGGED)}, reported.from_status
    ), ended AS (
        UPDATE operations_attempt AS attempt SET {SET_ENDED} FROM reported, moved
        WHERE attempt.id = reported.attempt_id RETURNING attempt.worker_id, attempt.instance_id
    ), worker AS ({FREE_WORKER}){RELEASE}, event AS (
        INSERT INTO operations_event
            (operation_id, kind, from_status, to_status, attempt, actor, user_id, address, reason)
        SELECT operation_id, 'status', from_status, status, attempt, %(actor)s, NULL, NULL, '{COMPLETED}' FROM moved
    )
    SELECT {columns_of(Operation, "moved", without=NOT_LOGGED)}, pg_notify('{CHANNEL}', '') FROM moved
"""  # noqa: S608  (constants)


@statement_with_retries
def complete(operation_id: str, worker_id: str, instance_id: str, report: Report) -> bool:
    """Complete the operation if the report has only a result, and its attempt is current and the worker's.

    `instance_id` is the incarnation that sent the report. Returns False, and changes nothing, if the registry has another
    one, or if the completion needs more than this: the kind stores a result of its own, somebody is to be notified, or the
    operation is being cancelled.
    """
    if not _is_plain(report) or not _is_proven(operation_id, worker_id, report):
        return False
    actor = Actor.worker(worker_id)
    values = {
        "operation_id": operation_id,
        "number": report.attempt,
        "worker_id": worker_id,
        "instance_id": instance_id,
        "with_completion": types_with_completion(),
        "result": adapt("result", report.result or {}),
        "progress": adapt("progress", final_progress(report)),
        "outcome": AttemptOutcome.COMPLETED.value,
        "error": "",
        "report_sha256": digest_of(report),
        "starts": True,
        "actor": actor.label,
    }
    _, completed = fetch_together((_LOCK, {"operation_id": operation_id}), (_COMPLETE, values))
    for *columns, _ in completed:
        event_log.log_status(instance(Operation, columns, without=NOT_LOGGED), actor, COMPLETED)
    return bool(completed)


def _is_plain(report: Report) -> bool:
    return report.outcome is Outcome.COMPLETED and not (report.metrics or report.logs or report.artifacts)


def _is_proven(operation_id: str, worker_id: str, report: Report) -> bool:
    """Return whether the report has the attempt's secret. One without a secret (protocol 1) goes the long way."""
    expected = attempt_secrets.secret_for(operation_id, report.attempt, worker_id)
    return constant_time_compare(report.attempt_secret, expected)

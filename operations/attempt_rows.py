"""The statements with which `attempts` writes its rows, each with everything that changes at the same moment."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import connection

from access.prepared import columns_of, fetch, fetch_one, instance
from operations.actors import Actor
from operations.endings import FREE_WORKER, SET_ENDED, SET_STARTED, Ending
from operations.event_log import NOT_LOGGED
from operations.models import Attempt, Event, Operation
from operations.models.operation import LARGE
from operations.states import Status

_BEGIN = """
    WITH given AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS given (
            operation_id text, number int, worker_id text, instance_id text, endpoint_url text,
            resumed_from_step bigint, must_prove boolean, reason text
        )
    ), attempt AS (
        INSERT INTO operations_attempt (
            operation_id, number, worker_id, instance_id, endpoint_url, resumed_from_step, must_prove,
            pushed_at, contact_after, outcome, error, report_sha256, metrics_cursor, logs_cursor
        )
        SELECT operation_id, number, worker_id, instance_id, endpoint_url, resumed_from_step, must_prove,
               CASE WHEN %(is_pushed)s THEN statement_timestamp() END,
               statement_timestamp() + make_interval(secs => %(contact_after_s)s), '', '', '', 0, 0
        FROM given RETURNING operation_id, id, claimed_at, pushed_at, contact_after
    ), worker AS (
        UPDATE registry_worker AS worker SET status = 'BUSY', last_selected_at = statement_timestamp()
        FROM given WHERE worker.worker_id = given.worker_id AND worker.worker_id = ANY(%(worker_ids)s::text[])
    ), moved AS (
        UPDATE operations_operation AS operation
        SET status = 'DISPATCHING', attempt = given.number, worker_id = given.worker_id, waiting_reason = '',
            not_before = NULL, progress = '{}', progress_updated_at = NULL, progress_asked_at = NULL
        FROM given
        WHERE operation.operation_id = given.operation_id AND operation.operation_id = ANY(%(operation_ids)s::text[])
          AND operation.status = 'PENDING'
        RETURNING operation.operation_id
    ), event AS (
        INSERT INTO operations_event
            (operation_id, kind, from_status, to_status, attempt, actor, user_id, address, reason)
        SELECT operation_id, 'status', 'PENDING', 'DISPATCHING', given.number, %(actor)s, %(user_id)s::int,
               %(address)s::inet, given.reason
        FROM moved JOIN given USING (operation_id)
    )
    SELECT operation_id, id, claimed_at, pushed_at, contact_after FROM attempt JOIN moved USING (operation_id)
"""
"""PostgreSQL expects a hundred rows of `given`, and would read the whole table for them: the keys choose the index."""
_LOCK_REPORTED = f"""
    WITH operation AS MATERIALIZED (
        SELECT * FROM operations_operation WHERE operation_id = %(operation_id)s FOR UPDATE
    ), attempt AS MATERIALIZED (
        SELECT attempt.* FROM operation JOIN operations_attempt AS attempt USING (operation_id)
        WHERE attempt.number = %(number)s AND attempt.worker_id = %(worker_id)s FOR UPDATE OF attempt
    )
    SELECT {columns_of(Operation, "operation", without=LARGE)}, {columns_of(Attempt, "attempt")}
    FROM operation LEFT JOIN attempt ON true
"""  # noqa: S608  (constants)
"""The attempt is locked as well, so that its newest version is read after the wait for the operation."""
_END = f"""
    WITH ended AS (
        UPDATE operations_attempt AS attempt SET {SET_ENDED}
        WHERE id = %(attempt_id)s AND ended_at IS NULL RETURNING operation_id, worker_id, instance_id
    ), started AS (
        UPDATE operations_operation AS operation SET {SET_STARTED}
        FROM ended WHERE %(starts)s AND operation.operation_id = ended.operation_id
    ), worker AS ({FREE_WORKER})
    SELECT 1 FROM ended
"""  # noqa: S608  (constants)
_ACCEPT = f"""
    WITH operation AS MATERIALIZED (
        SELECT {columns_of(Operation, "operation", without=NOT_LOGGED)}, timeout_s
        FROM unnest(%(operation_ids)s::text[], %(numbers)s::int[]) AS given (operation_id, number)
        JOIN operations_operation AS operation USING (operation_id)
        WHERE operation.operation_id = ANY(%(operation_ids)s::text[]) AND operation.attempt = given.number
        ORDER BY operation.operation_id FOR UPDATE OF operation
    ), accepted AS (
        UPDATE operations_attempt AS attempt
        SET started_at = COALESCE(attempt.started_at, statement_timestamp()),
            contact_after = CASE WHEN operation.status = 'CANCELLING' OR attempt.stop_reason <> ''
                                 THEN statement_timestamp() END,
            deadline = CASE WHEN attempt.started_at IS NULL
                            THEN statement_timestamp() + make_interval(secs => operation.timeout_s)
                            ELSE attempt.deadline END
        FROM operation
        WHERE attempt.operation_id = operation.operation_id AND attempt.number = operation.attempt
          AND attempt.ended_at IS NULL
        RETURNING operation.*
    ), running AS (
        UPDATE operations_operation AS operation
        SET status = 'RUNNING', started_at = COALESCE(operation.started_at, statement_timestamp()),
            expires_at = NULL, setbacks = 0
        FROM accepted
        WHERE operation.operation_id = accepted.operation_id AND accepted.status = 'DISPATCHING'
    ), recovered AS (
        UPDATE operations_operation AS operation SET setbacks = 0
        FROM accepted
        WHERE operation.operation_id = accepted.operation_id AND accepted.status <> 'DISPATCHING'
          AND operation.setbacks > 0
    ), event AS (
        INSERT INTO operations_event
            (operation_id, kind, from_status, to_status, attempt, actor, user_id, address, reason)
        SELECT operation_id, 'status', status, 'RUNNING', attempt, %(actor)s, %(user_id)s::int, %(address)s::inet,
               %(reason)s
        FROM accepted WHERE status = 'DISPATCHING'
    )
    SELECT {columns_of(Operation, "accepted", without=NOT_LOGGED)}
    FROM accepted, (
        SELECT CASE WHEN %(is_alone)s::boolean THEN set_config('synchronous_commit', 'off', true) END
    ) AS durability
"""  # noqa: S608  (constants)
"""Each CTE sees the rows as they were before the statement, but waits for the operation's lock first, and an update reads
the newest version of its row: an attempt that ended meanwhile is not accepted.

As a transaction of its own it does not wait for the disk. A crash of the database within the next fraction of a second
may lose it, but no later commit without it; then the operation is DISPATCHING, and its worker is asked again."""
_OPERATION_COLUMNS = len(Operation._meta.concrete_fields) - len(LARGE)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What was recorded; the operation has only the fields that a log line needs."""

    operation: Operation
    event: Event | None
    """The change to RUNNING; None if the operation was not DISPATCHING."""


def begin(
    attempts: Mapping[str, tuple[Attempt, str]], actor: Actor, *, is_pushed: bool, contact_after_s: float
) -> int:
    """Store new attempts by the ids of their operations, each with its reason; return how many operations were PENDING.

    Each operation becomes DISPATCHING, with its event, and its worker BUSY. All these rows are locked by the caller.
    """
    given = [
        {
            "operation_id": operation_id,
            "number": attempt.number,
            "worker_id": attempt.worker_id,
            "instance_id": attempt.instance_id,
            "endpoint_url": attempt.endpoint_url,
            "resumed_from_step": attempt.resumed_from_step,
            "must_prove": attempt.must_prove,
            "reason": reason,
        }
        for operation_id, (attempt, reason) in attempts.items()
    ]
    by = {"actor": actor.label, "user_id": actor.user_id, "address": actor.address}
    pushed = {"is_pushed": is_pushed, "contact_after_s": contact_after_s}
    keys = {
        "operation_ids": list(attempts),
        "worker_ids": [attempt.worker_id for attempt, _ in attempts.values()],
    }
    rows = fetch(_BEGIN, {"rows": json.dumps(given), **keys, **pushed, **by})
    for operation_id, *stored in rows:
        attempt, _ = attempts[operation_id]
        attempt.pk, attempt.claimed_at, attempt.pushed_at, attempt.contact_after = stored
    return len(rows)


def lock_reported(operation_id: str, worker_id: str, number: int) -> tuple[Operation, Attempt | None]:
    """Lock and return the operation, and the attempt with this number if it is the worker's.

    Raises Operation.DoesNotExist.
    """
    row = fetch_one(_LOCK_REPORTED, {"operation_id": operation_id, "worker_id": worker_id, "number": number})
    if row is None:
        raise Operation.DoesNotExist
    operation = instance(Operation, row[:_OPERATION_COLUMNS], without=LARGE)
    if row[_OPERATION_COLUMNS] is None:
        return operation, None
    attempt = instance(Attempt, row[_OPERATION_COLUMNS:])
    attempt.operation = operation
    return operation, attempt


def end(ending: Ending) -> bool:
    """End an attempt, and make its worker available; return False if it has ended.

    If it thereby starts, also record that its operation has started.
    """
    return bool(fetch(_END, ending.parameters))


def accept(started: Mapping[str, int], actor: Actor, reason: str) -> dict[str, Acceptance]:
    """Record that workers have these attempts, numbers by operation id; leave out those that ended or are not the newest."""
    parameters = {
        "operation_ids": list(started),
        "numbers": list(started.values()),
        "actor": actor.label,
        "user_id": actor.user_id,
        "address": actor.address,
        "reason": reason,
        "is_alone": not connection.in_atomic_block,
    }
    rows = (instance(Operation, row, without=NOT_LOGGED) for row in fetch(_ACCEPT, parameters))
    return {operation.pk: _acceptance_of(operation, actor, reason) for operation in rows}


def _acceptance_of(operation: Operation, actor: Actor, reason: str) -> Acceptance:
    if operation.status != Status.DISPATCHING:
        return Acceptance(operation, None)
    operation.status = Status.RUNNING
    event = Event(
        operation=operation,
        kind="status",
        from_status=Status.DISPATCHING,
        to_status=Status.RUNNING,
        attempt=operation.attempt,
        actor=actor.label,
        reason=reason,
    )
    return Acceptance(operation, event)

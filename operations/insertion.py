"""Writes submissions as rows, with a fixed number of statements for one or a thousand of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings

from access.prepared import columns_of, fetch, instance
from access.problems import Invalid
from operations import event_log, quotas, time_limits, type_limits
from operations.actors import SYSTEM, Actor
from operations.models import Artifact, AwaitedInput, Operation, StoredFile
from operations.models.demand import DEMAND
from operations.requests import Submission
from operations.states import Status
from registry.dispatch_channel import CHANNEL
from worker_agent import trace

if TYPE_CHECKING:
    from django.contrib.auth.models import User


_GIVEN = (
    "operation_id, operation_type, parameters, requirements, prefer_gpu, priority, queue,"
    " expires_after_s, created_by_id, idempotency_key, request_sha256, request_id, traceparent, blockers"
)
_INSERT = f"""
    WITH given AS MATERIALIZED (
        SELECT *, {DEMAND} AS demand
        FROM ROWS FROM (jsonb_to_recordset(%(rows)s::jsonb) AS (
            operation_id text, operation_type text, parameters jsonb, requirements jsonb, prefer_gpu boolean,
            priority int, queue boolean, timeout_s int, expires_after_s int, created_by_id int,
            idempotency_key text, request_sha256 text, request_id text, traceparent text, blockers int
        )) WITH ORDINALITY
    ), refusal AS MATERIALIZED (
        SELECT {quotas.PENDING_EXCEED} AS pending_exceed, {quotas.DEMANDS_EXCEED} AS demands_exceed
    ), stored AS (
        INSERT INTO operations_operation (
            {_GIVEN}, max_attempts, timeout_s, created_at, expires_at, status, waiting_reason, worker_id, attempt,
            attempts_from, resume, progress, error_class, error_message, error_traceback
        )
        SELECT {_GIVEN}, COALESCE(declared.max_attempts, %(max_attempts)s::int),
               COALESCE(given.timeout_s, declared.timeout_s, %(timeout_s)s::int),
               -- The queue is ordered by this time: one microsecond apart, a batch keeps its order.
               statement_timestamp() + (ordinality - 1) * interval '1 microsecond',
               statement_timestamp() + make_interval(secs => expires_after_s),
               'PENDING', '', '', 0, 0, true, '{{}}', '', '', ''
        FROM refusal, given LEFT JOIN ({type_limits.DECLARED}) AS declared USING (operation_type)
        WHERE NOT (pending_exceed OR demands_exceed)
        RETURNING *
    ), demands AS (
        INSERT INTO operations_demand (digest, operation_type, requirements, prefer_gpu, waiting_reason)
        SELECT DISTINCT ON (demand) demand, operation_type, requirements, prefer_gpu, '' FROM stored ORDER BY demand
        ON CONFLICT DO NOTHING
    ), events AS (
        INSERT INTO operations_event (operation_id, kind, from_status, to_status, actor, user_id, address, reason)
        SELECT operation_id, 'status', '', status, %(actor)s, %(user_id)s::int, %(address)s::inet, 'submitted'
        FROM stored ORDER BY created_at
    )
    SELECT pending_exceed, demands_exceed, {columns_of(Operation, "stored", without=event_log.NOT_LOGGED)}
    FROM refusal LEFT JOIN (stored CROSS JOIN (SELECT pg_notify(%(channel)s, '')) AS wake_up) ON true
    ORDER BY stored.created_at
"""  # noqa: S608  (constants)
"""At least one row. If the owner may not have the operations waiting, nothing is stored."""


@dataclass(frozen=True, slots=True)
class Submitter:
    """The person or system that submits, and the idempotency key of the request."""

    user: "User | None" = None
    actor: Actor = SYSTEM
    idempotency_key: str = ""
    request_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A submission under the id that its operation gets."""

    operation_id: str
    submission: Submission


def lock_awaited(ids: Iterable[str]) -> dict[str, Operation]:
    """Return the operations by id, locked so that they cannot end before the new ones wait for them."""
    if not (unique := set(ids)):
        return {}
    rows = Operation.objects.select_for_update(of=("self",)).filter(pk__in=unique)
    return {row.pk: row for row in rows.order_by("pk")}


def errors_of_awaited(after: Sequence[str], awaited: Mapping[str, Operation]) -> list[dict[str, str]]:
    """Return an error for each operation that cannot be waited for, with a pointer into `/after`."""
    errors = []
    for position, operation_id in enumerate(after):
        row = awaited.get(operation_id)
        if row is None:
            detail = f"Unknown operation {operation_id}."
        elif row.status in (Status.FAILED, Status.CANCELLED):
            detail = f"The operation {operation_id} is {row.status}."
        else:
            continue
        errors.append({"pointer": f"/after/{position}", "detail": detail})
    return errors


def find_unfinished(after: Iterable[str], awaited: Mapping[str, Operation]) -> list[str]:
    return [operation_id for operation_id in after if awaited[operation_id].status != Status.COMPLETED]


def insert(
    entries: Sequence[Entry], by: Submitter, awaited: Mapping[str, Operation], keyed: str = ""
) -> list[Operation]:
    """Store the entries, which may wait only for `awaited`, and wake the dispatchers.

    Only the operation `keyed` holds the idempotency key. Raises Invalid if an input file was removed, and Busy if the
    user may not have so many operations waiting, or with so many different requirements. Call it in a transaction,
    unless every submission `fits_one_statement`. Most fields of the returned operations are loaded when first read.
    """
    if not entries:
        return []
    limits = {
        "owner": None if by.user is None else by.user.pk,
        "number": len(entries),
        "max_pending": quotas.usual_max_pending(),
        "max_demands": quotas.MAX_DEMANDS,
        "max_attempts": settings.MAX_ATTEMPTS,
        "timeout_s": time_limits.usual_limit(),
    }
    actor = {"actor": by.actor.label, "user_id": by.actor.user_id, "address": by.actor.address}
    rows = json.dumps([_row(entry, by, awaited, keyed) for entry in entries])
    stored = fetch(_INSERT, {"rows": rows, "channel": CHANNEL, **actor, **limits})
    pending_exceed, demands_exceed, *_ = stored[0]
    if pending_exceed and by.user is not None:
        raise quotas.too_many_pending(by.user)
    if demands_exceed:
        raise quotas.too_many_demands()
    operations = [instance(Operation, columns, without=event_log.NOT_LOGGED) for _, _, *columns in stored]
    if not all(fits_one_statement(entry.submission) for entry in entries):
        _link(entries)
        _attach_inputs(entries)
    for operation in operations:
        event_log.log_status(operation, by.actor, "submitted")
    return operations


def fits_one_statement(submission: Submission) -> bool:
    """Return whether `insert` stores such a submission with one statement, which is a transaction itself."""
    return not (submission.queueing.after or submission.inputs or submission.awaited_inputs)


def _row(entry: Entry, by: Submitter, awaited: Mapping[str, Operation], keyed: str) -> dict[str, Any]:
    """Return the columns that are not the same for every new operation."""
    submission, queueing, origin = entry.submission, entry.submission.queueing, trace.current()
    is_keyed = bool(by.idempotency_key) and entry.operation_id == keyed
    return {
        "operation_id": entry.operation_id,
        "operation_type": submission.operation_type,
        "parameters": submission.parameters,
        "requirements": queueing.requirements,
        "prefer_gpu": submission.prefer_gpu,
        "priority": queueing.priority,
        "queue": queueing.queue,
        "timeout_s": time_limits.chosen_limit(submission),
        "expires_after_s": time_limits.limit_of_wait(submission),
        "created_by_id": None if by.user is None else by.user.pk,
        "idempotency_key": by.idempotency_key if is_keyed else "",
        "request_sha256": by.request_sha256 if is_keyed else "",
        "request_id": origin.request_id,
        "traceparent": origin.traceparent,
        "blockers": len(set(find_unfinished(queueing.after, awaited))),
    }


def _link(entries: Sequence[Entry]) -> None:
    through = Operation.after.through
    through.objects.bulk_create(
        [
            through(from_operation_id=entry.operation_id, to_operation_id=awaited_id)
            for entry in entries
            for awaited_id in dict.fromkeys(entry.submission.queueing.after)
        ]
    )


def _attach_inputs(entries: Sequence[Entry]) -> None:
    """Add the input files, locked against the cleanup until the operations refer to them."""
    AwaitedInput.objects.bulk_create(
        [
            AwaitedInput(operation_id=entry.operation_id, name=name, source_id=source, artifact=artifact)
            for entry in entries
            for name, (source, artifact) in entry.submission.awaited_inputs.items()
        ]
    )
    hashes = {sha256 for entry in entries for sha256 in entry.submission.inputs.values()}
    if not hashes:
        return
    files = StoredFile.objects.select_for_update().filter(pk__in=hashes).order_by("pk")
    if len(files) < len(hashes):
        raise Invalid("A required file was removed in the meantime; try again.")
    Artifact.objects.bulk_create(
        Artifact(operation_id=entry.operation_id, role=Artifact.Role.INPUT, name=name, file_id=sha256)
        for entry in entries
        for name, sha256 in entry.submission.inputs.items()
    )

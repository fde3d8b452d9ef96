"""Stores a submission as an operation: once per idempotency key, and with `queue: false` only if a worker is free."""

import hashlib
import json
from typing import Any, TypeVar

from django.db import IntegrityError
from django.db.models import Model, QuerySet

from access.conflicts import atomic_with_retries, statement_with_retries
from access.problems import Invalid, Unavailable, invalid
from operations import lifecycle, quotas, type_limits
from operations.dispatching import claims
from operations.insertion import (
    Entry,
    Submitter,
    errors_of_awaited,
    find_unfinished,
    fits_one_statement,
    insert,
    lock_awaited,
)
from operations.models import Operation
from operations.models.operation import new_operation_id
from operations.registered_kinds import kind_of
from operations.requests import Submission
from registry import selection
from worker_agent.values import escape, find_fault

Row = TypeVar("Row", bound=Model)
MAX_KEY = 255


def digest_of(path: str, body: Any) -> str:
    """Return the digest of a request, independent of the order of its keys."""
    text = json.dumps([path, body], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def find_repeat(by: Submitter) -> Operation | None:
    """Return the operation that the same request created. Raises Invalid if its key was used for another request."""
    return find_same_request(Operation.with_deleted.all(), by)


def find_same_request(rows: QuerySet[Row], by: Submitter) -> Row | None:
    """Return the row that a request with the same key created. Raises Invalid if that was another request.

    The rows have `created_by`, `idempotency_key` and `request_sha256`.
    """
    if not by.idempotency_key:
        return None
    if len(by.idempotency_key) > MAX_KEY or "\x00" in by.idempotency_key:
        raise Invalid(f"An Idempotency-Key may have at most {MAX_KEY} characters and no NUL.")
    earlier: Any = rows.filter(created_by=by.user, idempotency_key=by.idempotency_key).first()
    if earlier is not None and earlier.request_sha256 != by.request_sha256:
        raise Invalid("This Idempotency-Key was already used for a different request.")
    found: Row | None = earlier
    return found


def require_storable_parameters(submission: Submission) -> None:
    """Raise Invalid if the parameters contain a value that the database cannot store."""
    if (fault := find_fault(submission.parameters)) is not None:
        raise invalid(f"/parameters{escape(fault.pointer)}", f"The value {fault.problem}.")


def submit(submission: Submission, by: Submitter) -> Operation:
    """Store the submission.

    Raises Invalid (422), Busy (429) if the user has too many operations waiting, or Unavailable (503) if no worker is free
    and `queue` is false.
    """
    if (earlier := find_repeat(by)) is not None:
        return earlier
    require_storable_parameters(submission)
    if not kind_of(
        submission.operation_type
    ).is_brief:  # its priority is that of the kind, not of the request
        quotas.require_priority(submission.queueing.priority, by.user)
    is_alone = submission.queueing.queue and fits_one_statement(submission)
    try:
        return _store_alone(submission, by) if is_alone else _store(submission, by)
    except IntegrityError:
        # The same request arrived twice at once, and the other one was stored first.
        earlier = find_repeat(by)
        if earlier is None:
            raise
        return earlier


@statement_with_retries
def _store_alone(submission: Submission, by: Submitter) -> Operation:
    operation_id = new_operation_id()
    (operation,) = insert([Entry(operation_id, submission)], by, {}, keyed=operation_id)
    return operation


@atomic_with_retries
def _store(submission: Submission, by: Submitter) -> Operation:
    queueing = submission.queueing
    awaited = lock_awaited(queueing.after)
    if errors := errors_of_awaited(queueing.after, awaited):
        raise Invalid(errors[0]["detail"], errors=errors)
    if not queueing.queue and (waits_for := find_unfinished(queueing.after, awaited)):
        raise invalid(
            "/queue",
            f"`queue: false` cannot be combined with `after`: not completed yet: {', '.join(waits_for)}.",
        )
    operation_id = new_operation_id()
    (operation,) = insert([Entry(operation_id, submission)], by, awaited, keyed=operation_id)
    if queueing.queue:
        return operation
    quotas.require_running(by.user)
    operation = lifecycle.lock(operation_id)
    if claims.claim_for(operation, by.actor, push=False, wait=True) is None:
        reason = type_limits.explain_type(submission.operation_type) or selection.explain(
            submission.operation_type, queueing.requirements
        )
        counts: dict[str, Any] = {**selection.counts(submission.operation_type, queueing.requirements)}
        raise Unavailable(f"No worker is available: {reason}.", **counts)
    return operation

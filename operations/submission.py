"""Stores submissions as operations: once per idempotency key, and with `queue: false` only if a worker is free."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, transaction

from access.problems import Invalid, Unavailable, invalid
from operations import lifecycle
from operations.actors import SYSTEM, Actor
from operations.dispatching import claims
from operations.models import Artifact, Operation, StoredFile
from operations.requests import Submission
from operations.states import Status
from registry import dispatch_channel, selection
from worker_agent import trace
from worker_agent.values import escape, find_fault

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class Submitter:
    """The person or system that submits, and the idempotency key of the request."""

    user: "User | None" = None
    actor: Actor = SYSTEM
    idempotency_key: str = ""
    request_sha256: str = ""


def digest_of(path: str, body: Any) -> str:
    """Return the digest of a request, independent of the order of its keys."""
    text = json.dumps([path, body], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def find_repeat(by: Submitter) -> Operation | None:
    """Return the operation that the same request created. Raises Invalid if its key was used for another request."""
    if not by.idempotency_key:
        return None
    if len(by.idempotency_key) > MAX_KEY or "\x00" in by.idempotency_key:
        raise Invalid(f"An Idempotency-Key may have at most {MAX_KEY} characters and no NUL.")
    earlier = Operation.objects.filter(created_by=by.user, idempotency_key=by.idempotency_key).first()
    if earlier is not None and earlier.request_sha256 != by.request_sha256:
        raise Invalid("This Idempotency-Key was already used for a different request.")
    return earlier


def submit(submission: Submission, by: Submitter) -> Operation:
    """Store the submission. Raises Invalid (422), or Unavailable (503) if no worker is free and `queue` is false."""
    if (earlier := find_repeat(by)) is not None:
        return earlier
    if (fault := find_fault(submission.parameters)) is not None:
        raise invalid(f"/parameters{escape(fault.pointer)}", f"The value {fault.problem}.")
    try:
        with transaction.atomic():
            return _store(submission, by)
    except IntegrityError:
        # The same request arrived twice at once, and the other one was stored first.
        earlier = find_repeat(by)
        if earlier is None:
            raise
        return earlier


def _store(submission: Submission, by: Submitter) -> Operation:
    queueing = submission.queueing
    awaited = _lock_awaited(queueing.after)
    unfinished = [other.pk for other in awaited if other.status != Status.COMPLETED]
    if unfinished and not queueing.queue:
        raise invalid(
            "/queue",
            f"`queue: false` cannot be combined with `after`: not completed yet: {', '.join(unfinished)}.",
        )
    origin = trace.current()
    operation = Operation.objects.create(
        operation_type=submission.operation_type,
        parameters=submission.parameters,
        requirements=queueing.requirements,
        prefer_gpu=submission.prefer_gpu,
        priority=queueing.priority,
        queue=queueing.queue,
        max_attempts=settings.MAX_ATTEMPTS,
        created_by=by.user,
        idempotency_key=by.idempotency_key,
        request_sha256=by.request_sha256 if by.idempotency_key else "",
        request_id=origin.request_id,
        traceparent=origin.traceparent,
        waiting_reason=f"waits for {', '.join(unfinished)}"[:500] if unfinished else "",
    )
    if awaited:
        operation.after.set(awaited)
    _attach_inputs(operation, submission)
    lifecycle.record_created(operation, by.actor)
    if queueing.queue:
        dispatch_channel.notify_dispatchers()
    elif claims.claim_for(operation, by.actor, push=False, wait=True) is None:
        reason = selection.explain(submission.operation_type, queueing.requirements)
        counts: dict[str, Any] = {**selection.counts(submission.operation_type, queueing.requirements)}
        raise Unavailable(f"No worker is available: {reason}.", **counts)
    return operation


def _lock_awaited(ids: Iterable[str]) -> list[Operation]:
    """Return the operations, locked so that they cannot end before the new one waits for them. Raises Invalid."""
    rows = {
        row.pk: row
        for row in Operation.objects.select_for_update(of=("self",)).filter(pk__in=ids).order_by("pk")
    }
    errors = []
    for position, operation_id in enumerate(ids):
        row = rows.get(operation_id)
        if row is None:
            detail = f"There is no operation {operation_id}."
        elif row.status in (Status.FAILED, Status.CANCELLED):
            detail = f"The operation {operation_id} is {row.status}."
        else:
            continue
        errors.append({"pointer": f"/after/{position}", "detail": detail})
    if errors:
        raise Invalid(errors[0]["detail"], errors=errors)
    return list(rows.values())


def _attach_inputs(operation: Operation, submission: Submission) -> None:
    """Add the input files, locked against the cleanup until the operation refers to them."""
    hashes = set(submission.inputs.values())
    files = StoredFile.objects.select_for_update().filter(pk__in=hashes).order_by("pk")
    if len(files) < len(hashes):
        raise Invalid("A required file was removed in the meantime; try again.")
    Artifact.objects.bulk_create(
        Artifact(operation=operation, role=Artifact.Role.INPUT, name=name, file_id=sha256)
        for name, sha256 in submission.inputs.items()
    )

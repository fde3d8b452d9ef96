"""Stores a submission as an operation: once per idempotency key, and with `queue: false` only together with a worker."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, transaction

from access.problems import Invalid, Unavailable, invalid, pointer
from operations import lifecycle
from operations.actors import SYSTEM, Actor
from operations.dispatching import claims
from operations.models import Artifact, Operation, StoredFile
from operations.requests import Submission
from operations.states import Status
from registry import notify, selection
from worker_agent import trace

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class Submitter:
    """Who asks, and under which key the answer may be asked for again."""

    user: "User | None" = None
    actor: Actor = SYSTEM
    idempotency_key: str = ""
    request_sha256: str = ""


def digest_of(path: str, body: Any) -> str:
    """Of a request, whatever the order of its keys."""
    text = json.dumps([path, body], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def repeated(by: Submitter) -> Operation | None:
    """What the same request made before. Raises Invalid where its key stood for another request."""
    if not by.idempotency_key:
        return None
    if len(by.idempotency_key) > MAX_KEY or "\x00" in by.idempotency_key:
        raise Invalid(f"An Idempotency-Key has at most {MAX_KEY} characters.")
    before = Operation.objects.filter(created_by=by.user, idempotency_key=by.idempotency_key).first()
    if before is not None and before.request_sha256 != by.request_sha256:
        raise Invalid("This Idempotency-Key was used for another request.")
    return before


def submit(submission: Submission, by: Submitter) -> Operation:
    """Raises Invalid (422), and Unavailable (503) where nobody is free and it is not to wait; then nothing is stored."""
    if (before := repeated(by)) is not None:
        return before
    if (place := next(_nul_characters(submission.parameters), None)) is not None:
        raise invalid(pointer(place), "A text may not contain NUL characters.")
    try:
        with transaction.atomic():
            return _store(submission, by)
    except IntegrityError:
        # The same request, twice at the same moment: the other one was first.
        before = repeated(by)
        if before is None:
            raise
        return before


def _store(submission: Submission, by: Submitter) -> Operation:
    asked = submission.queueing
    awaited = _awaited(asked.after)
    unfinished = [one.pk for one in awaited if one.status != Status.COMPLETED]
    if unfinished and not asked.queue:
        raise invalid("/queue", f"It is to wait for {', '.join(unfinished)}, and not to wait.")
    origin = trace.current()
    operation = Operation.objects.create(
        operation_type=submission.operation_type,
        parameters=submission.parameters,
        requirements=asked.requirements,
        prefer_gpu=submission.prefer_gpu,
        priority=asked.priority,
        queue=asked.queue,
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
    _give_inputs(operation, submission)
    lifecycle.record_created(operation, by.actor)
    if asked.queue:
        notify.dispatcher()
    elif claims.claim_for(operation, by.actor, push=False, wait=True) is None:
        reason = selection.explain(submission.operation_type, asked.requirements)
        counts: dict[str, Any] = {**selection.counts(submission.operation_type, asked.requirements)}
        raise Unavailable(f"No worker can take it now: {reason}.", **counts)
    return operation


def _awaited(ids: Iterable[str]) -> list[Operation]:
    """Locked against ending before the new operation waits for them. Raises Invalid."""
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


def _give_inputs(operation: Operation, submission: Submission) -> None:
    """Files are locked against the cleanup until something refers to them."""
    hashes = set(submission.inputs.values())
    kept = StoredFile.objects.select_for_update().filter(pk__in=hashes).order_by("pk")
    if len(kept) < len(hashes):
        raise Invalid("A file that it needs was removed meanwhile; try again.")
    Artifact.objects.bulk_create(
        Artifact(operation=operation, role=Artifact.Role.INPUT, name=name, file_id=sha256)
        for name, sha256 in submission.inputs.items()
    )


def _nul_characters(
    value: Any, at: tuple[str | int, ...] = ("parameters",)
) -> Iterator[tuple[str | int, ...]]:
    """Where they are: PostgreSQL keeps no text that has one."""
    match value:
        case str() if "\x00" in value:
            yield at
        case dict():
            for name, inner in value.items():
                yield from _nul_characters(name, at)
                yield from _nul_characters(inner, (*at, name))
        case list():
            for position, inner in enumerate(value):
                yield from _nul_characters(inner, (*at, position))

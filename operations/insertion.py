"""Writes submissions as rows, with a fixed number of statements for one or a thousand of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models.functions import Now

from access.problems import Invalid
from operations import lifecycle, quotas, time_limits
from operations.actors import SYSTEM, Actor
from operations.dispatching import admission
from operations.models import Artifact, Operation, StoredFile
from operations.requests import Submission
from operations.states import Status
from worker_agent import trace

if TYPE_CHECKING:
    from django.contrib.auth.models import User


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
    rows = Operation.objects.select_for_update(of=("self",)).filter(pk__in=set(ids))
    return {row.pk: row for row in rows.order_by("pk")}


def errors_of_awaited(after: Sequence[str], awaited: Mapping[str, Operation]) -> list[dict[str, str]]:
    """Return an error for each operation that cannot be waited for, with a pointer into `/after`."""
    errors = []
    for position, operation_id in enumerate(after):
        row = awaited.get(operation_id)
        if row is None:
            detail = f"There is no operation {operation_id}."
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
    """Store the entries, which may wait only for `awaited`. Only the operation `keyed` holds the idempotency key.

    Raises Invalid if an input file was removed, and Busy if the user may not have so many operations waiting.
    """
    quotas.require_pending(by.user, len(entries))
    operations = Operation.objects.bulk_create(
        _row(entry, position, by, awaited, keyed) for position, entry in enumerate(entries)
    )
    through = Operation.after.through
    through.objects.bulk_create(
        through(from_operation_id=entry.operation_id, to_operation_id=awaited_id)
        for entry in entries
        for awaited_id in dict.fromkeys(entry.submission.queueing.after)
    )
    _attach_inputs(entries)
    admission.store_demands([operation.pk for operation in operations])
    lifecycle.record_created(operations, by.actor)
    return operations


def _row(
    entry: Entry, position: int, by: Submitter, awaited: Mapping[str, Operation], keyed: str
) -> Operation:
    submission, queueing, origin = entry.submission, entry.submission.queueing, trace.current()
    is_keyed = bool(by.idempotency_key) and entry.operation_id == keyed
    return Operation(
        operation_id=entry.operation_id,
        operation_type=submission.operation_type,
        parameters=submission.parameters,
        requirements=queueing.requirements,
        prefer_gpu=submission.prefer_gpu,
        priority=queueing.priority,
        queue=queueing.queue,
        max_attempts=settings.MAX_ATTEMPTS,
        **time_limits.of_submission(submission),
        # The queue is ordered by this time: one microsecond apart, a batch keeps its order.
        created_at=Now() + timedelta(microseconds=position),
        created_by=by.user,
        idempotency_key=by.idempotency_key if is_keyed else "",
        request_sha256=by.request_sha256 if is_keyed else "",
        request_id=origin.request_id,
        traceparent=origin.traceparent,
        blockers=len(set(find_unfinished(queueing.after, awaited))),
    )


def _attach_inputs(entries: Sequence[Entry]) -> None:
    """Add the input files, locked against the cleanup until the operations refer to them."""
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

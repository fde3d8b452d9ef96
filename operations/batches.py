"""Stores many submissions in one transaction: all of them or none.

An item may refer to an earlier item of its batch as `#N`, in `after` and in the fields in which its kind expects the id of
an operation. Items that refer to others are built after those are stored, so that their kinds find them like any
other operation.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from django.db import IntegrityError, transaction

from access.problems import Invalid, invalid, validate
from operations import quotas
from operations.insertion import Entry, Submitter, errors_of_awaited, insert, lock_awaited
from operations.models import Batch, Operation
from operations.models.operation import new_operation_id
from operations.registered_kinds import kind_of
from operations.requests import GenericRequest, Submission
from operations.submission import find_repeat, require_storable_parameters
from worker_agent.values import find_fault

MAX_ITEMS = 1000
MAX_ERRORS = 100

Item = Mapping[str, Any]


@dataclass(slots=True)
class Draft:
    """An item on its way to an operation."""

    index: int
    operation_id: str
    item: dict[str, Any]
    refers_to: set[int] = field(default_factory=set)
    depth: int = 0
    """0 without references, otherwise one more than the deepest item that it refers to."""
    entry: Entry | None = None
    """None until it is built, and if it is not valid."""
    errors: list[dict[str, Any]] = field(default_factory=list)

    def reject(self, errors: Iterable[Mapping[str, Any]]) -> None:
        self.entry = None
        self.errors += [
            {**error, "pointer": f"/operations/{self.index}{error['pointer']}"} for error in errors
        ]


def submit_batch(items: Sequence[Item], by: Submitter) -> list[Operation]:
    """Store the items and return their operations in the same order. Raises Invalid with a pointer per error."""
    if (earlier := find_repeated_batch(by)) is not None:
        return earlier
    drafts = _draft(items)
    try:
        with transaction.atomic():
            operations = _store(drafts, by)
            _require_valid(drafts)
            if by.idempotency_key:
                ids = [draft.operation_id for draft in drafts]
                Batch.objects.create(first_id=ids[0], operation_ids=ids)
    except IntegrityError:
        # The same request arrived twice at once, and the other one was stored first.
        earlier = find_repeated_batch(by)
        if earlier is None:
            raise
        return earlier
    return [operations[draft.operation_id] for draft in drafts]


def find_repeated_batch(by: Submitter) -> list[Operation] | None:
    """Return the operations that the same request created. Raises Invalid if its key was used for another request."""
    first = find_repeat(by)
    if first is None:
        return None
    ids = Batch.objects.get(first=first).operation_ids
    rows = Operation.with_deleted.in_bulk(ids)
    return [rows[operation_id] for operation_id in ids if operation_id in rows]


def _require_valid(drafts: Sequence[Draft]) -> None:
    errors = [error for draft in drafts for error in draft.errors]
    if errors:
        count = sum(bool(draft.errors) for draft in drafts)
        verb = "is" if count == 1 else "are"
        detail = f"{count} of {len(drafts)} operations {verb} not valid; nothing was stored."
        raise Invalid(detail, errors=errors[:MAX_ERRORS])


def _draft(items: Sequence[Item]) -> list[Draft]:
    """Give each item an id and replace its references by the ids of the earlier items."""
    drafts: list[Draft] = []
    for index, item in enumerate(items):
        draft = Draft(index, new_operation_id(), dict(item))
        try:
            _resolve_references(draft, drafts)
        except Invalid as problem:
            draft.reject(problem.errors)
        draft.depth = max((drafts[other].depth + 1 for other in draft.refers_to), default=0)
        drafts.append(draft)
    return drafts


def _resolve_references(draft: Draft, earlier: Sequence[Draft]) -> None:
    item = draft.item
    if isinstance(after := item.get("after"), list):
        item["after"] = [
            _resolve(value, f"/after/{position}", draft, earlier) for position, value in enumerate(after)
        ]
    _resolve_fields(item, "", draft, earlier)
    if isinstance(parameters := item.get("parameters"), dict):
        item["parameters"] = dict(parameters)
        _resolve_fields(item["parameters"], "/parameters", draft, earlier)


def _resolve_fields(values: dict[str, Any], pointer: str, draft: Draft, earlier: Sequence[Draft]) -> None:
    for name in kind_of(str(draft.item.get("operation_type"))).operation_fields:
        if name in values:
            values[name] = _resolve(values[name], f"{pointer}/{name}", draft, earlier)


def _resolve(value: Any, pointer: str, draft: Draft, earlier: Sequence[Draft]) -> Any:
    if not isinstance(value, str) or not value.startswith("#"):
        return value
    number = value[1:]
    if not number.isascii() or not number.isdigit() or len(number) > 4 or int(number) >= draft.index:
        raise invalid(pointer, f"{value[:80]} does not refer to an earlier operation of this batch.")
    draft.refers_to.add(int(number))
    return earlier[int(number)].operation_id


def _store(drafts: Sequence[Draft], by: Submitter) -> dict[str, Operation]:
    """Build and insert the drafts by depth. With errors in a draft nothing may be committed."""
    awaited: dict[str, Operation] = {}
    stored: dict[str, Operation] = {}
    for depth, group in groupby(sorted(drafts, key=lambda draft: draft.depth), key=lambda draft: draft.depth):
        # An item that refers to an invalid one cannot be judged.
        judged = [draft for draft in group if all(drafts[other].entry for other in draft.refers_to)]
        for draft in judged:
            _build(draft, by)
        if depth == 0:
            # All locks at once, in the order of the keys, and not before the slow part of most batches.
            awaited = lock_awaited(_foreign_ids(drafts))
        entries = [entry for draft in judged if (entry := _check_awaited(draft, awaited)) is not None]
        inserted = insert(entries, by, awaited, keyed=drafts[0].operation_id)
        stored |= {operation.pk: operation for operation in inserted}
        awaited |= stored
    return stored


def _build(draft: Draft, by: Submitter) -> None:
    if draft.errors:
        return
    try:
        submission = build_item(draft.item)
        require_storable_parameters(submission)
        quotas.require_priority(submission.queueing.priority, by.user)
    except Invalid as problem:
        draft.reject(problem.errors or [{"pointer": "", "detail": str(problem.detail)}])
    else:
        draft.entry = Entry(draft.operation_id, submission)


def build_item(item: Item) -> Submission:
    """Build one item of a batch. Raises Invalid."""
    submission = build_any(item)
    if not submission.queueing.queue:
        raise invalid("/queue", "`queue: false` is not available in a batch.")
    return submission


def build_any(item: Item) -> Submission:
    """Build the body of `POST /operations`, or `operation_type` with the body of its kind's own route. Raises Invalid."""
    kind = kind_of(str(item.get("operation_type")))
    if "parameters" in item or kind.request_model is None:
        return kind.build_generic(validate(GenericRequest, item))
    fields = {name: value for name, value in item.items() if name != "operation_type"}
    return kind.build(validate(kind.request_model, fields))


def _foreign_ids(drafts: Iterable[Draft]) -> set[str]:
    """Return the ids of the operations outside the batch that valid items wait for."""
    after = (draft.item.get("after") for draft in drafts)
    values = {value for part in after if isinstance(part, list) for value in part if isinstance(value, str)}
    return {value for value in values if find_fault(value) is None} - {draft.operation_id for draft in drafts}


def _check_awaited(draft: Draft, awaited: Mapping[str, Operation]) -> Entry | None:
    """Return the draft's entry if everything that it waits for can be waited for."""
    if draft.entry is not None:
        errors = errors_of_awaited(draft.entry.submission.queueing.after, awaited)
        if errors:
            draft.reject(errors)
    return draft.entry

"""Deletion with undo: a deleted operation is hidden immediately, and removed by the cleanup after a grace.

The cleanup also removes previews, which are not results.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from access.conflicts import atomic_with_retries
from access.isolation import isolated
from operations import lifecycle
from operations.actors import Actor
from operations.models import Operation
from operations.registered_kinds import all_kinds, kind_of, preview_types
from operations.retention import WHOLE, remove_rows
from operations.states import FINAL

CLEANUP_LASTS_S = 10.0
PREVIEWS_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cleanup:
    """A part of the cleanup: `remove` acts and returns how many it removed, `count` returns how many it would remove."""

    remove: Callable[[], int]
    count: Callable[[], int]


cleanups: dict[str, Cleanup] = {}
"""Name in the summary -> what removes the deleted rows of another room; each adds its own when it starts."""


@atomic_with_retries
def delete(operation_id: str, actor: Actor, reason: str = "") -> Operation:
    """Hide the operation until it is removed or restored. Raises WrongState, Operation.DoesNotExist."""
    operation = lifecycle.lock(operation_id)
    if refusal := why_not(operation):
        raise lifecycle.WrongState(refusal)
    Operation.objects.filter(pk=operation.pk).update(deleted_at=Now())
    operation.refresh_from_db(fields=["deleted_at"], from_queryset=Operation.with_deleted.all())
    lifecycle.record(operation, "deleted", actor, reason)
    return operation


@atomic_with_retries
def restore(operation_id: str, actor: Actor) -> Operation:
    """Show a deleted operation again. Raises WrongState, Operation.DoesNotExist."""
    rows = Operation.with_deleted.select_for_update(of=("self",))
    operation = rows.get(pk=operation_id)
    if operation.deleted_at is None:
        raise lifecycle.WrongState("The operation is not deleted.")
    Operation.with_deleted.filter(pk=operation.pk).update(deleted_at=None)
    operation.deleted_at = None
    lifecycle.record(operation, "restored", actor)
    return operation


def why_not(operation: Operation) -> str:
    """Return the sentence that refuses the deletion; empty if it is possible."""
    if not operation.is_final:
        return f"The operation is {operation.status}; cancel it before you delete it."
    if (user := _find_user(operation.pk)) is not None:
        return f"The operation {user} needs this one; delete that one first."
    return kind_of(operation.operation_type).deletion_refusal(operation)


def removed_after(operation: Operation) -> datetime | None:
    """Return when the cleanup may remove the operation; None if it is not deleted."""
    if operation.deleted_at is None:
        return None
    return operation.deleted_at + timedelta(days=settings.DELETED_RETENTION_DAYS)


def _find_user(operation_id: str) -> str | None:
    """Return an operation that waits or waited for this one, or uses its result."""
    used = Q(after=operation_id)
    for field in sorted({field for kind in all_kinds() for field in kind.operation_fields}):
        used |= Q(parameters__contains={field: operation_id})
    return Operation.objects.filter(used).order_by().values_list("pk", flat=True).first()


def remove_deleted(lasts_s: float = CLEANUP_LASTS_S) -> int:
    """Remove the operations whose grace is over, unless others need them again; return how many. Stop after `lasts_s`.

    Their files go later: `artifacts.remove_unreferenced` removes those to which nothing else refers.
    """
    return _remove(_overdue(), lasts_s)


def count_deleted() -> int:
    """Return how many operations `remove_deleted` would remove if it had the time."""
    return _count(_overdue())


def remove_previews(lasts_s: float = CLEANUP_LASTS_S) -> int:
    """Remove the previews that ended a day ago, unless others need them; return how many. Stop after `lasts_s`."""
    return _remove(_old_previews(), lasts_s)


def count_previews() -> int:
    """Return how many operations `remove_previews` would remove if it had the time."""
    return _count(_old_previews())


def _overdue() -> QuerySet[Operation]:
    return Operation.with_deleted.filter(
        deleted_at__lt=Now() - timedelta(days=settings.DELETED_RETENTION_DAYS)
    )


def _old_previews() -> QuerySet[Operation]:
    return Operation.with_deleted.filter(
        operation_type__in=preview_types(), status__in=FINAL, completed_at__lt=Now() - PREVIEWS_KEPT
    )


def _remove(overdue: QuerySet[Operation], lasts_s: float) -> int:
    until = time.monotonic() + lasts_s
    keys = list(overdue.order_by("completed_at").values_list("pk", flat=True))
    removed = 0
    for pk in keys:
        if time.monotonic() > until:
            break
        with isolated("removing an operation", operation_id=pk):
            locked = overdue.select_for_update(of=("self",), skip_locked=True).filter(pk=pk).exists()
            if locked and _find_user(pk) is None:
                removed += remove_rows(WHOLE, [pk])[Operation._meta.db_table]
    return removed


def _count(overdue: QuerySet[Operation]) -> int:
    return sum(_find_user(pk) is None for pk in overdue.order_by().values_list("pk", flat=True))

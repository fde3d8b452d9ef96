"""Changes all operations of a selection, one by one and each in a transaction of its own.

A person sees the same rules and events as for a single operation; one that raises unexpectedly is skipped.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.db.models import QuerySet

from access import audit
from access.actors import Actor
from access.isolation import isolated
from access.models import AuditEntry
from operations import deletion, interventions, labels
from operations.labels import SharedLabels
from operations.lifecycle import WrongState
from operations.models import Operation
from operations.states import FINAL, Status

MAX_LISTED = 100
"""Skipped operations that a result names."""
MAX_READ = 10_000
"""Operations that a bounded call looks at."""
UNEXPECTED = "An unexpected error occurred; see the log."


@dataclass(frozen=True, slots=True)
class BulkAction:
    """An action on many operations, and the statuses in which it is possible."""

    name: str
    sources: tuple[Status, ...]
    apply: Callable[[str, Actor, str], object]
    act: AuditEntry.Act
    is_newest_first: bool = False
    concerns_deleted: bool = False
    leave_out_unchanged: Callable[[QuerySet[Operation]], QuerySet[Operation]] = lambda rows: rows
    """Of those whose status allows it."""

    def all_rows(self) -> QuerySet[Operation]:
        """Return the operations that a selection can contain."""
        if self.concerns_deleted:
            return Operation.with_deleted.filter(deleted_at__isnull=False)
        return Operation.objects.all()

    def candidates(self, matching: QuerySet[Operation]) -> QuerySet[Operation]:
        """Return those of `matching` whose status allows the action, in the order in which they are handled."""
        order = ("-created_at", "-pk") if self.is_newest_first else ("created_at", "pk")
        return self.leave_out_unchanged(matching.filter(status__in=self.sources)).order_by(*order)


def _cancel(operation_id: str, by: Actor, reason: str) -> None:
    interventions.cancel(operation_id, by, reason)


def _retry(operation_id: str, by: Actor, reason: str) -> None:
    interventions.retry(operation_id, by)


def _resume(operation_id: str, by: Actor, reason: str) -> None:
    interventions.resume(operation_id, by)


def _delete(operation_id: str, by: Actor, reason: str) -> None:
    deletion.delete(operation_id, by, reason)


def _restore(operation_id: str, by: Actor, reason: str) -> None:
    deletion.restore(operation_id, by)


WAITING_OR_RUNNING = (Status.PENDING, Status.DISPATCHING, Status.RUNNING)
UNSUCCESSFUL = (Status.FAILED, Status.CANCELLED)
CANCEL = BulkAction("cancel", WAITING_OR_RUNNING, _cancel, AuditEntry.Act.OPERATIONS_CANCELLED)
RETRY = BulkAction("retry", UNSUCCESSFUL, _retry, AuditEntry.Act.OPERATIONS_RETRIED)
RESUME = BulkAction("resume", UNSUCCESSFUL, _resume, AuditEntry.Act.OPERATIONS_RETRIED)
DELETE = BulkAction(
    "delete",
    tuple(sorted(FINAL)),
    _delete,
    AuditEntry.Act.OPERATIONS_DELETED,
    is_newest_first=True,  # an operation that a newer one needs can only go after it
)
RESTORE = BulkAction(
    "restore", tuple(sorted(FINAL)), _restore, AuditEntry.Act.OPERATIONS_RESTORED, concerns_deleted=True
)


def label_action(shared: SharedLabels) -> BulkAction:
    """Return the action that gives operations these labels; marks that a status does not allow limit the selection."""

    def apply(operation_id: str, by: Actor, reason: str) -> None:
        labels.label_shared(operation_id, shared, by)

    sources = [Status.FAILED] if shared.dismissed else sorted(FINAL) if shared.archived else list(Status)
    return BulkAction(
        "label",
        tuple(sources),
        apply,
        AuditEntry.Act.OPERATIONS_LABELLED,
        leave_out_unchanged=lambda rows: labels.without_labels(rows, shared),
    )


@dataclass(frozen=True, slots=True)
class Skipped:
    operation_id: str
    reason: str


@dataclass(slots=True)
class BulkResult:
    matched: int = 0
    """Operations of the selection to which the action applies, or that were selected by their ids."""
    changed: int = 0
    skipped: int = 0
    remaining: int = 0
    """Not handled in this call because of its bounds."""
    skipped_operations: list[Skipped] = field(default_factory=list)
    """The first MAX_LISTED of them."""

    def skip(self, operation_id: str, reason: str) -> None:
        self.skipped += 1
        if len(self.skipped_operations) < MAX_LISTED:
            self.skipped_operations.append(Skipped(operation_id, reason))


def act_on_matching(
    action: BulkAction,
    matching: QuerySet[Operation],
    by: Actor,
    *,
    reason: str = "",
    description: str = "",
    limit: int | None = None,
    time_limit_s: float | None = None,
) -> BulkResult:
    """Apply the action to the operations of `matching` that allow it, in its order, until `limit` of them have changed.

    Those that are skipped do not count, or the same ones would fill each of several calls.

    It is the oldest first, because a retry is refused while an earlier operation that it waits for has failed. `description`
    is the selection, for the audit trail.
    """
    candidates = action.candidates(matching)
    bound = None if limit is None else MAX_READ
    ids = list(candidates.values_list("pk", flat=True)[:bound])
    result = BulkResult(matched=len(ids) if bound is None or len(ids) < bound else candidates.count())
    handled = _act_on(action, ids, by, reason, result, time_limit_s, limit)
    result.remaining = max(0, result.matched - handled)
    _audit(action, result, by, description, reason)
    return result


def act_on_selected(
    action: BulkAction,
    operation_ids: Sequence[str],
    by: Actor,
    *,
    reason: str = "",
    time_limit_s: float | None = None,
) -> BulkResult:
    """Apply the action to these operations, in its order; those that do not allow it are skipped with the reason."""
    rows = action.all_rows().filter(pk__in=operation_ids).order_by("created_at", "pk")
    rows = rows.reverse() if action.is_newest_first else rows
    known = list(rows.values_list("pk", flat=True))
    unique = list(dict.fromkeys(operation_ids))
    result = BulkResult(matched=len(unique))
    for operation_id in unique:
        if operation_id not in known:
            result.skip(operation_id, "Unknown operation.")
    handled = _act_on(action, known, by, reason, result, time_limit_s)
    result.remaining = len(known) - handled
    _audit(action, result, by, f"{len(unique)} selected operations", reason)
    return result


def _act_on(
    action: BulkAction,
    ids: Sequence[str],
    by: Actor,
    reason: str,
    result: BulkResult,
    time_limit_s: float | None,
    limit: int | None = None,
) -> int:
    """Return how many of the operations were handled before the time was over or `limit` of them had changed."""
    started = time.monotonic()
    for position, operation_id in enumerate(ids):
        if time_limit_s is not None and time.monotonic() - started > time_limit_s:
            return position
        if result.changed == limit:
            return position
        with isolated(f"bulk {action.name}", atomic=False, operation_id=operation_id) as unit:
            try:
                action.apply(operation_id, by, reason)
                result.changed += 1
            except WrongState as error:
                result.skip(operation_id, str(error))
            except Operation.DoesNotExist:
                result.skip(operation_id, "Unknown operation.")
        if unit.error is not None:
            result.skip(operation_id, UNEXPECTED)
    return len(ids)


def _audit(action: BulkAction, result: BulkResult, by: Actor, description: str, reason: str) -> None:
    if result.changed:
        counts = f"{result.changed} changed, {result.skipped} skipped"
        audit.record(action.act, description[:200], by, f"{counts}; {reason}" if reason else counts)

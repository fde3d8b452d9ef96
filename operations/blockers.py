"""The number of operations that an operation still waits for, kept in its row so that the queue is an index.

`blockers` counts the operations in `after` that are not COMPLETED, whatever the own status is. COMPLETED is final, so
the number only decreases. Three writers keep it right:

* a submission counts while it holds the rows that it waits for, so none of them can complete in between;
* the completion of an operation decrements its followers in the same statement (`RELEASE`);
* rows of older code have no number; the dispatcher counts them before it claims from them (`count`).
"""

from collections.abc import Sequence

import structlog
from django.db import transaction
from django.db.models import Count, F, Q

from operations.models import Operation
from operations.states import Status
from registry import dispatch_channel

log = structlog.get_logger(__name__)

_UNFINISHED = Count("after", filter=~Q(after__status=Status.COMPLETED))

RELEASE = """, follower AS (
        SELECT operation_id FROM operations_operation
        WHERE operation_id IN (SELECT from_operation_id FROM operations_operation_after WHERE to_operation_id = %(operation_id)s)
          AND EXISTS (SELECT FROM moved)
        ORDER BY operation_id FOR UPDATE
    ), released AS (
        UPDATE operations_operation SET blockers = CASE WHEN blockers > 0 THEN blockers - 1 ELSE blockers END
        FROM follower WHERE operations_operation.operation_id = follower.operation_id
    )"""
"""The part of the statement of a completion that counts down its followers; `moved` is the completed row.

Locks in the order of the keys, as every change of several operations does.

No condition on `blockers` may select the rows: it would be judged by this statement's snapshot, in which a row that was
counted while this statement waited for its lock has no number yet. The assignment reads the locked row.
"""


def count(operations: Sequence[str]) -> None:
    """Count for these operations, whose rows the caller has locked in an earlier statement.

    A completion that this statement cannot see yet waits for these locks, and then counts down from the new number.
    """
    numbers: dict[int, list[str]] = {}
    rows = Operation.objects.filter(pk__in=operations).order_by().annotate(unfinished=_UNFINISHED)
    for number, operation_id in rows.values_list("unfinished", "pk"):
        numbers.setdefault(number, []).append(operation_id)
    for number, ids in numbers.items():
        Operation.objects.filter(pk__in=ids).update(blockers=number)


@transaction.atomic
def repair() -> int:
    """Correct the number of waiting operations where it is wrong; return how many there were.

    Older code that runs during an upgrade does not count down, and rows may be deleted by hand.
    """
    waiting = Operation.objects.filter(status=Status.PENDING, after__isnull=False).order_by()
    wrong = (
        waiting.annotate(unfinished=_UNFINISHED)
        .exclude(blockers=F("unfinished"))
        .values_list("pk", flat=True)
    )
    rows = Operation.objects.select_for_update(of=("self",)).filter(
        pk__in=list(wrong), blockers__isnull=False
    )
    locked = list(rows.order_by("pk").values_list("pk", flat=True))
    if locked:
        count(locked)
        log.warning("corrected the number of operations that operations wait for", operations=locked[:20])
        dispatch_channel.notify_dispatchers()
    return len(locked)

"""The list of operations: tabs with counts, filters and order from the address, strips of recent runs."""

from dataclasses import dataclass

from django.db.models import Count, F, Q, QuerySet
from django.db.models.expressions import OrderBy
from django.http import QueryDict

from operations.models import Operation
from operations.states import ACTIVE, FINAL, Status

PAGE_SIZE = 50
ORDERS: dict[str, tuple[str | OrderBy, ...]] = {
    "": ("-created_at", "-operation_id"),
    "created": ("created_at", "operation_id"),
    "-created": ("-created_at", "-operation_id"),
    "type": ("operation_type", "-created_at"),
    "-type": ("-operation_type", "-created_at"),
    "-completed": (F("completed_at").desc(nulls_last=True), "-created_at"),
    "worker": ("worker_id", "-created_at"),
    "-worker": ("-worker_id", "-created_at"),
}


@dataclass(frozen=True, slots=True)
class Tab:
    name: str
    count: int
    query: str
    is_current: bool


def tabs(query: QueryDict) -> list[Tab]:
    """All, active, and one tab a status that has operations; counts are of everything, not of the filters."""
    counts = dict(Operation.objects.order_by().values_list("status").annotate(number=Count("pk")))
    active = sum(counts.get(status, 0) for status in ACTIVE)
    chosen = "active" if query.get("active") else query.get("status", "")
    made = [Tab("All", sum(counts.values()), _without(query), not chosen)]
    made.append(Tab("Active", active, _without(query, active="true"), chosen == "active"))
    for status in (Status.PENDING, *sorted(FINAL, key=list(Status).index)):
        if counts.get(status) or chosen == status:
            made.append(
                Tab(
                    "Waiting" if status is Status.PENDING else status.capitalize(),
                    counts.get(status, 0),
                    _without(query, status=status),
                    chosen == status,
                )
            )
    return made


def _without(query: QueryDict, **chosen: str) -> str:
    """The query with another tab, back on its first page."""
    changed = query.copy()
    for key in ("status", "active", "page"):
        changed.pop(key, None)
    changed.update(chosen)
    return changed.urlencode()


def filtered(query: QueryDict) -> tuple[QuerySet[Operation], list[str]]:
    """What the address asks for, and what of it cannot be understood (that part shows nothing)."""
    found = Operation.objects.all()
    status = query.get("status", "")
    if status and status not in set(Status):
        return Operation.objects.none(), [f"There is no status {status[:40]!r}."]
    if status:
        found = found.filter(status=status)
    if query.get("active"):
        found = found.filter(status__in=ACTIVE)
    for name in ("operation_type", "worker_id"):
        if value := query.get(name, "").strip().replace("\0", ""):
            found = found.filter(**{name: value})
    if text := query.get("search", "").strip().replace("\0", "")[:200]:
        found = found.filter(
            Q(pk__istartswith=text)
            | Q(symbols__icontains=text)
            | Q(strategy_name__icontains=text)
            | Q(worker_id__icontains=text)
        )
    return found, []


def ordered(operations: QuerySet[Operation], order: str) -> QuerySet[Operation]:
    return (
        operations.order_by(*ORDERS.get(order, ORDERS[""]))
        .select_related("created_by")
        .defer("error_traceback")
    )

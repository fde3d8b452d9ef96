"""Data for the list of operations: tabs with counts, filters and order from the query string."""

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
    """Return the tabs All, Active and one per status in use. Counts ignore the other filters."""
    counts = dict(Operation.objects.order_by().values_list("status").annotate(number=Count("pk")))
    active = sum(counts.get(status, 0) for status in ACTIVE)
    selected = "active" if query.get("active") else query.get("status", "")
    tabs = [Tab("All", sum(counts.values()), _tab_query(query), not selected)]
    tabs.append(Tab("Active", active, _tab_query(query, active="true"), selected == "active"))
    for status in (Status.PENDING, *sorted(FINAL, key=list(Status).index)):
        if counts.get(status) or selected == status:
            tabs.append(
                Tab(
                    status.capitalize(),
                    counts.get(status, 0),
                    _tab_query(query, status=status),
                    selected == status,
                )
            )
    return tabs


def _tab_query(query: QueryDict, **selected: str) -> str:
    """Return the query string of another tab, starting at its first page."""
    changed = query.copy()
    for key in ("status", "active", "page"):
        changed.pop(key, None)
    changed.update(selected)
    return changed.urlencode()


def filter_operations(query: QueryDict) -> tuple[QuerySet[Operation], list[str]]:
    """Return the matching operations, and errors; an invalid filter matches nothing."""
    operations = Operation.objects.all()
    status = query.get("status", "")
    if status and status not in set(Status):
        return Operation.objects.none(), [f"Unknown status {status[:40]!r}."]
    if status:
        operations = operations.filter(status=status)
    if query.get("active"):
        operations = operations.filter(status__in=ACTIVE)
    for name in ("operation_type", "worker_id"):
        if value := query.get(name, "").strip().replace("\0", ""):
            operations = operations.filter(**{name: value})
    if text := query.get("search", "").strip().replace("\0", "")[:200]:
        operations = operations.filter(
            Q(pk__istartswith=text)
            | Q(symbols__icontains=text)
            | Q(strategy_name__icontains=text)
            | Q(worker_id__icontains=text)
        )
    return operations, []


def sort_operations(operations: QuerySet[Operation], order: str) -> QuerySet[Operation]:
    return (
        operations.order_by(*ORDERS.get(order, ORDERS[""]))
        .select_related("created_by")
        .defer("error_traceback")
    )

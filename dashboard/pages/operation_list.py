"""Data for the list of operations: tabs with counts, filters and order from the query string."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import F, QuerySet
from django.db.models.expressions import OrderBy
from django.http import QueryDict
from django.utils.functional import cached_property

from operations.labels import normalize_tag, with_tags
from operations.listed_results import with_listed_results
from operations.models import Operation
from operations.registered_kinds import part_types
from operations.search import matches
from operations.states import ACTIVE, FINAL, Status

PAGE_SIZE = 50
MAX_LISTED = 10_000
"""Operations that pages reach. Counting more, or skipping more, would read all of them."""
ORDERS: dict[str, tuple[str | OrderBy, ...]] = {
    "": ("-created_at", "-operation_id"),
    "created": ("created_at", "operation_id"),
    "-created": ("-created_at", "-operation_id"),
    "type": ("operation_type", "-created_at"),
    "-completed": (F("completed_at").desc(nulls_last=True), "status", "-created_at"),
    "worker": ("worker_id", "-created_at"),
}


@dataclass(frozen=True, slots=True)
class Tab:
    name: str
    count: str
    query: str
    is_current: bool


def tabs(query: QueryDict) -> list[Tab]:
    """Return the tabs All, Active and one per status in use. Counts ignore the other filters."""
    counts = _count_by_status()
    selected = "active" if query.get("active") else query.get("status", "")
    tabs = [
        Tab("All", _total(counts.values()), _tab_query(query), not selected),
        Tab(
            "Active",
            _total(counts[status] for status in ACTIVE),
            _tab_query(query, active="true"),
            selected == "active",
        ),
    ]
    for status in (Status.PENDING, *sorted(FINAL, key=list(Status).index)):
        if counts[status] or selected == status:
            count, address = _total([counts[status]]), _tab_query(query, status=status)
            tabs.append(Tab(status.capitalize(), count, address, selected == status))
    return tabs


def _count_by_status() -> dict[str, int]:
    """Count the operations of each status that are listed, up to one more than MAX_LISTED."""
    # One subquery per status, not one for all: each then has a plan that fits how frequent that status is.
    count = (
        "SELECT %s, (SELECT count(*) FROM"
        " (SELECT FROM operations_operation WHERE status = %s AND NOT operation_type = ANY(%s)"
        " AND archived_at IS NULL AND deleted_at IS NULL LIMIT %s) AS counted)"
    )
    hidden = part_types()
    parameters = [value for status in Status for value in (status, status, hidden, MAX_LISTED + 1)]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join([count] * len(Status)), parameters)
        return dict(cursor.fetchall())


def _total(counts: Iterable[int]) -> str:
    """Return the sum, or `10000+` where not everything was counted."""
    numbers = list(counts)
    return f"{MAX_LISTED}+" if max(numbers) > MAX_LISTED else str(sum(numbers))


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
    if username := query.get("created_by", "").strip().replace("\0", ""):
        user = User.objects.filter(username=username).first()
        operations = operations.none() if user is None else operations.filter(created_by=user)
    for name in ("operation_type", "worker_id"):
        if value := query.get(name, "").strip().replace("\0", ""):
            operations = operations.filter(**{name: value})
    if text := query.get("search", "").replace("\0", ""):
        operations = operations.filter(matches(text))
    if not (query.get("operation_type") or query.get("search")):
        operations = operations.exclude(operation_type__in=part_types())
    if (archived := query.get("archived", "")) != "any":
        operations = operations.filter(archived_at__isnull=archived != "true")
    try:
        return with_tags(operations, map(normalize_tag, filter(None, query.get("tag", "").split(",")))), []
    except ValueError as error:
        return Operation.objects.none(), [f"{str(error).capitalize()}."]


def api_filters(query: QueryDict) -> dict[str, str]:
    """Return the same filters for the API, whose `active` includes waiting operations."""
    names = ("status", "operation_type", "worker_id", "created_by", "search", "tag", "archived")
    filters = {name: value for name in names if (value := query.get(name, "").strip().replace("\0", ""))}
    if query.get("active") and "status" not in filters:
        filters["status"] = ",".join(sorted(ACTIVE))
    return filters


def sort_operations(operations: QuerySet[Operation], order: str) -> QuerySet[Operation]:
    return (
        with_listed_results(operations)
        .order_by(*ORDERS.get(order, ORDERS[""]))
        .select_related("created_by")
        .defer("error_traceback")
    )


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Pages over the first MAX_LISTED operations."""

    is_cut = False
    """Whether there are more."""

    @classmethod
    def read(cls, ids: QuerySet[Operation, str], per_page: int) -> Self:
        """Read all ids at once: under a filter without an index, counting them would filter all rows twice."""
        keys = list(ids[: MAX_LISTED + 1])
        pages = cls(keys[:MAX_LISTED], per_page)
        pages.is_cut = len(keys) > MAX_LISTED
        return pages

    @cached_property
    def count(self) -> int:
        if not isinstance(self.object_list, QuerySet):
            return len(self.object_list)
        number = self.object_list.order_by()[: MAX_LISTED + 1].count()
        self.is_cut = number > MAX_LISTED
        return min(number, MAX_LISTED)

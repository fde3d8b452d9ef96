"""The state of the page of runs, which is all in its address: a saved view is a bookmark."""

from dataclasses import dataclass

from django.db.models import QuerySet
from django.http import QueryDict

from operations.models import Operation
from operations.runs import ranking
from operations.runs.columns import METRICS
from operations.runs.expressions import MAX_LENGTH, ExpressionError

NEWEST = "-created"


@dataclass(frozen=True, slots=True)
class RunsQuery:
    where: str
    """The filter expression."""
    order: str
    columns: tuple[str, ...]
    """Names of metrics; empty: those that the runs on the page have."""
    shown: str
    """`archived`, `deleted`, or empty for the others"""
    has_all_settings: bool


def read(query: QueryDict) -> RunsQuery:
    """Read the address; unknown columns are left out."""
    return RunsQuery(
        where=query.get("where", "")[: MAX_LENGTH + 1],
        order=query.get("sort", "") or NEWEST,
        columns=tuple(name for name in METRICS if name in query.getlist("column")),
        shown=query.get("shown", ""),
        has_all_settings=query.get("settings") == "all",
    )


def select(query: RunsQuery) -> tuple[QuerySet[Operation], str]:
    """Return the sorted runs and an empty text, or none and the sentence about the error."""
    if query.shown == "deleted":
        rows = ranking.runs(Operation.with_deleted.filter(deleted_at__isnull=False))
    else:
        rows = ranking.runs().filter(archived_at__isnull=query.shown != "archived")
    try:
        return ranking.select(rows, query.where, query.order), ""
    except (ExpressionError, ValueError) as error:
        return Operation.objects.none(), str(error)


@dataclass(frozen=True, slots=True)
class View:
    """A link to a view that many people want."""

    name: str
    where: str = ""
    sort: str = ""
    shown: str = ""


VIEWS = (
    View("All"),
    View("Best Sharpe, over 30 trades", "trades > 30", "-sharpe"),
    View("Best return", "type = backtest", "-total_return"),
    View("Best trainings", "type = training", "-validation_score"),
    View("Archived", shown="archived"),
    View("Deleted", shown="deleted"),
)


def is_current(view: View, query: RunsQuery) -> bool:
    return (view.where, view.sort or NEWEST, view.shown) == (query.where, query.order, query.shown)

"""Data of the pages of seed runs: the list, the forms, and one seed run with the spread of its figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from operations.models import SeedRun
from operations.presentation.forms import Form, field_of, request_body
from operations.seed_runs import SeedRunRequest, Spread
from operations.states import FINAL

MAX_ROWS = 500
FORM = Form(
    "New seed run",
    "/seed-runs",
    "Submit",
    (
        field_of(SeedRunRequest, "seeds", "Seeds", "Number of operations, each with its own seed."),
        field_of(
            SeedRunRequest,
            "operation",
            "Submission",
            "The operation type with the fields of its own request, as JSON. Its seed is the first one.",
            "json",
        ),
        field_of(
            SeedRunRequest,
            "backtest",
            "Backtest of each model",
            "The body of POST /backtests/start without a model, as JSON; empty: no backtests.",
            "json",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, formatted."""

    title: str
    count: int
    cells: tuple[str, ...]
    """minimum, median, mean, maximum, standard deviation"""


def submission(form: Form, operation_type: str, values: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Return the route and the body of what a submit form asks for: one operation, or a seed run of it."""
    body = request_body(form, values)
    if "seeds" not in body:
        return form.api_path, body
    seeds = body.pop("seeds")
    return FORM.api_path, {"seeds": seeds, "operation": {"operation_type": operation_type, **body}}


def list_seed_runs() -> list[SeedRun]:
    ended = Count("members", filter=Q(members__operation__status__in=FINAL))
    rows = SeedRun.objects.select_related("created_by").annotate(operations=Count("members"), ended=ended)
    return list(rows.order_by("-created_at", "-pk")[:MAX_ROWS])


def tables(spreads: list[Spread]) -> list[tuple[str, list[Row]]]:
    """Return the rows of a table for each type of operation."""
    found: dict[str, list[Row]] = {}
    for spread in spreads:
        values = (spread.minimum, spread.median, spread.mean, spread.maximum, spread.deviation)
        row = Row(spread.title, spread.count, tuple(spread.format(value) for value in values))
        found.setdefault(spread.operation_type, []).append(row)
    return list(found.items())

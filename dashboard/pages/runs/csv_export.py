"""Runs as CSV, row by row. Parquet would need pyarrow, which the web must not load."""

import csv
from collections.abc import Iterator
from itertools import chain
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from dashboard.pages.runs.table import NOT_COMPARED, metrics_of
from operations.models import Operation
from operations.presentation.subject import subject
from operations.runs import ranking
from operations.runs.columns import METRICS

MAX_ROWS = 10_000
LOADED = 500
"""Rows in memory at the same time."""
FIELDS = ("operation_id", "operation_type", "status", "title", "subject", "tags", "created_at", "created_by")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_DIFFERING = """
    SELECT name FROM operations_runmetrics, jsonb_each(settings) AS setting(name, value)
    WHERE operation_id = ANY(%s) GROUP BY name HAVING count(DISTINCT value) > 1 ORDER BY name
"""


class _Echo:
    """A file that returns each line to the writer's caller."""

    def write(self, line: str) -> str:
        return line


def lines(runs: QuerySet[Operation]) -> Iterator[str]:
    """Yield the header and a line per run: fields, metrics as plain numbers, and the settings that differ."""
    writer = csv.writer(_Echo())
    keys = list(runs.values_list("pk", flat=True)[:MAX_ROWS])
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERING, [keys])
        names = [name for (name,) in cursor.fetchall() if name not in NOT_COMPARED]
    yield writer.writerow(map(as_cell, chain(FIELDS, METRICS, names)))
    for run in chain.from_iterable(ranking.load(part) for part in _parts(keys)):
        stored = metrics_of(run)
        settings = stored.settings if stored is not None else {}
        numbers = (getattr(stored, name, None) for name in METRICS)
        yield writer.writerow(
            map(as_cell, chain(_fields(run), numbers, (settings.get(name) for name in names)))
        )


def _parts(keys: list[str]) -> Iterator[list[str]]:
    return (keys[start : start + LOADED] for start in range(0, len(keys), LOADED))


def _fields(run: Operation) -> tuple[Any, ...]:
    tags = " ".join(sorted(tag.pk for tag in run.tags.all()))
    user = run.created_by.username if run.created_by else ""
    return (
        run.pk,
        run.operation_type,
        run.status,
        run.title,
        subject(run),
        tags,
        run.created_at.isoformat(),
        user,
    )


def as_cell(value: object) -> object:
    """Return the value so that a spreadsheet does not take a text for a formula."""
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text

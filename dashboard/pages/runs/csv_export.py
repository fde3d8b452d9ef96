"""Runs as CSV, row by row. Parquet would need pyarrow, which the web must not load: `ktrdr runs -o` writes it."""

import csv
from collections.abc import Iterator
from itertools import chain

from django.db import connection
from django.db.models import QuerySet

from dashboard.pages.runs.table import NOT_COMPARED
from operations.models import Operation
from operations.runs.columns import METRICS
from operations.runs.rows import RunRow, load_rows

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
    for start in range(0, len(keys), LOADED):
        for row in load_rows(keys[start : start + LOADED]):
            settings = (row.settings.get(name) for name in names)
            yield writer.writerow(map(as_cell, chain(_fields(row), row.metrics.values(), settings)))


def _fields(row: RunRow) -> Iterator[object]:
    """Yield the values of FIELDS."""
    tags, created_at = " ".join(row.tags), row.created_at.isoformat()
    yield from (row.operation_id, row.operation_type, row.status, row.title, row.subject)
    yield from (tags, created_at, row.created_by)


def as_cell(value: object) -> object:
    """Return the value so that a spreadsheet does not take a text for a formula."""
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text

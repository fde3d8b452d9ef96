"""Runs as CSV, row by row. Parquet would need pyarrow, which the web must not load."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from dashboard.pages.runs.table import NOT_COMPARED
from operations.models import Operation
from operations.presentation.subject import describe
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
    for row in chain.from_iterable(_rows(part) for part in _parts(keys)):
        fields, metrics, settings = row
        yield writer.writerow(map(as_cell, chain(fields, metrics, (settings.get(name) for name in names))))


def _parts(keys: list[str]) -> Iterator[list[str]]:
    return (keys[start : start + LOADED] for start in range(0, len(keys), LOADED))


def _rows(keys: Sequence[str]) -> Iterator[tuple[Sequence[Any], Sequence[Any], dict[str, Any]]]:
    """Yield the fields, metrics and settings of the runs with these ids, as plain values: models take thrice as long."""
    loaded = {
        row[0]: row[1:]
        for row in Operation.with_deleted.filter(pk__in=keys).values_list(
            "pk", "operation_type", "status", "title", "parameters", "created_at", "created_by__username",
            "run_metrics__settings", *(f"run_metrics__{name}" for name in METRICS),
        )
    }  # fmt: skip
    tags = _tags(keys)
    for key in keys:
        if key not in loaded:
            continue
        kind, status, title, parameters, created_at, user, settings, *metrics = loaded[key]
        about = describe(parameters)
        fields = (key, kind, status, title, about, " ".join(tags[key]), created_at.isoformat(), user or "")
        yield fields, metrics, settings or {}


def _tags(keys: Sequence[str]) -> dict[str, list[str]]:
    tags: dict[str, list[str]] = defaultdict(list)
    tagged = Operation.tags.through.objects.filter(operation_id__in=keys)
    for key, tag in sorted(tagged.values_list("operation_id", "tag_id")):
        tags[key].append(tag)
    return tags


def as_cell(value: object) -> object:
    """Return the value so that a spreadsheet does not take a text for a formula."""
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text

"""Removes the history of operations that ended long ago: only on request, and archived first if wanted.

The archive is gzipped JSON lines, one per row: `{"table": ..., "row": {...}}`. (Parquet needs pyarrow, which the web
rooms must not import; `pandas.read_json(lines=True)` reads this.) A batch is deleted only after its lines are on disk.
"""

import gzip
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.db import connection, transaction
from django.db.models import Count, Exists, Model, OuterRef, QuerySet
from django.db.models.functions import Now

from operations.models import (
    Artifact,
    Attempt,
    Checkpoint,
    Event,
    LogLine,
    MetricPoint,
    Operation,
    RunMetrics,
)
from operations.states import FINAL

BATCH = 20
"""Operations per transaction; each may have 100,000 log lines and twice as many metric points."""
_ROWS = "SELECT json_build_object('table', %s::text, 'row', row_to_json(t))::text FROM {table} AS t WHERE {key} = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of operations that is removed: the rows of `tables`, each of which names its operation."""

    name: str
    tables: tuple[type[Model], ...]

    @property
    def is_whole(self) -> bool:
        """Whether the operation itself is removed."""
        return Operation in self.tables


WHOLE = Part(
    "operations", (LogLine, MetricPoint, Event, Artifact, Checkpoint, Attempt, RunMetrics, Operation)
)
PARTS = (
    Part("logs", (LogLine,)),
    Part("metrics", (MetricPoint,)),
    Part("events", (Event,)),
    WHOLE,
)


def count(part: Part, days: float) -> dict[str, int]:
    """Return table -> the number of rows that `prune` would remove."""
    old = _old_operations(part, days)
    return {
        table._meta.db_table: _rows_of(table, old).aggregate(rows=Count("*"))["rows"] for table in part.tables
    }


def prune(part: Part, days: float, archive: Path | None) -> dict[str, int]:
    """Remove a part of the operations that ended more than `days` ago; return table -> rows. Raises OSError."""
    removed = dict.fromkeys((table._meta.db_table for table in part.tables), 0)
    old = list(_old_operations(part, days).order_by("completed_at").values_list("pk", flat=True))
    for start in range(0, len(old), BATCH):
        keys = old[start : start + BATCH]
        with transaction.atomic():
            # One may have been retried meanwhile, and may even have ended again.
            locked = _old_operations(part, days).select_for_update(of=("self",)).filter(pk__in=keys)
            keys = list(locked.order_by("pk").values_list("pk", flat=True))
            if archive is not None:
                _archive(archive, part, keys)
            for table, rows in remove_rows(part, keys).items():
                removed[table] += rows
    return removed


def remove_rows(part: Part, keys: Sequence[str]) -> dict[str, int]:
    """Remove the part of these operations, which the caller has locked; return table -> rows."""
    removed = {}
    for table in part.tables:
        _, rows = _rows_of(table, keys).delete()
        removed[table._meta.db_table] = rows.get(table._meta.label, 0)
    return removed


def new_archive(directory: Path, moment: datetime) -> Path:
    """Return the path of a new archive in the directory."""
    return directory / f"ktrdr-history-{moment:%Y%m%d-%H%M%S}.jsonl.gz"


def _old_operations(part: Part, days: float) -> QuerySet[Operation]:
    """Return the operations that ended before; those that have followers stay if a follower stays."""
    cutoff = Now() - timedelta(days=days)
    old = Operation.with_deleted.filter(status__in=FINAL, completed_at__lt=cutoff)
    if part.is_whole:
        stays = Operation.with_deleted.filter(after=OuterRef("pk")).exclude(completed_at__lt=cutoff)
        unended = Operation.with_deleted.filter(after=OuterRef("pk"), completed_at__isnull=True)
        old = old.exclude(Exists(stays)).exclude(Exists(unended))
    return old


def _rows_of(table: type[Model], keys: Sequence[str] | QuerySet[Operation]) -> QuerySet[Model]:
    name = "pk__in" if table is Operation else "operation__in"
    return table._base_manager.filter(**{name: keys})


def _archive(path: Path, part: Part, keys: Sequence[str]) -> None:
    """Append the rows to the archive and wait until they are on disk."""
    with _appending(path) as file:
        for table in part.tables:
            name = connection.ops.quote_name(table._meta.db_table)
            with connection.chunked_cursor() as cursor:
                cursor.execute(
                    _ROWS.format(table=name, key="operation_id"), [table._meta.db_table, list(keys)]
                )
                for (line,) in cursor:
                    file.write(line.encode() + b"\n")


@contextmanager
def _appending(path: Path) -> Iterator[gzip.GzipFile]:
    """Open a gzip file that is complete and on disk when the block has ended: each block is a member of its own."""
    with path.open("ab") as raw:
        os.chmod(path, 0o600)
        with gzip.GzipFile(fileobj=raw, mode="wb") as file:
            yield file
        raw.flush()
        os.fsync(raw.fileno())

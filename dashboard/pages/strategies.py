"""Strategies of past operations. A strategy is identified by its text, whatever its file is called."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models.fields.json import KT

from dashboard.pages.operation_rows import describe
from operations.listed_results import with_listed_results
from operations.models import Operation

STRIP = 12

# Jumps from strategy to strategy in the index of their runs, instead of reading all runs. The oldest run of a strategy is a
# training, which has its text and so its name.
NEWEST = """
    WITH RECURSIVE used(strategy, last_used) AS (
        (SELECT strategy, created_at FROM operations_operation WHERE strategy IS NOT NULL AND deleted_at IS NULL
         ORDER BY strategy, created_at DESC LIMIT 1)
        UNION ALL
        SELECT following.* FROM used CROSS JOIN LATERAL (
            SELECT strategy, created_at FROM operations_operation
            WHERE strategy > used.strategy AND deleted_at IS NULL
            ORDER BY strategy, created_at DESC LIMIT 1
        ) AS following
    )
    SELECT used.strategy, used.last_used, run.strategy_name
    FROM (SELECT * FROM used ORDER BY last_used DESC LIMIT %s) AS used
    CROSS JOIN LATERAL (
        SELECT strategy_name FROM operations_operation WHERE strategy = used.strategy ORDER BY created_at LIMIT 1
    ) AS run
    ORDER BY used.last_used DESC
"""
# A number in JSON is below `false`, and other values are left out.
SUMMARY = """
    SELECT used.strategy, counted.runs, recent.ids,
        CASE jsonb_typeof(best.total_return) WHEN 'number' THEN (best.total_return #>> '{}')::numeric END
    FROM unnest(%s::text[]) AS used(strategy)
    CROSS JOIN LATERAL (
        SELECT count(*) FROM operations_operation WHERE strategy = used.strategy AND deleted_at IS NULL
    ) AS counted(runs)
    CROSS JOIN LATERAL (
        SELECT array_agg(operation_id ORDER BY created_at) FROM (
            SELECT operation_id, created_at FROM operations_operation
            WHERE strategy = used.strategy AND deleted_at IS NULL
            ORDER BY created_at DESC LIMIT %s
        ) AS run
    ) AS recent(ids)
    LEFT JOIN LATERAL (
        SELECT result #> '{metrics,total_return}' FROM operations_operation
        WHERE strategy = used.strategy AND status = 'COMPLETED' AND deleted_at IS NULL AND (result #> '{metrics,total_return}') < 'false'
        ORDER BY (result #> '{metrics,total_return}') DESC LIMIT 1
    ) AS best(total_return) ON true
"""


@dataclass(frozen=True, slots=True)
class UsedStrategy:
    digest: str
    """MD5 of the text, for addresses; not used for security"""
    name: str
    runs: int
    last_used: datetime
    best_return: float | None
    strip: list[Operation]
    """the newest runs, oldest first"""


@dataclass(frozen=True, slots=True)
class RunsOfText:
    runs: int
    best_return: float | None
    strip: list[Operation]
    """the newest runs, oldest first"""


def list_strategies(limit: int = 100) -> list[UsedStrategy]:
    """List strategies, most recently used first, with three queries."""
    newest = _newest(limit)
    runs = runs_by_digest([digest for digest, _, _ in newest])
    return [
        UsedStrategy(
            digest,
            name or "unnamed",
            runs[digest].runs,
            last_used,
            runs[digest].best_return,
            runs[digest].strip,
        )
        for digest, last_used, name in newest
    ]


def runs_by_digest(digests: Sequence[str]) -> dict[str, RunsOfText]:
    """Return the runs of each text, with two queries."""
    with connection.cursor() as cursor:
        cursor.execute(SUMMARY, [list(digests), STRIP])
        summaries = {digest: rest for digest, *rest in cursor.fetchall()}
    run_ids = [pk for _, ids, _ in summaries.values() for pk in ids or ()]
    rows = Operation.objects.only("status", "operation_type", "created_at").in_bulk(run_ids)
    return {
        digest: RunsOfText(
            runs, None if best is None else float(best), [rows[pk] for pk in ids or () if pk in rows]
        )
        for digest, (runs, ids, best) in summaries.items()
    }


def recent_strategies(limit: int = 20) -> list[tuple[str, str]]:
    """Return (digest, name) of the strategies, most recently used first."""
    return [(digest, name or "unnamed") for digest, _, name in _newest(limit)]


def _newest(limit: int) -> list[tuple[str, datetime, str | None]]:
    """Return (digest, time of the newest run, name)."""
    with connection.cursor() as cursor:
        cursor.execute(NEWEST, [limit])
        rows: list[tuple[str, datetime, str | None]] = cursor.fetchall()
    return rows


def runs_of(digest: str, limit: int = 100) -> list[Operation]:
    """Return operations with this strategy and backtests of its models, newest first."""
    operations = with_listed_results(Operation.objects.filter(strategy=digest)).defer("error_traceback")
    return describe(operations.order_by("-created_at")[:limit])


def text_of_runs(digest: str) -> str | None:
    """Return the strategy file with this digest that an operation has used."""
    rows = Operation.objects.filter(strategy=digest, strategy_digest__isnull=False).order_by("created_at")
    row = rows.values_list(KT("parameters__strategy_yaml")).first()
    return str(row[0]) if row else None

"""Attributes of operations in lists."""

from collections.abc import Iterable

from operations.listed_results import headlines_of
from operations.models import Operation
from operations.presentation.subject import strategies_of_models, subject
from operations.registered_kinds import kind_of
from operations.waiting import explain_waits


def describe(operations: Iterable[Operation]) -> list[Operation]:
    """Add the attributes that lists show (`about`, `headline`, `took`, `is_clonable`), and complete the waiting reasons."""
    rows = list(operations)
    explain_waits(rows)
    strategies = strategies_of_models(rows)
    headlines = headlines_of(rows)
    for row in rows:
        kind = kind_of(row.operation_type)
        row.about = subject(row, strategies)  # type: ignore[attr-defined]  # read only by templates
        row.is_clonable = kind.is_clonable  # type: ignore[attr-defined]  # read only by templates
        row.headline = headlines.get(row.pk)  # type: ignore[attr-defined]  # read only by templates
        if row.started_at and row.completed_at:
            row.took = row.completed_at - row.started_at  # type: ignore[attr-defined]  # read only by templates
    return rows

"""Strategies of past operations. A strategy is identified by its text, whatever its file is called."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.contrib.postgres.fields import ArrayField
from django.db.models import CharField, Count, FloatField, Func, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce

from dashboard.pages.operation_rows import describe
from operations.models import Operation
from operations.states import Status

STRIP = 12


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


def _by_strategy() -> QuerySet[Any, Any]:
    """Annotate operations with the `digest` of their strategy; one that uses a model has its training's digest."""
    training = Operation.objects.filter(pk=OuterRef("model")).values("strategy_digest")
    has_strategy = Q(strategy_digest__isnull=False) | Q(parameters__has_key="model")
    return (
        Operation.objects.filter(has_strategy)
        .annotate(model=KT("parameters__model"))
        .annotate(digest=Coalesce("strategy_digest", Subquery(training), output_field=CharField()))
        .order_by()
    )


def list_strategies(limit: int = 100) -> list[UsedStrategy]:
    """List strategies, most recently used first, with two queries."""
    total_return = Cast(KT("result__metrics__total_return"), FloatField())
    groups = list(
        _by_strategy()
        .values("digest")
        .annotate(
            name=Max("strategy_name"),
            runs=Count("pk"),
            last_used=Max("created_at"),
            best=Max(total_return, filter=Q(status=Status.COMPLETED)),
            newest=Func(
                ArrayAgg("pk", order_by="-created_at"),
                template=f"(%(expressions)s)[1:{STRIP}]",
                output_field=ArrayField(CharField()),
            ),
        )
        .order_by("-last_used")[: limit + 1]
    )
    groups = [group for group in groups if group["digest"]][
        :limit
    ]  # the training of a model may have been deleted
    run_ids = [pk for group in groups for pk in group["newest"]]
    rows = {row.pk: row for row in Operation.objects.filter(pk__in=run_ids).only("status", "operation_type")}
    return [_used_strategy(dict(group), rows) for group in groups]


def recent_strategies(limit: int = 20) -> list[Operation]:
    """Return one operation per strategy, most recently used first."""
    groups = Operation.objects.filter(strategy_digest__isnull=False).order_by().values("strategy_digest")
    last = groups.annotate(last=Max("created_at")).order_by("-last")[:limit]
    digests = [group["strategy_digest"] for group in last]
    operations = {
        row.strategy_digest: row
        for row in Operation.objects.filter(strategy_digest__in=digests)
        .order_by("strategy_digest")
        .distinct("strategy_digest")
        .only("strategy_digest", "strategy_name")
    }
    return [operations[digest] for digest in digests]


def _used_strategy(group: dict[str, Any], rows: dict[str, Operation]) -> UsedStrategy:
    return UsedStrategy(
        digest=group["digest"],
        name=group["name"] or "unnamed",
        runs=group["runs"],
        last_used=group["last_used"],
        best_return=group["best"],
        strip=[rows[pk] for pk in reversed(group["newest"])],
    )


def runs_of(digest: str, limit: int = 100) -> list[Operation]:
    """Return operations with this strategy and backtests of its models, newest first."""
    operations = _by_strategy().filter(digest=digest).order_by("-created_at").defer("error_traceback")
    return describe(operations[:limit])


def text_of(digest: str) -> str | None:
    """Return the strategy file with this digest."""
    texts = Operation.objects.filter(strategy_digest=digest).values_list(KT("parameters__strategy_yaml"))
    row = texts.order_by("-created_at").first()
    return str(row[0]) if row else None

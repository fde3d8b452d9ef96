"""Strategies used so far. A strategy is its text: the same text is the same strategy, whatever its file is called."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, FloatField, Max, Q
from django.db.models.fields.json import KT
from django.db.models.functions import MD5, Cast

from operations.models import Operation
from operations.pages.headline import described, strategy_name
from operations.states import Status

STRIP = 12


@dataclass(frozen=True, slots=True)
class UsedStrategy:
    digest: str
    """MD5 of the text: a name for addresses, nothing is trusted to it"""
    name: str
    text: str
    runs: int
    last_used: datetime
    best_return: float | None
    strip: list[Operation]
    """the newest runs, oldest first"""


DIGEST = MD5(KT("parameters__strategy_yaml"))


def used(limit: int = 100) -> list[UsedStrategy]:
    """Newest first, in two queries."""
    total_return = Cast(KT("result__metrics__total_return"), FloatField())
    groups = list(
        Operation.objects.filter(parameters__has_key="strategy_yaml")
        .annotate(digest=DIGEST)
        .order_by()
        .values("digest")
        .annotate(
            runs=Count("pk"),
            last_used=Max("created_at"),
            best=Max(total_return, filter=Q(operation_type="backtesting", status=Status.COMPLETED)),
            newest=ArrayAgg("pk", order_by="-created_at"),
        )
        .order_by("-last_used")[:limit]
    )
    wanted = [pk for group in groups for pk in group["newest"][:STRIP]]
    rows = {
        row.pk: row
        for row in Operation.objects.filter(pk__in=wanted).only("status", "operation_type", "parameters")
    }
    return [_used(dict(group), rows) for group in groups]


def _used(group: dict[str, Any], rows: dict[str, Operation]) -> UsedStrategy:
    strip = [rows[pk] for pk in reversed(group["newest"][:STRIP])]
    text = strip[-1].parameters["strategy_yaml"]
    return UsedStrategy(
        digest=group["digest"],
        name=strategy_name(text) or "unnamed",
        text=text,
        runs=group["runs"],
        last_used=group["last_used"],
        best_return=group["best"],
        strip=strip,
    )


def runs_of(digest: str, limit: int = 100) -> list[Operation]:
    """The operations with exactly this strategy, newest first."""
    used_by = Operation.objects.filter(parameters__has_key="strategy_yaml").annotate(digest=DIGEST)
    found = used_by.filter(digest=digest).order_by("-created_at").defer("error_traceback")
    return described(found[:limit])

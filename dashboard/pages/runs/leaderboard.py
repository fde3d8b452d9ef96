"""The runs of a tag, best Sharpe ratio first, with the DSR over the tag's own trials."""

from dataclasses import dataclass

from django.db.models import QuerySet
from django.http import QueryDict

from dashboard.pages.runs import table
from operations.labels import normalize_tag, with_tags
from operations.models import Operation, Tag
from operations.runs import ranking
from operations.runs.deflation import Trial, deflate

MAX_TRIALS = 10_000
SHOWN = 50


@dataclass(frozen=True, slots=True)
class Leaderboard:
    tag: Tag
    table: table.Table
    trials: int
    """Runs with a Sharpe ratio."""


def build(name: str, query: QueryDict) -> Leaderboard | None:
    """Return the leaderboard; None if the tag is unknown."""
    try:
        tag = Tag.objects.filter(pk=normalize_tag(name)).first()
    except ValueError:
        return None
    if tag is None:
        return None
    order = query.get("sort", "") or "-sharpe"
    runs = with_tags(ranking.runs(), [tag.pk])
    try:
        shown = ranking.load(list(ranking.sort(runs, order).values_list("pk", flat=True)[:SHOWN]))
    except ValueError:
        return None
    dsr, trials = _deflate(runs)
    return Leaderboard(tag, table.build(shown, query, order, deflated=dsr), trials)


def _deflate(runs: QuerySet[Operation]) -> tuple[dict[str, float | None], int]:
    """Return the DSR by operation, and the number of trials."""
    figures = runs.filter(run_metrics__sharpe__isnull=False).order_by()
    rows = list(figures.values_list("pk", "run_metrics__sharpe", "run_metrics__psr")[:MAX_TRIALS])
    values = deflate([Trial(sharpe, psr) for _, sharpe, psr in rows])
    return {pk: value for (pk, _, _), value in zip(rows, values, strict=True)}, len(rows)

"""Saved strategies with their runs, for the list and for the page of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from dashboard.pages.operation_rows import describe
from dashboard.pages.strategies import STRIP, RunsOfText, UsedStrategy, list_strategies, runs_by_digest
from operations.models import Operation
from operations.presentation.markdown import render_markdown
from strategies.models import SavedStrategy, StrategyVersion

MAX_LISTED = 200
MAX_RUNS = 100
MAX_VERSIONS = 100


@dataclass(slots=True)
class ListedStrategy:
    """A saved strategy, with the runs of all its versions."""

    strategy: SavedStrategy
    tags: list[str]
    runs: int = 0
    best_return: float | None = None
    strip: list[Operation] = field(default_factory=list)
    """The newest runs, oldest first."""


def list_saved(rows: QuerySet[SavedStrategy]) -> list[ListedStrategy]:
    """List the strategies of `rows` with a fixed number of queries."""
    saved = list(rows.prefetch_related("tags")[:MAX_LISTED])
    pairs = StrategyVersion.objects.filter(strategy__in=saved).order_by().values_list("strategy_id", "digest")
    digests: dict[int, set[str]] = {}
    for pk, digest in pairs:
        digests.setdefault(pk, set()).add(digest)
    runs = runs_by_digest(sorted(set().union(*digests.values())))
    return [
        _summarize(strategy, [runs[d] for d in digests.get(strategy.pk, ()) if d in runs])
        for strategy in saved
    ]


def _summarize(strategy: SavedStrategy, texts: Sequence[RunsOfText]) -> ListedStrategy:
    returns = [text.best_return for text in texts if text.best_return is not None]
    newest = sorted((row for text in texts for row in text.strip), key=lambda row: row.created_at)
    return ListedStrategy(
        strategy,
        sorted(tag.pk for tag in strategy.tags.all()),
        sum(text.runs for text in texts),
        max(returns, default=None),
        newest[-STRIP:],
    )


def list_unsaved() -> list[UsedStrategy]:
    """Return the strategies of past operations whose text no saved strategy has."""
    known = set(
        StrategyVersion.objects.filter(strategy__deleted_at__isnull=True).values_list("digest", flat=True)
    )
    return [used for used in list_strategies() if used.digest not in known]


def find_version(digest: str) -> StrategyVersion | None:
    """Return the newest version of a saved strategy with this text."""
    versions = StrategyVersion.objects.filter(digest=digest, strategy__deleted_at__isnull=True)
    return versions.select_related("strategy").order_by("-created_at").first()


def describe_strategy(strategy: SavedStrategy, number: int | None) -> Mapping[str, Any] | None:
    """Return the context of a strategy's page at a version, by default the newest; None if it has no such version."""
    stored = strategy.versions.select_related("created_by")
    shown = (stored if number is None else stored.filter(number=number)).first()
    if shown is None:
        return None
    versions = list(stored.defer("text")[:MAX_VERSIONS])
    runs = (
        Operation.objects.filter(strategy__in=stored.values("digest"))
        .order_by("-created_at")
        .defer("error_traceback")
    )
    described = describe(runs[:MAX_RUNS])
    used = stored.filter(digest__in={run.strategy for run in described}).order_by("number")
    numbers = dict(used.values_list("digest", "number"))
    for run in described:
        run.version = numbers[str(run.strategy)]  # type: ignore[attr-defined]  # read only by templates
    counts = runs_by_digest(sorted({version.digest for version in versions}))
    return {
        "strategy": strategy,
        "versions": [
            (version, counts[version.digest].runs if version.digest in counts else 0) for version in versions
        ],
        "shown": shown,
        "newest": versions[0],
        "tags": sorted(strategy.tags.values_list("pk", flat=True)),
        "note": render_markdown(strategy.note),
        "runs": described,
    }

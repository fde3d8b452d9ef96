"""The table of runs: metrics, the settings that differ, and a small curve."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from django.http import QueryDict

from operations.models import Operation, RunMetrics
from operations.presentation.numbers import DASH, percent, plain, sign, words
from operations.presentation.subject import strategies_of_models, subject
from operations.registered_kinds import kind_of
from operations.runs.columns import METRICS, Metric
from operations.runs.settings import STRATEGY

MAX_SETTINGS = 6
"""Columns for settings that differ, unless all are wanted."""
NOT_COMPARED = frozenset(
    {"model", "trials", "trial_sharpes", "training_trials", "strategy.name", "strategy.description"}
)
"""Names and counts; the strategy of a model is compared by its values."""


@dataclass(frozen=True, slots=True)
class Heading:
    title: str
    query: str
    """Query string that sorts by this column, the better values first; another click reverses it."""
    direction: str
    """`ascending`, `descending`, or empty if the table is sorted by another column"""


@dataclass(frozen=True, slots=True)
class Cell:
    title: str
    text: str
    css_class: str = ""

    @property
    def is_undefined(self) -> bool:
        return self.text == DASH


@dataclass(frozen=True, slots=True)
class Row:
    operation: Operation
    about: str
    tags: list[str]
    curve: list[float]
    curve_label: str
    deflated: str
    """The DSR within a group of runs; empty outside one."""
    metrics: list[Cell]
    settings: list[Cell]

    @property
    def name(self) -> str:
        """The title, or the kind and the start of the id."""
        run = self.operation
        return run.title or f"{kind_of(run.operation_type).title} {run.pk[:8]}"


@dataclass(frozen=True, slots=True)
class Table:
    rows: list[Row]
    metrics: list[Heading]
    settings: list[str]
    more_settings: list[str]
    """Titles of settings that differ too, but have no column."""
    created: Heading


def build(
    operations: Iterable[Operation],
    query: QueryDict,
    order: str,
    columns: Sequence[str] = (),
    has_all_settings: bool = False,
    deflated: Mapping[str, float | None] = MappingProxyType({}),
) -> Table:
    """Build the table. The operations come from `ranking.load`; `deflated` has the DSR of some within a group."""
    runs = list(operations)
    stored = {run.pk: metrics for run in runs if (metrics := metrics_of(run)) is not None}
    shown = [METRICS[name] for name in columns or _present(stored.values())]
    settings = [_settings(run, stored.get(run.pk)) for run in runs]
    names = differing(settings)
    kept = names if has_all_settings else names[:MAX_SETTINGS]
    strategies = strategies_of_models(runs)
    return Table(
        rows=[
            Row(
                operation=run,
                about=subject(run, strategies),
                tags=[tag.pk for tag in run.tags.all()],
                curve=stored[run.pk].curve if run.pk in stored else [],
                curve_label=kind_of(run.operation_type).curve_name,
                deflated=percent(deflated.get(run.pk)) if deflated else "",
                metrics=[_metric_cell(metric, stored.get(run.pk), order) for metric in shown],
                settings=[Cell(setting_title(name), plain(values.get(name))) for name in kept],
            )
            for run, values in zip(runs, settings, strict=True)
        ],
        metrics=[heading(metric.title, metric.name, query, order, metric.more_is_better) for metric in shown],
        settings=[setting_title(name) for name in kept],
        more_settings=[setting_title(name) for name in names[len(kept) :]],
        created=heading("Created", "created", query, order),
    )


def metrics_of(run: Operation) -> RunMetrics | None:
    return getattr(run, "run_metrics", None)


def _present(stored: Iterable[RunMetrics]) -> list[str]:
    """Return the first eight metrics that a run has."""
    rows = list(stored)
    return [name for name in METRICS if any(getattr(row, name) is not None for row in rows)][:8]


def _metric_cell(metric: Metric, stored: RunMetrics | None, order: str) -> Cell:
    value = None if stored is None else getattr(stored, metric.name)
    classes = (
        sign(value) if metric.is_signed else "",
        "cell-sorted" if order.removeprefix("-") == metric.name else "",
    )
    return Cell(metric.title, metric.format(value), " ".join(filter(None, classes)))


def _settings(run: Operation, stored: RunMetrics | None) -> dict[str, Any]:
    if stored is not None and stored.settings:
        settings: dict[str, Any] = stored.settings
        return settings
    return {name: value for name, value in run.parameters.items() if name != STRATEGY}


def differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names that have at least two different values; those that a run does not have do not count."""
    values: dict[str, set[str]] = {}
    for run in settings:
        for name, value in run.items():
            values.setdefault(name, set()).add(repr(value))
    return [name for name, distinct in values.items() if len(distinct) > 1 and name not in NOT_COMPARED]


def setting_title(name: str) -> str:
    return words(name.removeprefix("strategy."))


def heading(title: str, name: str, query: QueryDict, order: str, more_is_better: bool = True) -> Heading:
    """Return a heading whose link sorts by the column."""
    better = f"-{name}" if more_is_better else name
    worse = name if more_is_better else f"-{name}"
    changed = query.copy()
    changed.pop("page", None)
    changed["sort"] = worse if order == better else better
    direction = (
        "" if order.removeprefix("-") != name else "descending" if order.startswith("-") else "ascending"
    )
    return Heading(title, changed.urlencode(), direction)

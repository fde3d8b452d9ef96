"""Chart specifications for `static/js/charts.js`, each with a table of its values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Curve = list[tuple[int, float | None]]
"""(step, value) in order of step"""
TABLE_ROWS = 300


@dataclass(frozen=True, slots=True)
class Table:
    columns: list[str]
    rows: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Chart:
    id: str
    title: str
    spec: dict[str, Any]
    table: Table
    log: bool = False
    smooth: bool = False
    size: str = ""
    """CSS class for the height"""
    note: str = ""
    wide: bool = False
    """whether it spans all columns"""


def with_spaces(name: str) -> str:
    return name.replace("_", " ")


def metric_charts(curves: dict[str, Curve]) -> list[Chart]:
    """Draw related metrics (`train_loss`, `validation_loss`) in one chart, every other metric in its own."""
    groups: dict[str, list[str]] = {}
    for name in curves:
        prefix, _, rest = name.partition("_")
        groups.setdefault(rest if prefix in ("train", "validation", "test") and rest else name, []).append(
            name
        )
    return [_metric_chart(title, {name: curves[name] for name in names}) for title, names in groups.items()]


def _metric_chart(title: str, curves: dict[str, Curve]) -> Chart:
    is_share = title in ("accuracy", "f1", "precision", "recall")
    pane = {
        "name": with_spaces(title),
        "format": "percent" if is_share else "number",
        "log": not is_share,
        "smooth": True,
        "series": [{"name": with_spaces(name), "data": curve} for name, curve in curves.items()],
    }
    return Chart(
        id=f"metric-{title}",
        title=with_spaces(title).capitalize(),
        spec={"x": {"type": "value", "name": "step"}, "panes": [pane]},
        table=side_by_side("step", {with_spaces(name): curve for name, curve in curves.items()}),
        log=not is_share,
        smooth=True,
    )


def side_by_side(first: str, curves: dict[str, Any]) -> Table:
    """Tabulate curves of (x, y) as columns, with at most TABLE_ROWS evenly spread rows."""
    columns = {name: dict(curve) for name, curve in curves.items()}
    steps = list(dict.fromkeys(step for column in columns.values() for step in column))
    if not any(isinstance(step, str) for step in steps):
        steps.sort()
    return Table(
        [first, *columns],
        [[step, *(column.get(step) for column in columns.values())] for step in thin(steps)],
    )


def thin(rows: Sequence[Any], most: int = TABLE_ROWS) -> list[Any]:
    """Return at most `most` rows, evenly spread, always including the last."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(index * (len(rows) - 1) / (most - 1))] for index in range(most)]

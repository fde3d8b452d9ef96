"""Building blocks of report charts: panes, series and tables over the data of a `report.json`."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from operations.presentation.charts import Chart, Table, side_by_side, thin
from operations.presentation.numbers import DASH

Points = list[tuple[Any, float | None]]
DIGITS = 7


def points(xs: Sequence[Any] | None, ys: Sequence[float | None] | None) -> Points:
    """Combine two columns of a report into points; empty if either is missing."""
    return list(zip(xs, ys, strict=False)) if xs and ys else []


def series(name: str, data: Points, **look: Any) -> dict[str, Any]:
    return {"name": name, "data": data, **look}


def column(name: str, ys: Sequence[float | None] | None, **look: Any) -> dict[str, Any]:
    """Return a series over the chart's `x.values`, so that long series do not repeat the times.

    Values are sent as integers, `value * scale`, with seven digits for the largest: serialized and parsed in a third
    of the time.
    """
    largest = max(map(abs, filter(None, ys or [])), default=0.0)
    scale = 10.0 ** (DIGITS - 1 - math.floor(math.log10(largest))) if largest else 1.0
    scaled = [None if y is None else round(y * scale) for y in ys or []]
    return {"name": name, "y": scaled, "scale": scale, **look}


def pane(name: str, *lines: dict[str, Any], **look: Any) -> dict[str, Any]:
    """Return a pane; series without points are omitted."""
    return {"name": name, "series": [line for line in lines if line.get("data") or line.get("y")], **look}


def chart(
    key: str, title: str, x: dict[str, Any], panes: Iterable[dict[str, Any]], **more: Any
) -> Chart | None:
    """Return a chart of the panes with data; None if there are none."""
    with_data = [pane for pane in panes if pane["series"]]
    if not with_data:
        return None
    zoom = {"zoom": True} if more.pop("zoom", False) else {}
    table = more.pop("table", None)
    if table is None:
        curves = {line["name"]: line["data"] for pane in with_data for line in pane["series"]}
        table = side_by_side(x.get("name", ""), curves)
    return Chart(key, title, {"x": x, **zoom, "panes": with_data}, table, **more)


def bars(key: str, title: str, labels: Sequence[Any], values: Sequence[float], **more: Any) -> Chart | None:
    """Return a bar chart; negative bars have the colour of a loss."""
    if not labels:
        return None
    names = [str(label) for label in labels]
    return chart(
        key,
        title,
        {"type": "category", "name": more.pop("x", ""), "categories": names},
        [
            pane(
                title,
                series(title, list(zip(names, values, strict=True)), type="bar"),
                zero=True,
                format=more.pop("format", "number"),
            )
        ],
        table=Table(
            [more.pop("label", "value"), title], thin(list(map(list, zip(names, values, strict=True))))
        ),
        **more,
    )


def records(
    rows: Sequence[dict[str, Any]] | None,
    columns: dict[str, str],
    formats: Mapping[str, Callable[[Any], str]] = MappingProxyType({}),
) -> Table | None:
    """Tabulate rows of a report with these columns (key -> heading); columns that no row has are omitted.

    `formats` maps a column to the formatter of its values; other values are shown unchanged.
    """
    if not rows:
        return None
    present = {key: name for key, name in columns.items() if any(key in row for row in rows)}
    return Table(
        list(present.values()), [[_cell(row.get(key), formats.get(key)) for key in present] for row in rows]
    )


def _cell(value: Any, formatter: Callable[[Any], str] | None) -> Any:
    return value if formatter is None else formatter(value)


def day(value: Any) -> str:
    """Return the date of an ISO time, or a dash."""
    return str(value)[:10] if value else DASH


def milliseconds(moment: Any) -> int:
    """Convert an ISO time or a number of milliseconds to milliseconds since 1970."""
    if isinstance(moment, int | float):
        return int(moment)
    time = datetime.fromisoformat(moment)
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def clock(moment_ms: int) -> str:
    """Format to the minute; midnight as the date only."""
    text = datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(" ", "minutes")[:16]
    return text.removesuffix(" 00:00")

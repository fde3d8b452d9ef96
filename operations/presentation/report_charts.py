"""Pieces that both reports are drawn from: panes, series and tables over the data of a `report.json`."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from operations.presentation.charts import Chart, Table, side_by_side, thinned
from operations.presentation.numbers import DASH

Points = list[tuple[Any, float | None]]
DIGITS = 7


def points(xs: Sequence[Any] | None, ys: Sequence[float | None] | None) -> Points:
    """Two columns of a report as one list of points; none where one of them is missing."""
    return list(zip(xs, ys, strict=False)) if xs and ys else []


def series(name: str, data: Points, **look: Any) -> dict[str, Any]:
    return {"name": name, "data": data, **look}


def column(name: str, ys: Sequence[float | None] | None, **look: Any) -> dict[str, Any]:
    """A series over the chart's own `x.values`: a long one is sent without repeating each moment.

    As whole numbers, `value * scale`, with seven digits for the greatest: written and read in a third of the time.
    """
    greatest = max(map(abs, filter(None, ys or [])), default=0.0)
    scale = 10.0 ** (DIGITS - 1 - math.floor(math.log10(greatest))) if greatest else 1.0
    whole = [None if y is None else round(y * scale) for y in ys or []]
    return {"name": name, "y": whole, "scale": scale, **look}


def pane(name: str, *drawn: dict[str, Any], **look: Any) -> dict[str, Any]:
    """Series without points are left out."""
    return {"name": name, "series": [one for one in drawn if one.get("data") or one.get("y")], **look}


def chart(
    key: str, title: str, x: dict[str, Any], panes: Iterable[dict[str, Any]], **more: Any
) -> Chart | None:
    """Nothing where no pane has anything to draw."""
    drawn = [one for one in panes if one["series"]]
    if not drawn:
        return None
    zoom = {"zoom": True} if more.pop("zoom", False) else {}
    table = more.pop("table", None)
    if table is None:
        curves = {line["name"]: line["data"] for one in drawn for line in one["series"]}
        table = side_by_side(x.get("name", ""), curves)
    return Chart(key, title, {"x": x, **zoom, "panes": drawn}, table, **more)


def bars(key: str, title: str, labels: Sequence[Any], values: Sequence[float], **more: Any) -> Chart | None:
    """One bar a label; losses have the colour of a loss."""
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
            [more.pop("label", "value"), title], thinned(list(map(list, zip(names, values, strict=True))))
        ),
        **more,
    )


def records(
    rows: Sequence[dict[str, Any]] | None,
    columns: dict[str, str],
    formats: Mapping[str, Callable[[Any], str]] = MappingProxyType({}),
) -> Table | None:
    """Rows of a report as a table with these columns (key -> heading); columns that no row has are left out.

    `formats` says how the values of a column read; without one they are shown as they are.
    """
    if not rows:
        return None
    present = {key: name for key, name in columns.items() if any(key in row for row in rows)}
    return Table(
        list(present.values()), [[_cell(row.get(key), formats.get(key)) for key in present] for row in rows]
    )


def _cell(value: Any, reads: Callable[[Any], str] | None) -> Any:
    return value if reads is None else reads(value)


def day(value: Any) -> str:
    """The date of an ISO time; a dash where there is none."""
    return str(value)[:10] if value else DASH


def milliseconds(moment: Any) -> int:
    """An ISO time or a number of milliseconds."""
    if isinstance(moment, int | float):
        return int(moment)
    parsed = datetime.fromisoformat(moment)
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)


def clock(moment_ms: int) -> str:
    """The minute; the day alone where it is midnight."""
    text = datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(" ", "minutes")[:16]
    return text.removesuffix(" 00:00")

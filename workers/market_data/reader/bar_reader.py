"""Make bars from the grid of a file, and record how it was understood."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from workers.market_data.bars import PRICES
from workers.market_data.calendars import CalendarChoice
from workers.market_data.checks import check_prices, check_spacing
from workers.market_data.errors import MarketDataError
from workers.market_data.parameters import ImportParameters
from workers.market_data.reader.choice import Choice
from workers.market_data.reader.columns import Columns, choose_columns
from workers.market_data.reader.container import Container, open_container
from workers.market_data.reader.fillers import find_fillers, outside_sessions
from workers.market_data.reader.grid import Grid, head_texts, is_text
from workers.market_data.reader.layouts import Layout, headless_titles, recognise_layout
from workers.market_data.reader.numerals import Floats, Marks, Surroundings, find_marks
from workers.market_data.reader.readings import Ranking, Reading
from workers.market_data.reader.settling import Question, Settled, settle
from workers.market_data.reader.spreads import check_plausible, in_price
from workers.market_data.reader.tables import read_grid
from workers.market_data.reader.times import Times, as_index, parse_times
from workers.market_data.reader.values import Values
from workers.market_data.reader.zones import find_zone
from workers.market_data.row_errors import Lines, reject_rows
from workers.market_data.timeframes import is_intraday, nanoseconds
from workers.strategy.quoting import quote, shorten

_PERIODS = {
    "d": "1d", "w": "1w", "daily": "1d", "1": "1m", "5": "5m", "10": "10m", "15": "15m", "30": "30m", "60": "1h",
}  # fmt: skip
"""Names of timeframes in files of Stooq and Finam."""


@dataclass(slots=True, eq=False)
class ReadBars:
    """Valid bars and how the file was understood."""

    bars: pd.DataFrame
    layout: str
    time_form: str
    marks: Marks
    timezone: Choice
    stamped: Choice
    calendar: CalendarChoice
    ranking: Ranking
    adjustment: str
    """`applied`, `available` or `none`."""
    proposal: str
    """Options with which the bars fit a calendar clearly better; empty if there are none."""
    ignored: tuple[str, ...]
    encoding: str
    delimiter: str
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return how the file was understood, for the result of an import."""
        return {
            "layout": self.layout,
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "decimal": self.marks.decimal,
            "thousands": self.marks.thousands,
            "times": self.time_form,
            "timezone": self.timezone.as_json(),
            "stamped": self.stamped.as_json(),
            "calendar": {
                "value": self.calendar.calendar,
                "reason": self.calendar.reason,
                "runner_up": self.calendar.runner_up,
            },
            "notes": self.notes,
        }


class Progress(Protocol):
    """Receives how far the reading is."""

    def __call__(self, percentage: float, step: str | None = None) -> None: ...


def read_file(path: Path, parameters: ImportParameters, progress: Progress) -> ReadBars:
    """Read the bars of an uploaded file. Raises `MarketDataError`; no row is repaired, and only bars of a closed market
    are dropped."""
    progress(2, "opening the file")
    container = open_container(path, parameters.filename)
    progress(5, "reading the table")
    read = read_bars_of(_read_grid(container, progress), parameters, container.filename)
    read.notes[:0] = container.notes
    return read


def _read_grid(container: Container, progress: Progress) -> Grid:
    # Not a variable of the caller, which would keep the texts of all cells until the end.
    grid = read_grid(container)
    progress(25, "parsing times and prices")
    return grid


def read_bars_of(grid: Grid, parameters: ImportParameters, filename: str) -> ReadBars:
    """Turn a grid into bars. Raises `MarketDataError`."""
    layout = recognise_layout(grid, filename, parameters.layout)
    columns = choose_columns(grid, grid.titles or headless_titles(grid))
    _check_one_series(columns, parameters.timeframe)
    times = parse_times(columns.time, grid.lines)
    marks = _find_marks(grid, columns, parameters)
    ignored = (*columns.ignored, *grid.unread)
    zone, is_close_time = _zone_of_title(columns.title_of_time), columns.is_close_time
    notes = list(grid.notes)
    order = _find_order(times)
    if order is not None:
        times = Times(times.values[order], times.form, times.are_instants, times.zone)
        notes.append("the rows were in reverse order (newest first) and were reversed")
    check_spacing(as_index(times.values), parameters.timeframe)
    values = Values.of(columns, marks, grid.lines, order)
    encoding, delimiter = grid.encoding, grid.delimiter
    lines = grid.lines if order is None else grid.lines.take(order)
    del grid, columns  # Half of the memory: the texts of all cells.
    fillers = find_fillers(values.prices, values.volume)
    settled = settle(Question(times, ~fillers, layout, parameters, zone, is_close_time, lines))
    notes += settled.notes
    frame = pd.DataFrame(
        {**values.prices, "volume": values.volume}, index=as_index(settled.opens), copy=False
    )
    check_prices(frame, lines)
    if values.spread is not None:
        frame["spread"] = _spread_in_price(
            values.spread, values, frame["close"].to_numpy(), layout, parameters, notes
        )
    if parameters.adjust:
        _adjust(frame, values.adjusted, lines)
    available = "available" if values.adjusted is not None else "none"
    return ReadBars(
        _drop_fillers(frame, fillers, settled, parameters, notes),
        layout.name,
        times.form,
        values.marks,
        settled.timezone,
        settled.stamped,
        settled.calendar,
        settled.ranking,
        "applied" if parameters.adjust else available,
        _options(settled.better),
        ignored,
        encoding,
        delimiter,
        notes=notes,
        warnings=settled.warnings,
    )


def _spread_in_price(
    spread: Floats,
    values: Values,
    close: Floats,
    layout: Layout,
    parameters: ImportParameters,
    notes: list[str],
) -> Floats:
    if values.is_spread_quoted:
        check_plausible(spread, close)
        return spread
    converted, added = in_price(spread, close, layout, parameters.point_size, values.decimals)
    notes += added
    return converted


def _check_one_series(columns: Columns, timeframe: str) -> None:
    """Reject files with several symbols or periods, and a period that is not the timeframe."""
    for role in ("symbol", "period"):
        column = columns.by_role.get(role)
        if column is None:
            continue
        values = [str(value) for value in pc.unique(column).slice(0, 6).to_pylist()]
        if len(values) > 1:
            raise MarketDataError(f"the file contains more than one {role}: {shorten(', '.join(values[:5]))}")
        if role == "period" and values and _PERIODS.get(values[0].lower(), timeframe) != timeframe:
            raise MarketDataError(f"the period of the file is {quote(values[0])}, not {timeframe}")


def _find_order(times: Times) -> "np.ndarray[Any, np.dtype[np.intp]] | None":
    """Return the order that reverses rows from newest to oldest; None for any other order."""
    steps = np.diff(times.values)
    is_reversed = len(steps) > 0 and bool((steps <= 0).all()) and bool((steps < 0).any())
    return np.arange(len(times.values))[::-1] if is_reversed else None


def _find_marks(grid: Grid, columns: Columns, parameters: ImportParameters) -> Marks:
    first = head_texts(columns.time, 1)[0] if is_text(columns.time) else ""
    german = bool(re.match(r"\d{1,2}\.\d{1,2}\.\d{2,4}", first))
    prices = [columns.by_role[name] for name in PRICES]
    return find_marks(
        prices, columns.by_role.get("volume"), Surroundings(grid.delimiter, german), parameters.decimal
    )


def _adjust(frame: pd.DataFrame, adjusted: Floats | None, lines: Lines) -> None:
    """Scale the prices of each bar so that its close equals the adjusted close."""
    if adjusted is None:
        raise MarketDataError("adjust needs a column with the adjusted close, but the file has none")
    reject_rows(~(adjusted > 0.0), lines, "the adjusted close is zero or negative", adjusted)
    factor = adjusted / frame["close"].to_numpy()
    for name in (*PRICES, *(("spread",) if "spread" in frame else ())):
        frame[name] = frame[name].to_numpy() * factor


def _drop_fillers(
    frame: pd.DataFrame,
    fillers: "np.ndarray[Any, np.dtype[np.bool_]]",
    settled: Settled,
    parameters: ImportParameters,
    notes: list[str],
) -> pd.DataFrame:
    """Drop the unmoved bars outside the sessions of the calendar."""
    if not fillers.any() or not is_intraday(parameters.timeframe):
        return frame
    calendar = settled.calendar.calendar
    dropped = fillers & outside_sessions(settled.opens, nanoseconds(parameters.timeframe), calendar)
    if not dropped.any():
        return frame
    notes.append(
        f"{int(dropped.sum()):,} unmoved bars without volume outside the sessions of {calendar} dropped"
    )
    return frame[~dropped]


def _options(better: Reading | None) -> str:
    if better is None:
        return ""
    stamped = " with stamped=close" if better.stamped == "close" else ""
    return f"timezone={better.zone}{stamped} (calendar {better.fit.calendar})"


def _zone_of_title(title: str) -> str | None:
    """Return the zone that a title names: `Gmt time`, `timestamp_utc`, `Time (EET)`."""
    if re.search(r"(?i)(?:^|[\s_(])(?:gmt|utc)(?:$|[\s_)])", title):
        return "UTC"
    match = re.search(r"\(([A-Za-z]+(?:/[A-Za-z_]+)?)\)", title)
    if match is None:
        return None
    try:
        return find_zone(match.group(1)).name
    except MarketDataError:
        return None
